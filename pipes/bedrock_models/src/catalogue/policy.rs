//! Which models an admin lets people use: what is not allowed is neither listed nor called, by whatever name.

use super::entry::Entry;
use crate::{names::bare, valves::BedrockValves};
use pipe_sdk::{matches_glob, split_list};

/// The valves *Allowed models* and *Denied models*.
#[derive(Debug)]
pub struct Policy {
    /// None allows all.
    allowed: Vec<String>,
    denied: Vec<String>,
}

/// Why a model is kept from people.
const DENIED: &str = "the valve Denied models keeps it from being used";
const NOT_ALLOWED: &str = "the valve Allowed models does not name it";

impl Policy {
    /// What these valves say.
    pub fn of(valves: &BedrockValves) -> Self {
        let names = |text| split_list(text).map(bare).map(String::from).collect();
        Self { allowed: names(&valves.allow), denied: names(&valves.deny) }
    }

    /// Whether nothing is allowed but what is named.
    pub fn is_narrow(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// Why this model may not be used, if it may not. A name means it that means its id, its ARN or the model behind it.
    pub fn bars(&self, entry: &Entry) -> Option<&'static str> {
        let means = |name: &String| entry.is_meant(name);
        if self.denied.iter().any(means) {
            Some(DENIED)
        } else if self.is_narrow() && !self.allowed.iter().any(means) {
            Some(NOT_ALLOWED)
        } else {
            None
        }
    }

    /// Why an id may not be used that no list has, if it may not.
    pub fn bars_name(&self, id: &str) -> Option<&'static str> {
        self.denied.iter().any(|name| matches_glob(name, id)).then_some(DENIED)
    }
}
