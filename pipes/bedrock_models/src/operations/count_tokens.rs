//! Counts the tokens of a chat, by Bedrock's own count (`docs/reference/bedrock.md`, "Endpoints and
//! operations").

use crate::{
    catalog::ModelEntry,
    error::{BedrockError, to_pipe_error},
    location::ModelLocation,
    request::{ChatInput, prepare_count_tokens},
    sending::{self, CallDeps, CandidateError, InvokeRequest},
};
use bedrock_runtime::{Operation, Response, SendError};
use pipe_sdk::{Call, PipeError, Result};
use serde::Deserialize;

/// An answer is one number.
const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// The body of a response of `CountTokens`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CountTokensResponse {
    input_tokens: u64,
}

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
    let request = InvokeRequest { location, operation: Operation::CountTokens(base), body };
    let counted = sending::send(request, deps, read).await;
    let (tokens, in_flight) = counted.map_err(|error| match error {
        BedrockError::Send(error) => count_error(error, entry, location),
        error => error.into_pipe_error(location),
    })?;
    in_flight.complete(None);
    Ok(tokens)
}

/// Reads the number of tokens from a response.
async fn read(response: Response) -> Result<u64, BedrockError> {
    let json = response
        .into_body()
        .read_up_to(MAX_RESPONSE_BYTES)
        .await
        .map_err(|_| BedrockError::ConnectionClosed)?;
    let unreadable = |_| BedrockError::Protocol("it did not say a number".into());
    let CountTokensResponse { input_tokens } = serde_json::from_slice(&json).map_err(unreadable)?;
    Ok(input_tokens)
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
