//! Resolves a model id: a listed model, another name for one, or the model for unknown ids.

mod candidates;

pub use candidates::{find_candidates, find_pinned_candidates};

use crate::{
    catalog::{Listing, Lookup, ModelEntry},
    valves::BedrockValves,
};
use pipe_sdk::{ModelKind, PipeError, Result};
use std::sync::Arc;

/// The model that an id means.
#[derive(Clone, Copy, Debug)]
pub struct ResolvedModel<'a> {
    /// The model.
    pub entry: &'a Arc<ModelEntry>,
    /// `true` if the id names a region, so that no other model may answer.
    pub is_region_pinned: bool,
    /// `true` if the id is the model's. Otherwise a pattern of *Model aliases* or *Default
    /// model* led to it.
    pub is_exact: bool,
}

/// Resolves an id. *Default model* is taken only if it supports this kind of request;
/// without a kind, for any.
pub fn resolve_model<'a>(
    id: &str,
    kind: Option<ModelKind>,
    listing: &'a Listing,
    valves: &BedrockValves,
) -> Result<ResolvedModel<'a>> {
    let exact = |entry, is_region_pinned| ResolvedModel { entry, is_region_pinned, is_exact: true };
    let denied = |reason: &str| PipeError::ModelGone { model: id.into(), reason: reason.into() };
    let name = &*listing.aliases.resolve(id);
    match listing.look_up(name) {
        Lookup::Found(entry) => return Ok(exact(entry, false)),
        Lookup::Pinned(entry) => return Ok(exact(entry, true)),
        Lookup::Incomplete(error) => return Err(error),
        Lookup::Denied(reason) => return Err(denied(reason)),
        Lookup::Unknown => {}
    }
    if let Some(reason) = listing.policy.denial_reason_of_id(name) {
        return Err(denied(reason));
    }
    if let Some(entry) = listing.profile_of(name) {
        return Ok(exact(entry, false));
    }
    if let Some(reason) = listing.denial_reason(name) {
        return Err(denied(reason));
    }
    if let Some(target) = listing.aliases.match_pattern(name) {
        let matched = resolve_model(&target, kind, listing, valves);
        let matched = matched.map(|model| ResolvedModel { is_exact: false, ..model });
        // The error names the id that the client sent.
        return matched.map_err(|error| match error {
            PipeError::ModelGone { reason, .. } => denied(&reason),
            PipeError::ModelNotFound(_) => PipeError::ModelNotFound(id.into()),
            error => error,
        });
    }
    let default = valves.default_model.as_deref();
    let default = default.and_then(|name| listing.look_up_valve_name(name));
    let default = default.filter(|(entry, _)| kind.is_none_or(|kind| entry.supports(kind)));
    let not_found = || PipeError::ModelNotFound(id.into());
    default
        .map(|(entry, pinned)| ResolvedModel { is_exact: false, ..exact(entry, pinned) })
        .ok_or_else(|| listing.uncertainty().unwrap_or_else(not_found))
}
