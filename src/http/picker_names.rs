//! The names of models in pickers: those that are made of names of other models, and names that are
//! told apart.

use crate::registry::{Registry, ServedModel};
use pipe_sdk::{Model, PICKER_WIDTH, PickerAudience, fill_name, fill_name_shortened, shorten_name};
use std::collections::HashMap;

/// The names of all models by their full ids, without those that hold names of others.
pub struct PickerNames(HashMap<String, String>);

impl PickerNames {
    /// Returns the names of these models.
    pub fn new(served: &[ServedModel]) -> Self {
        let plain = served.iter().filter(|served| served.model.name_templates.is_empty());
        Self(plain.map(|served| (served.id.clone(), served.model.name.clone())).collect())
    }

    /// Returns the name of a model: the first of its templates that is short enough, its last
    /// template with shortened names in it, or its own name.
    pub fn name(&self, model: &Model) -> String {
        // A name within another one goes without the geography at its end, as in `(US)`.
        let name_of = |id: &str| {
            let name = self.0.get(id)?;
            Some(name.split_once(" (").map_or(name.as_str(), |(name, _)| name).to_owned())
        };
        let mut filled = model.name_templates.iter().map(|template| fill_name(template, name_of));
        let fits = |name: &String| name.chars().count() <= PICKER_WIDTH;
        let shortened =
            || Some(fill_name_shortened(model.name_templates.last()?, PICKER_WIDTH, name_of));
        filled.find(fits).or_else(shortened).unwrap_or_else(|| model.name.clone())
    }
}

/// Returns the names of these models. Where a picker would show one name for several models, but
/// for its case, each has the name of its pipe at the end; models of one pipe have their ids.
pub fn distinct_names(
    models: &[ServedModel],
    names: &PickerNames,
    registry: &Registry,
) -> Vec<String> {
    let mut named: Vec<_> = models.iter().map(|served| names.name(&served.model)).collect();
    let with_pipe = |served: &ServedModel, name: &str| {
        let pipe = registry.resolve(&served.id).map(|(slot, _)| slot.name().to_owned());
        pipe.map_or_else(|| name.to_owned(), |pipe| shorten_name(&format!("{name} · {pipe}")))
    };
    rename_doubled(models, &mut named, with_pipe);
    rename_doubled(models, &mut named, |served, _| shorten_name(&served.id));
    named
}

/// Renames the models that a picker shows by the same name.
fn rename_doubled(
    models: &[ServedModel],
    names: &mut [String],
    rename: impl Fn(&ServedModel, &str) -> String,
) {
    let is_shown = |served: &ServedModel| served.model.audience != PickerAudience::Nobody;
    let mut counts = HashMap::<String, usize>::new();
    for (served, name) in models.iter().zip(&*names) {
        *counts.entry(name.to_lowercase()).or_default() += usize::from(is_shown(served));
    }
    for (served, name) in models.iter().zip(names) {
        if is_shown(served) && counts.get(&name.to_lowercase()).is_some_and(|count| *count > 1) {
            *name = rename(served, name);
        }
    }
}
