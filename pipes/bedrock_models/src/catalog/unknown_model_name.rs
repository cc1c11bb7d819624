//! A name in a valve that no model has, such as a typing error, which would be noticed only when a
//! chat needs the model.

use crate::valves::BedrockValves;
use pipe_sdk::ValveError;

/// A valve that names models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ModelNameValve {
    /// *Model aliases*.
    Aliases,
    /// *Allowed models*.
    Allowed,
    /// *Default model*.
    Default,
    /// *Fallbacks*.
    Fallbacks,
}

/// A name in a valve for which there is no model that can be called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownModelName {
    valve: ModelNameValve,
    message: String,
    /// `true` if the valve is refused for it. A pattern may be for future models, and a denied
    /// model may be allowed again.
    is_error: bool,
}

impl ModelNameValve {
    const ALL: [Self; 4] = [Self::Aliases, Self::Allowed, Self::Default, Self::Fallbacks];

    /// Returns the id of the valve.
    fn id(self) -> &'static str {
        match self {
            Self::Aliases => "aliases",
            Self::Allowed => "allow",
            Self::Default => "default_model",
            Self::Fallbacks => "fallbacks",
        }
    }

    /// Returns the title of the valve.
    fn title(self) -> &'static str {
        match self {
            Self::Aliases => "Model aliases",
            Self::Allowed => "Allowed models",
            Self::Default => "Default model",
            Self::Fallbacks => "Fallbacks",
        }
    }

    /// Returns the value of the valve.
    fn value(self, valves: &BedrockValves) -> &Option<String> {
        match self {
            Self::Aliases => &valves.aliases,
            Self::Allowed => &valves.allow,
            Self::Default => &valves.default_model,
            Self::Fallbacks => &valves.fallbacks,
        }
    }

    fn has_changed(self, before: &BedrockValves, after: &BedrockValves) -> bool {
        self.value(before) != self.value(after)
    }
}

/// Returns whether a valve that names models has changed.
pub fn have_names_changed(before: &BedrockValves, after: &BedrockValves) -> bool {
    ModelNameValve::ALL.into_iter().any(|valve| valve.has_changed(before, after))
}

/// Returns the errors of the valves that have changed.
pub fn valve_errors(
    names: &[UnknownModelName],
    before: &BedrockValves,
    after: &BedrockValves,
) -> Vec<ValveError> {
    let errors = names.iter().filter(|name| name.is_error && name.valve.has_changed(before, after));
    errors.map(|name| ValveError::new(name.valve.id(), &name.message)).collect()
}

impl UnknownModelName {
    /// Creates the record of a name that is `denied` for this reason, or that no model has.
    pub fn new(valve: ModelNameValve, name: &str, denied: Option<&str>) -> Self {
        let is_error = denied.is_none() && !name.contains('*');
        let message = match denied {
            Some(reason) => format!("names `{name}`, but {reason}"),
            None => format!("names `{name}`, which is no model that can be asked"),
        };
        Self { valve, message, is_error }
    }

    /// Creates the record of allowed models that leave nothing.
    pub fn nothing_allowed() -> Self {
        let message = "leaves none of the models that there are: it must be names of models with commas between them, as in us.*, amazon.nova-*".into();
        Self { valve: ModelNameValve::Allowed, message, is_error: true }
    }

    /// Describes the name for an admin: `Fallbacks names …`.
    pub fn describe(&self) -> String {
        format!("{} {}", self.valve.title(), self.message)
    }
}
