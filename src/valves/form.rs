//! The form of a pipe's valves, as Open WebUI's page draws it: texts with defaults, and the valves
//! that a short form leaves out.

use super::{
    SHOW_ADVANCED, Values, ValveKind, ValveProperty, ValveSource, ValveSources, ValvesSpec,
};
use pipe_sdk::ValveError;
use serde_json::Value;
use std::collections::BTreeSet;

/// The form of one pipe's valves.
#[derive(Debug)]
pub struct ValvesForm {
    /// The schema with all valves.
    schema: Value,
    /// The valves that the short form leaves out.
    hidden: BTreeSet<String>,
}

/// The values that the form shows.
pub struct FormValues<'a> {
    /// The values in force.
    pub values: &'a Values,
    /// Their sources.
    pub sources: &'a ValveSources,
    /// The values without what the page has saved: those that "None" returns to.
    pub defaults: &'a Values,
    /// The sources of the defaults.
    pub default_sources: &'a ValveSources,
    /// The faults of the layers. Their valves are always shown.
    pub faults: &'a [ValveError],
}

impl ValvesForm {
    /// Returns the form of these valves.
    ///
    /// The text of a valve ends with its default, or with what pins it, because the form prevents
    /// no edit.
    pub fn new(spec: &ValvesSpec, values: &FormValues<'_>) -> Self {
        let mut schema = spec.to_json();
        let is_short = spec.property(SHOW_ADVANCED).is_some()
            && values.values.get(SHOW_ADVANCED) != Some(&Value::Bool(true));
        let mut hidden = BTreeSet::new();
        for property in spec.properties() {
            let name = &property.name;
            let source = values.sources.get(name);
            let end = match source {
                Some(ValveSource::Pinned(pin)) => {
                    format!("Set by {pin}: it cannot be changed here.")
                }
                _ => describe_default(property, values),
            };
            let form = &mut schema["properties"][name];
            if let (Some(shown), Some(default)) =
                (form.get_mut("default"), values.defaults.get(name))
                && !property.hides(default)
            {
                shown.clone_from(default);
            }
            let text = &mut form["description"];
            let help = text.as_str().unwrap_or_default();
            *text = join_help(help, &end).into();
            let is_advanced = is_short && !property.is_everyday && name != SHOW_ADVANCED;
            let has_fault = values.faults.iter().any(|fault| fault.valve == *name);
            if is_advanced && source != Some(&ValveSource::Saved) && !has_fault {
                hidden.insert(name.clone());
            }
        }
        Self { schema, hidden }
    }

    /// Puts a note before the text of a valve, which is then shown even in the short form. A note
    /// on anything but a valve of this form is put before the text of the first valve.
    pub fn add_note(&mut self, valve: Option<&str>, note: &str) {
        let Some(properties) = self.schema["properties"].as_object_mut() else { return };
        let first = properties.keys().next().cloned();
        let known = valve.filter(|name| properties.contains_key(*name)).map(str::to_owned);
        let Some(name) = known.or(first) else { return };
        self.hidden.remove(&name);
        if let Some(property) = properties.get_mut(&name) {
            let help = property["description"].as_str().unwrap_or_default();
            property["description"] = format!("{note} {help}").into();
        }
    }

    /// Returns the schema with all valves.
    pub fn into_whole(self) -> Value {
        self.schema
    }

    /// Returns the schema without the valves that the short form leaves out.
    pub fn into_short(mut self) -> Value {
        if let Some(properties) = self.schema["properties"].as_object_mut() {
            properties.retain(|name, _| !self.hidden.contains(name));
        }
        self.schema
    }
}

/// The beginning of the sentence of a help text that says what the valve does without a value.
const NO_VALUE: &str = "None: ";

/// Returns the help text with the default at its end. If the default is no value, the effect of an
/// empty valve is named with it.
fn join_help(help: &str, default: &str) -> String {
    let sentence = help.find(NO_VALUE).filter(|_| default == DEFAULT_NONE).and_then(|start| {
        let (before, rest) = help.split_at(start);
        let (sentence, after) =
            rest.split_once(". ").or_else(|| Some((rest.strip_suffix('.')?, "")))?;
        Some((before, sentence.strip_prefix(NO_VALUE)?, after))
    });
    let text = match sentence {
        None => format!("{help} {default}"),
        Some((before, effect, after)) => {
            let help = [before.trim_end(), after.trim()].join(" ");
            format!("{} Default: none ({effect}).", help.trim())
        }
    };
    text.trim_start().to_owned()
}

/// The end of the help text of a valve that has no value by default.
const DEFAULT_NONE: &str = "Default: none.";

/// Returns the default of a valve for people, as in `Default: 30.`; never that of a secret.
fn describe_default(property: &ValveProperty, values: &FormValues<'_>) -> String {
    let value = values.defaults.get(&property.name).unwrap_or(&Value::Null);
    let text = match (&property.kind, value) {
        (ValveKind::Secret, Value::String(text)) if !text.is_empty() => "set".to_owned(),
        (_, value) if property.hides(value) => "set".to_owned(),
        (_, Value::Bool(true)) => "on".to_owned(),
        (_, Value::Bool(false)) => "off".to_owned(),
        (_, Value::String(text)) => text.clone(),
        (ValveKind::List, Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        (_, Value::Null) => String::new(),
        (_, value) => value.to_string(),
    };
    let text = if text.trim().is_empty() { "none" } else { &text };
    match values.default_sources.get(&property.name) {
        Some(ValveSource::File) => format!("Default: {text} (valves.toml)."),
        Some(ValveSource::DefaultVariable(name)) => {
            let name = name.rsplit(' ').next().unwrap_or_default();
            format!("Default: {text} ({name}).")
        }
        _ => format!("Default: {text}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_valve_does_without_a_value_is_said_once() {
        for (help, default, text) in [
            ("The model. None: no model.", DEFAULT_NONE, "The model. Default: none (no model)."),
            ("None: all. Example: `a.b`.", DEFAULT_NONE, "Example: `a.b`. Default: none (all)."),
            ("A key. None: no key.", "Default: set.", "A key. None: no key. Default: set."),
            ("A key.", DEFAULT_NONE, "A key. Default: none."),
            ("", DEFAULT_NONE, "Default: none."),
        ] {
            assert_eq!(join_help(help, default), text);
        }
    }
}
