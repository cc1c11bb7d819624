//! The description of valves for the admin page: each with its value, its source and its rules.

use super::{
    SHOW_ADVANCED, Values, ValveKind, ValveProperty, ValveSource, ValveSources, ValvesSpec,
};
use serde::Serialize;
use serde_json::Value;

/// The section of valves whose title names none.
const GENERAL: &str = "General";

/// The separator between the section of a title and its name, as in `AWS · Region`.
const SECTION_END: &str = " · ";

/// A valve with its value and source. A secret has no value here.
#[derive(Debug, Serialize)]
pub struct ValveDescription {
    name: String,
    section: String,
    title: String,
    description: String,
    kind: &'static str,
    value: Value,
    default: Value,
    /// The kind of source: `default`, `default_variable`, `file`, `saved` or `pinned`.
    source: &'static str,
    /// The variable or flag that set it.
    source_name: Option<String>,
    /// True if it has a value; known of secrets too.
    is_set: bool,
    is_nullable: bool,
    choices: Vec<Value>,
    minimum: Option<f64>,
    maximum: Option<f64>,
}

impl ValvesSpec {
    /// Returns the description of all valves, in the order of the form. `defaults` are the values
    /// that each has when nothing is saved and nothing pins it.
    pub fn describe(
        &self,
        values: &Values,
        sources: &ValveSources,
        defaults: &Values,
    ) -> Vec<ValveDescription> {
        let masked = self.mask_values(values);
        let describe = |property: &ValveProperty| {
            let source = sources.get(&property.name).unwrap_or(&ValveSource::BuiltIn);
            let value = masked.get(&property.name).cloned().unwrap_or_default();
            let default = defaults.get(&property.name).unwrap_or(&property.default);
            property.describe(value, default, source)
        };
        // It shortens Open WebUI's form only.
        let shown = self.properties().filter(|property| property.name != SHOW_ADVANCED);
        shown.map(describe).collect()
    }
}

impl ValveProperty {
    /// Describes the valve with its present value, for forms and lists.
    fn describe(&self, value: Value, default: &Value, source: &ValveSource) -> ValveDescription {
        let text = |key: &str| self.form.get(key).and_then(Value::as_str).unwrap_or_default();
        let (section, title) =
            text("title").split_once(SECTION_END).unwrap_or((GENERAL, text("title")));
        let is_secret = self.kind == ValveKind::Secret;
        let hides_default = is_secret || self.hides(default);
        ValveDescription {
            name: self.name.clone(),
            section: section.to_owned(),
            title: title.to_owned(),
            description: text("description").to_owned(),
            kind: self.kind.name(),
            is_set: !value.is_null(),
            value: if is_secret { Value::Null } else { value },
            default: if hides_default { Value::Null } else { default.clone() },
            source: source.kind(),
            source_name: source.variable().map(str::to_owned),
            is_nullable: self.nullable,
            choices: match &self.kind {
                ValveKind::Choice(choices) => choices.clone(),
                _ => Vec::new(),
            },
            minimum: self.bound("minimum"),
            maximum: self.bound("maximum"),
        }
    }
}

impl ValveKind {
    /// Returns the name of the kind.
    fn name(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Secret => "secret",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Choice(_) => "choice",
            Self::List => "list",
            Self::Json => "json",
        }
    }
}
