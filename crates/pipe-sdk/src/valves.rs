//! The settings of a pipe that an admin can change.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

/// A pipe's settings: a flat struct with a default for every field.
///
/// Open WebUI's form is a row of text inputs, one a field, so the types that a valve may have are
/// few: `String`, integers, floats, `bool`, unit enums, [`Secret`](crate::Secret), `Vec<String>`,
/// and `Option` of those. Doc comments become help texts, `#[schemars(title = "…")]` the label,
/// `#[schemars(range(min = 5, max = 120))]`, and `length` the bounds that the host checks. A text
/// that may be missing is an `Option<String>`: the form cannot save an empty text.
///
/// A valve that names a place on disk says so with `#[schemars(extend("x-place" = "watched"))]`, or
/// `"index"`, or `"models"`: the pipe then gets a whole path without links, which lies in a folder
/// that the operator allows for that, and what an admin enters counts from the data folder.
///
/// A valve that could do what admins must not, such as run programs, says
/// `#[schemars(extend("x-operator" = true))]`: only the operator sets it, in `valves.toml` or the
/// environment.
///
/// Titles begin with a group, as in `AWS · Regions`. A form with valves marked
/// `#[schemars(extend("x-everyday" = true))]` is a long one: the host adds a switch *Show advanced
/// settings* to it, and shows no others until it is on, except those that were changed.
///
/// The struct carries `#[serde(default)]`, so that an older file without a new valve still loads.
pub trait Valves:
    Serialize + DeserializeOwned + JsonSchema + Default + Send + Sync + 'static
{
    /// Returns the faults of combinations, when every single valve is within its bounds. Pure: it
    /// neither waits nor asks anything.
    fn validate(&self) -> Vec<ValveError> {
        Vec::new()
    }
}

/// One valve that cannot be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValveError {
    /// The field's name.
    pub valve: String,
    /// The rule it breaks, as in `must be between 5 and 120`; never the value.
    pub rule: String,
}

impl ValveError {
    /// Returns an error of this valve.
    pub fn new(valve: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { valve: valve.into(), rule: rule.into() }
    }

    /// Joins errors in one line: `a: must be …; b: must be …`.
    pub fn join(errors: &[Self]) -> String {
        let lines: Vec<_> =
            errors.iter().map(|error| format!("{}: {}", error.valve, error.rule)).collect();
        lines.join("; ")
    }
}

/// Returns the items of a valve that holds several, separated by commas. Open WebUI's form cannot
/// save an empty list, but it can save an empty text.
pub fn split_list(text: &Option<String>) -> impl Iterator<Item = &str> {
    let items = text.as_deref().unwrap_or_default().split(',');
    items.map(str::trim).filter(|item| !item.is_empty())
}
