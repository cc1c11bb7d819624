//! The models as pickers show them: in order, with names that differ, and each model once.

use super::{
    display_name::{GLOBAL, PickerOrder, geography_name},
    geography::{geography, profile_prefix},
    model_entry::ModelEntry,
};
use crate::valves::BedrockValves;
use pipe_sdk::{Model, PickerAudience};
use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Returns these models in the order of pickers: by vendor and family, the newest first, and the
/// account's own at the end.
///
/// A model that AWS offers by several routes has all of them in the list, but pickers show one,
/// unless the valves ask for all. The others are hidden and not left out, because chats and
/// settings may name them.
pub fn picker_models<'a>(
    entries: impl Iterator<Item = &'a Arc<ModelEntry>>,
    valves: &BedrockValves,
) -> Vec<Model> {
    let mut entries: Vec<&ModelEntry> = entries.map(|entry| &**entry).collect();
    entries.sort_by(|one, other| compare(one, other));
    let shown = best_routes(&entries);
    let mut models: Vec<_> = entries
        .iter()
        .map(|entry| {
            let model = Model::clone(&entry.model);
            let is_shown = valves.list_all_routes
                || !entry.is_system_route()
                || shown.get(&*entry.base).is_some_and(|id| *id == &entry.id);
            if is_shown { model } else { model.with_audience(PickerAudience::Nobody) }
        })
        .collect();
    tell_apart(&mut models);
    models
}

/// Returns the key by which the picker is sorted.
fn place(ModelEntry { base, name, id, .. }: &ModelEntry) -> PickerOrder<'_> {
    PickerOrder::new(base, name, id)
}

/// Compares two models by their place in the picker.
fn compare(one: &ModelEntry, other: &ModelEntry) -> Ordering {
    let order = |entry: &ModelEntry| !entry.is_system_route();
    order(one)
        .cmp(&order(other))
        .then_with(|| place(one).partial_cmp(&place(other)).unwrap_or(Ordering::Equal))
}

/// Returns the id of the best route to each model, by base id: the profile of the region's own
/// geography, another one, the model's own id, and at last a profile that spans the world.
fn best_routes<'a>(entries: &[&'a ModelEntry]) -> HashMap<&'a str, &'a Arc<str>> {
    let rank = |entry: &ModelEntry| {
        let home = profile_prefix(geography(&entry.region));
        match geography_name(&entry.id) {
            Some(_) if home.is_some_and(|prefix| entry.id.starts_with(prefix)) => 0,
            Some(GLOBAL) => 3,
            Some(_) => 1,
            None => 2,
        }
    };
    let mut best: HashMap<&str, (u8, &Arc<str>)> = HashMap::new();
    for entry in entries.iter().filter(|entry| entry.is_system_route()) {
        let candidate = (rank(entry), &entry.id);
        let known = best.entry(&entry.base).or_insert(candidate);
        if candidate.0 < known.0 {
            *known = candidate;
        }
    }
    best.into_iter().map(|(base, (_, id))| (base, id)).collect()
}

/// Gives models that would have the same name in a picker, but for its case, their ids in its
/// place.
fn tell_apart(models: &mut [Model]) {
    let (mut names, mut doubled) = (HashSet::new(), HashSet::new());
    for model in models.iter() {
        let name = model.name.to_lowercase();
        if names.contains(&name) {
            doubled.insert(name);
        } else {
            names.insert(name);
        }
    }
    for model in models.iter_mut().filter(|model| doubled.contains(&model.name.to_lowercase())) {
        model.name.clone_from(&model.id);
    }
}
