//! Names in valves that no model has: an admin's slip that nobody would notice until it is too late.

use super::listing::{Listing, Search};
use crate::{meaning::named, names::bare, valves::BedrockValves};
use pipe_sdk::{ValveError, split_list};

/// A valve that names models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Naming {
    /// *Other names*.
    Aliases,
    /// *Allowed models*.
    Allowed,
    /// *Model for unknown ids*.
    Default,
    /// *Fallbacks*.
    Fallbacks,
}

/// What a valve names that cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stray {
    valve: Naming,
    words: String,
    /// Whether nothing can come of it. A pattern may be for models to come, and what is denied may be allowed again.
    is_slip: bool,
}

impl Naming {
    const ALL: [Self; 4] = [Self::Aliases, Self::Allowed, Self::Default, Self::Fallbacks];

    fn field(self) -> &'static str {
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

    fn text(self, valves: &BedrockValves) -> &Option<String> {
        match self {
            Self::Aliases => &valves.aliases,
            Self::Allowed => &valves.allow,
            Self::Default => &valves.default_model,
            Self::Fallbacks => &valves.fallbacks,
        }
    }

    fn is_turned(self, before: &BedrockValves, now: &BedrockValves) -> bool {
        self.text(before) != self.text(now)
    }
}

/// Whether names have been entered since these valves.
pub fn are_names_turned(before: &BedrockValves, now: &BedrockValves) -> bool {
    Naming::ALL.into_iter().any(|valve| valve.is_turned(before, now))
}

/// What the valves name that cannot be asked.
pub fn strays(listing: &Listing, valves: &BedrockValves) -> Vec<Stray> {
    let aliases = listing.aliases.iter().map(|(_, target)| (Naming::Aliases, target));
    let links = split_list(&valves.fallbacks).flat_map(|chain| chain.split('>').skip(1).map(bare));
    let firsts =
        split_list(&valves.fallbacks).filter_map(|chain| chain.split('>').next().map(bare));
    let links = links.chain(firsts.filter(|name| !listing.has_like(name)));
    let links = links.map(|name| (Naming::Fallbacks, name));
    let default = valves.default_model.as_deref().map(bare).filter(|name| !name.is_empty());
    let default = default.map(|name| (Naming::Default, name));
    let named = aliases.chain(links).chain(default);
    let named = named.filter_map(|(valve, name)| Stray::of(valve, name, listing, valves));
    let nothing = (listing.is_empty() && listing.policy.is_narrow()).then(Stray::nothing);
    let mut strays: Vec<_> = named.chain(nothing).collect();
    strays.sort();
    strays.dedup();
    strays
}

/// What has gone wrong in the valves that have been turned since these.
pub fn slips(strays: &[Stray], before: &BedrockValves, now: &BedrockValves) -> Vec<ValveError> {
    let strays = strays.iter().filter(|stray| stray.is_slip && stray.valve.is_turned(before, now));
    strays.map(|Stray { valve, words, .. }| ValveError::new(valve.field(), words)).collect()
}

impl Stray {
    /// `None` if there is such a model.
    fn of(valve: Naming, name: &str, listing: &Listing, valves: &BedrockValves) -> Option<Self> {
        if named(name, listing, valves).is_some() {
            return None;
        }
        let name = &*listing.aliases.renamed(name);
        let barred = match listing.find(name) {
            Search::Denied(why) => Some(why),
            // A name that the valves bar for its form alone is no model's yet.
            _ => listing.bars(name),
        };
        let is_slip = barred.is_none() && !name.contains('*');
        let words = match barred {
            Some(why) => format!("names `{name}`, but {why}"),
            None => format!("names `{name}`, which is no model that can be asked"),
        };
        Some(Self { valve, words, is_slip })
    }

    fn nothing() -> Self {
        let words = "leaves none of the models that there are: it must be names of models with commas between them, as in us.*, amazon.nova-*".into();
        Self { valve: Naming::Allowed, words, is_slip: true }
    }

    /// In words for an admin.
    pub fn line(&self) -> String {
        format!("{} {}", self.valve.title(), self.words)
    }
}
