//! What an id means that a client sends: a model, another name for one, or a model that only stands in.

use crate::{
    catalogue::{Entry, Listing, Search},
    fallback,
    names::bare,
    valves::BedrockValves,
};
use pipe_sdk::{ModelKind, PipeError, Result};

/// The model that is meant.
#[derive(Clone, Copy, Debug)]
pub struct Meaning<'a> {
    /// The model.
    pub entry: &'a Entry,
    /// Whether the id names a region, so that nobody may answer in its place.
    pub is_pinned: bool,
    /// Whether the id is the model's, and the model does not just stand in for whatever it may have meant.
    pub is_sure: bool,
}

/// The model that this id means. Without a kind, the one for unknown ids stands in for any.
pub fn meaning<'a>(
    id: &str,
    kind: Option<ModelKind>,
    listing: &'a Listing,
    valves: &BedrockValves,
) -> Result<Meaning<'a>> {
    let sure = |entry, is_pinned| Meaning { entry, is_pinned, is_sure: true };
    let barred = |why: &str| PipeError::ModelGone { model: id.into(), reason: why.into() };
    let name = &*listing.aliases.renamed(id);
    match listing.find(name) {
        Search::Found(entry) => return Ok(sure(entry, false)),
        Search::Pinned(entry) => return Ok(sure(entry, true)),
        Search::Missing(error) => return Err(error),
        Search::Denied(why) => return Err(barred(why)),
        Search::Unknown => {}
    }
    if let Some(why) = listing.policy.bars_name(name) {
        return Err(barred(why));
    }
    if let Some(entry) = fallback::profile_of(name, listing, valves) {
        return Ok(sure(entry, false));
    }
    if let Some(why) = listing.bars(name) {
        return Err(barred(why));
    }
    if let Some(target) = listing.aliases.caught(name) {
        let caught = meaning(&target, kind, listing, valves);
        let caught = caught.map(|meaning| Meaning { is_sure: false, ..meaning });
        // Who asked by another name is told of that name.
        return caught.map_err(|error| match error {
            PipeError::ModelGone { reason, .. } => barred(&reason),
            PipeError::ModelNotFound(_) => PipeError::ModelNotFound(id.into()),
            error => error,
        });
    }
    let default = valves.default_model.as_deref().and_then(|id| named(id, listing, valves));
    let default = default.filter(|default| kind.is_none_or(|kind| default.entry.does(kind)));
    let unknown = || PipeError::ModelNotFound(id.into());
    default
        .map(|default| Meaning { is_sure: false, ..default })
        .ok_or_else(|| listing.uncertainty().unwrap_or_else(unknown))
}

/// The model that an admin names in a valve.
pub fn named<'a>(name: &str, listing: &'a Listing, valves: &BedrockValves) -> Option<Meaning<'a>> {
    let name = &*listing.aliases.renamed(bare(name));
    match listing.find(name) {
        Search::Found(entry) => Some(Meaning { entry, is_pinned: false, is_sure: true }),
        Search::Pinned(entry) => Some(Meaning { entry, is_pinned: true, is_sure: true }),
        Search::Missing(_) | Search::Denied(_) => None,
        Search::Unknown => {
            let entry = fallback::profile_of(name, listing, valves)?;
            Some(Meaning { entry, is_pinned: false, is_sure: true })
        }
    }
}
