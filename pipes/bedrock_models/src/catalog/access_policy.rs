//! The models that an admin allows. A model that is not allowed is neither listed nor called, by
//! any name.

use super::model_entry::ModelEntry;
use crate::{model_id::strip_pipe_id, valves::BedrockValves};
use pipe_sdk::{matches_glob, split_list};

/// The valves *Allowed models* and *Denied models*.
#[derive(Debug)]
pub struct AccessPolicy {
    /// Names and patterns; an empty list allows all models.
    allowed: Vec<String>,
    denied: Vec<String>,
}

/// The reason why a model of the valve *Denied models* is refused.
const DENIED: &str = "it is in the valve *Denied models*";
/// The reason why a model that is not in the valve *Allowed models* is refused.
const NOT_ALLOWED: &str = "it is not in the valve *Allowed models*";

impl AccessPolicy {
    /// Creates the policy of these valves.
    pub fn from_valves(valves: &BedrockValves) -> Self {
        let names = |text| split_list(text).map(strip_pipe_id).map(String::from).collect();
        Self { allowed: names(&valves.allow), denied: names(&valves.deny) }
    }

    /// Returns whether only the named models are allowed.
    pub fn has_allow_list(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// Returns the reason for which a model must not be used, if there is one. A name in the valves
    /// matches the model's id, its ARN and the foundation model behind it.
    pub fn denial_reason(&self, entry: &ModelEntry) -> Option<&'static str> {
        let is_named = |name: &String| entry.matches_name(name);
        if self.denied.iter().any(is_named) {
            Some(DENIED)
        } else if self.has_allow_list() && !self.allowed.iter().any(is_named) {
            Some(NOT_ALLOWED)
        } else {
            None
        }
    }

    /// Returns the reason for which an id that is in no list must not be used, if there is one.
    pub fn denial_reason_of_id(&self, id: &str) -> Option<&'static str> {
        self.denied.iter().any(|name| matches_glob(name, id)).then_some(DENIED)
    }
}
