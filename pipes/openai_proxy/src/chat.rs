//! One chat: who may answer it, and the first who does.

use crate::{
    PIPE,
    catalogue::{Entry, Listing},
    quota::Quota,
    upstreams::{Connected, Upstreams},
    ways::Ways,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use openai_client::{Complaint, Trouble};
use pipe_sdk::{Call, Chunk, ChunkStream, Demand, ModelKind, PipeError, Result, matches_glob};
use std::time::Duration;

/// What a person counts as who is not known.
const ANYBODY: &str = "";

const SOON: Duration = Duration::from_secs(5);

/// Answers this chat by the first of these models that can.
pub(crate) async fn chat(
    call: &Call,
    entries: &[Entry],
    upstreams: &Upstreams,
) -> Result<ChunkStream> {
    let mut first_error = None;
    for (place, entry) in entries.iter().enumerate() {
        let Connected { server, quota, .. } = &upstreams.connected()[entry.way];
        let id = format!("{PIPE}.{}", entry.id);
        if let Err(error) = call.host.admit(&id, Demand::chat(&call.body)).await {
            // Another one may have room.
            first_error.get_or_insert(error);
            continue;
        }
        if call.chat.task.is_none() {
            within(quota, call)?;
        }
        let answered = match forced(call, entry, place) {
            Some(trouble) => Err(trouble),
            None => server.chat(&entry.name, &call.body, call.host.context()).await,
        };
        let trouble = match answered {
            Ok(chunks) => return Ok(told(id, chunks)),
            Err(trouble) => trouble,
        };
        let passes_on = trouble.passes_on();
        let error = trouble.error(&id);
        if let Some(next) = entries.get(place + 1).filter(|_| passes_on) {
            let next = &next.id;
            let kind = error.kind();
            tracing::warn!(model = id, "`{id}` does not answer, so `{next}` is asked: {kind}.");
            // An upstream may quote the prompt.
            tracing::debug!(model = id, %error, "Why `{id}` does not answer.");
        }
        // What the first one says is the error if none can: it is the one that was asked.
        first_error.get_or_insert(error);
        if !passes_on {
            break;
        }
    }
    Err(first_error.unwrap_or_else(|| PipeError::internal("nobody was there to be asked")))
}

/// The failure that the request asks for, so that fallbacks can be tried: by the header `x-pipewright-fail`, which says `first`, or names with
/// `*`, separated by commas.
fn forced(call: &Call, entry: &Entry, place: usize) -> Option<Trouble> {
    let wish = call.hints.get("x-pipewright-fail")?.trim();
    let is_meant = match wish {
        "first" | "1" | "true" => place == 0,
        names => names.split(',').any(|name| matches_glob(name.trim(), &entry.id)),
    };
    let complaint = Complaint {
        status: 429,
        message: "the request asked for this failure, by x-pipewright-fail".into(),
        retry_after: Some(SOON),
        ..Complaint::default()
    };
    is_meant.then_some(Trouble::Said(complaint))
}

fn told(id: String, chunks: openai_client::Chunks) -> ChunkStream {
    let model = Chunk::Model(id.clone());
    let chunks = chunks.map_err(move |trouble| trouble.error(&id));
    ChunkStream::new(stream::iter([Ok(model)]).chain(chunks))
}

fn within(quota: &Quota, call: &Call) -> Result<()> {
    let who = call.user.as_ref().map_or(ANYBODY, |user| &user.id);
    quota.ask(who).map_err(|wait| PipeError::Throttled {
        message: format!(
            "only {} questions a minute may be asked: try again in {} s, or have an admin raise the valve `rate_limit` of `{PIPE}` (0: no limit)",
            quota.most(),
            wait.as_secs_f64().ceil()
        ),
        retry_after: Some(wait),
    })
}

/// The model that was asked and after it the one that may answer in its place.
pub(crate) fn candidates(model: &str, listing: &Listing, ways: &Ways) -> Result<Vec<Entry>> {
    let guessed = || listing.guess(model, ways, ModelKind::Chat);
    let asked = listing.entry(model).cloned();
    if asked.is_none()
        && let Some(error) = listing.gap(model, ways)
    {
        return Err(error);
    }
    let asked = asked.or_else(guessed);
    let place = asked.as_ref().map(|entry| entry.way).or(ways.named(model).map(|(way, _)| way));
    let fallback = place.and_then(|place| fallback(place, listing, ways));
    let is_other = |entry: &&Entry| asked.as_ref() != Some(*entry);
    let fallback = fallback.filter(is_other).cloned();
    let candidates: Vec<_> = asked.into_iter().chain(fallback).collect();
    if candidates.is_empty() {
        return Err(PipeError::ModelNotFound(format!("{PIPE}.{model}")));
    }
    Ok(candidates)
}

/// The model that answers in place of those of this upstream: one of its own or any other, as far as it is listed.
fn fallback<'a>(place: usize, listing: &'a Listing, ways: &Ways) -> Option<&'a Entry> {
    let way = &ways.0[place];
    let id = way.fallback.as_deref()?;
    let entry = listing.entry(&way.id(id)).or_else(|| listing.entry(id));
    entry.filter(|entry| entry.kind == ModelKind::Chat)
}
