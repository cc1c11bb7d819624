//! Counts the tokens of a chat, by Bedrock's own count (`docs/reference/bedrock.md`, "Endpoints and
//! operations").

use crate::{
    catalog::ModelEntry,
    error::{BedrockError, to_pipe_error},
    location::ModelLocation,
    request::{ChatInput, prepare_count_tokens},
    sending::{self, CallDeps, CandidateError},
};
use bedrock_runtime::SendError;
use pipe_sdk::{Call, PipeError, Result};
use std::future::ready;

/// Counts the tokens of this chat for this model.
///
/// Only foundation models can count, so the one behind a profile is asked. Other models count
/// differently, so there is no fallback.
pub async fn count_tokens(call: &Call, entry: &ModelEntry, deps: CallDeps<'_>) -> Result<u64> {
    if deps.forced_failure.applies_to(entry, 0) {
        return Err(CandidateError::for_forced_failure(entry).error);
    }
    let base = &entry.base;
    let target = entry.target(&deps.quirks.for_caller(&entry.id, deps.caller));
    let body = prepare_count_tokens(&ChatInput { call, target: &target, valves: deps.valves })?;
    let location = &ModelLocation { model: base.as_str().into(), ..entry.location() };
    let counted = sending::send_operation(
        location,
        deps,
        |runtime, attempt| runtime.count_tokens(&location.region, base, body.clone(), attempt),
        |tokens| ready(Ok(tokens)),
    )
    .await;
    let (tokens, in_flight) = counted.map_err(|error| match error {
        BedrockError::Send(error) => count_error(error, entry, location),
        error => error.into_pipe_error(location),
    })?;
    in_flight.complete(None);
    Ok(tokens)
}

/// Returns the error of a count that the service refused.
fn count_error(error: SendError, entry: &ModelEntry, location: &ModelLocation) -> PipeError {
    let ModelEntry { id, name, region, .. } = entry;
    match error {
        SendError::Service(service_error)
            if service_error.message_contains("doesn't support counting tokens") =>
        {
            PipeError::uncounted(id)
        }
        SendError::Service(service_error) if service_error.code == "AccessDeniedException" => {
            PipeError::Denied(format!(
                "this AWS account may not count tokens with {name} in {region}: allow bedrock:CountTokens"
            ))
        }
        error => to_pipe_error(error, location),
    }
}
