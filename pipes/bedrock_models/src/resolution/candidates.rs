//! The models that may answer a request, in their order (`docs/reference/bedrock.md`, "Choosing a
//! model").

use crate::{
    catalog::{Listing, ModelEntry, geography, profile_prefix},
    family::{ModelQuirks, Quirk},
    valves::BedrockValves,
};
use pipe_sdk::CallerId;
use std::sync::Arc;

/// Returns the requested model, and after it those that may answer in its place.
///
/// First come the model's other regions, then the profile of its own geography, then the chains of
/// the valve *Fallbacks*. Only the chains may leave the geography: an admin has asked for it. They
/// are only for chats and images, because vectors of another model cannot be compared with those of
/// the first.
pub fn find_candidates(
    requested: &Arc<ModelEntry>,
    listing: &Listing,
    quirks: &ModelQuirks,
    caller: CallerId,
    valves: &BedrockValves,
) -> Vec<Arc<ModelEntry>> {
    let mut candidates = vec![requested];
    let home = geography(&requested.region);
    if valves.fallback_regions {
        let others = listing.other_regions(&requested.id).iter();
        candidates.extend(others.filter(|entry| geography(&entry.region) == home));
    }
    if valves.fallback_profiles && *requested.id == *requested.base {
        let profile = profile_prefix(home)
            .and_then(|prefix| listing.entry(&format!("{prefix}{}", requested.base)));
        candidates.extend(profile);
    }
    if requested.kind.answers_chats() {
        candidates.extend(find_chained(requested, listing));
    }
    let mut distinct: Vec<&Arc<ModelEntry>> = Vec::with_capacity(candidates.len());
    for entry in candidates {
        if !distinct.iter().any(|other| Arc::ptr_eq(other, entry)) {
            distinct.push(entry);
        }
    }
    // A model that has answered that it needs a profile's id is not asked again by its own.
    let has_own_id =
        |entry: &&Arc<ModelEntry>| !quirks.for_caller(&entry.id, caller).contains(&Quirk::BaseId);
    if distinct.len() > 1 && distinct.iter().any(has_own_id) {
        distinct.retain(has_own_id);
    }
    distinct.into_iter().map(Arc::clone).collect()
}

/// Returns a model that was called in one region, and after it those of the chains that are for it:
/// an admin has asked for them, whatever name the model is called by.
pub fn find_pinned_candidates(
    requested: &Arc<ModelEntry>,
    listing: &Listing,
) -> Vec<Arc<ModelEntry>> {
    let mut candidates = vec![Arc::clone(requested)];
    if requested.kind.answers_chats() {
        for entry in find_chained(requested, listing) {
            if !candidates.iter().any(|other| Arc::ptr_eq(other, entry)) {
                candidates.push(Arc::clone(entry));
            }
        }
    }
    candidates
}

/// Returns the models of the chains that are for this one.
fn find_chained<'a>(
    requested: &'a ModelEntry,
    listing: &'a Listing,
) -> impl Iterator<Item = &'a Arc<ModelEntry>> {
    let chains = listing.fallback_chains.iter().filter(|chain| {
        requested.matches_name(&chain.model) || is_other_name(&chain.model, requested, listing)
    });
    let entries = chains
        .flat_map(|chain| &chain.fallbacks)
        .filter_map(|name| listing.look_up_valve_name(name).map(|(entry, _)| entry));
    entries.filter(|entry| entry.kind == requested.kind)
}

/// Returns whether an admin's name for a model means this one: an alias, an ARN, or the id of a
/// profile that leads to it.
fn is_other_name(name: &str, requested: &ModelEntry, listing: &Listing) -> bool {
    listing.look_up_valve_name(name).is_some_and(|(entry, is_region_pinned)| {
        let is_in_region = !is_region_pinned || entry.region == requested.region;
        is_in_region && (entry.id == requested.id || entry.model_id == requested.model_id)
    })
}
