//! Finds the names in valves that no model has.

use super::{
    listing::{Listing, Lookup},
    unknown_model_name::{ModelNameValve, UnknownModelName},
};
use crate::{model_id::strip_pipe_id, valves::BedrockValves};

/// Returns the names in the valves for which there is no model that can be called.
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
    let unknown = names.filter_map(|(valve, name)| find_unknown_name(valve, name, listing));
    let allows_nothing = listing.is_empty() && listing.policy.has_allow_list();
    let mut unknown: Vec<_> =
        unknown.chain(allows_nothing.then(UnknownModelName::nothing_allowed)).collect();
    unknown.sort();
    unknown.dedup();
    unknown
}

fn find_unknown_name(
    valve: ModelNameValve,
    name: &str,
    listing: &Listing,
) -> Option<UnknownModelName> {
    if listing.look_up_valve_name(name).is_some() {
        return None;
    }
    let name = &*listing.aliases.resolve(name);
    let denied = match listing.look_up(name) {
        Lookup::Denied(reason) => Some(reason),
        // A name that a pattern of the valves denies may be the name of no model.
        _ => listing.denial_reason(name),
    };
    Some(UnknownModelName::new(valve, name, denied))
}
