//! Names in valves that no model has: slips of an admin that nobody would notice until it is too
//! late.

use super::listing::{Listing, Lookup};
use crate::{model_id::strip_pipe_id, valves::BedrockValves};
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

/// A name in a valve that stands for no model that can be called.
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

    fn id(self) -> &'static str {
        match self {
            Self::Aliases => "aliases",
            Self::Allowed => "allow",
            Self::Default => "default_model",
            Self::Fallbacks => "fallbacks",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Aliases => "Other names",
            Self::Allowed => "Allowed models",
            Self::Default => "Model for unknown ids",
            Self::Fallbacks => "Fallbacks",
        }
    }

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

/// Returns the names in the valves that stand for no model that can be called.
pub fn find_unknown_names(listing: &Listing, valves: &BedrockValves) -> Vec<UnknownModelName> {
    let aliases = listing.aliases.iter().map(|(_, target)| (ModelNameValve::Aliases, target));
    let chains = || listing.fallback_chains.iter();
    let fallbacks = chains().flat_map(|chain| chain.fallbacks.iter().map(String::as_str));
    // The first name of a chain may be a pattern.
    let firsts = chains().map(|chain| chain.model.as_str());
    let fallbacks = fallbacks.chain(firsts.filter(|name| !listing.has_match(name)));
    let fallbacks = fallbacks.map(|name| (ModelNameValve::Fallbacks, name));
    let default = valves.default_model.as_deref().map(strip_pipe_id);
    let default = default.filter(|name| !name.is_empty());
    let default = default.map(|name| (ModelNameValve::Default, name));
    let names = aliases.chain(fallbacks).chain(default);
    let unknown = names.filter_map(|(valve, name)| UnknownModelName::find(valve, name, listing));
    let allows_nothing = listing.is_empty() && listing.policy.has_allow_list();
    let mut unknown: Vec<_> =
        unknown.chain(allows_nothing.then(UnknownModelName::nothing_allowed)).collect();
    unknown.sort();
    unknown.dedup();
    unknown
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
    /// Returns `None` if there is such a model.
    fn find(valve: ModelNameValve, name: &str, listing: &Listing) -> Option<Self> {
        if listing.look_up_valve_name(name).is_some() {
            return None;
        }
        let name = &*listing.aliases.resolve(name);
        let denial_reason = match listing.look_up(name) {
            Lookup::Denied(reason) => Some(reason),
            // A name that a pattern of the valves denies may be the name of no model.
            _ => listing.denial_reason(name),
        };
        let is_error = denial_reason.is_none() && !name.contains('*');
        let message = match denial_reason {
            Some(reason) => format!("names `{name}`, but {reason}"),
            None => format!("names `{name}`, which is no model that can be asked"),
        };
        Some(Self { valve, message, is_error })
    }

    fn nothing_allowed() -> Self {
        let message = "leaves none of the models that there are: it must be names of models with commas between them, as in us.*, amazon.nova-*".into();
        Self { valve: ModelNameValve::Allowed, message, is_error: true }
    }

    /// Describes the name for an admin: `Fallbacks names …`.
    pub fn describe(&self) -> String {
        format!("{} {}", self.valve.title(), self.message)
    }
}
