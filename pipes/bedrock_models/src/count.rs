//! How many tokens a chat would be read as, by Bedrock's own count (`docs/reference/bedrock.md`, "Endpoints and operations").

use crate::{
    attempts::{self, InvokeRequest, Means},
    catalogue::Entry,
    converse::{Asked, counted},
    error::of_chat,
    stream::{Source, Trouble},
};
use bedrock_runtime::{Operation, Response, SendError};
use pipe_sdk::{Call, PipeError, Result};
use serde::Deserialize;
use std::sync::Arc;

/// An answer is one number.
const LARGEST: usize = 64 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    input_tokens: u64,
}

/// Counts this chat as this model would read it.
///
/// Only foundation models count, so the one behind a profile is asked. No other counts alike, so there is no fallback.
pub async fn count(call: &Call, entry: &Entry, means: Means<'_>) -> Result<u64> {
    if let Some(unanswered) = means.forced.of_entry(entry, 0) {
        return Err(unanswered.error);
    }
    let Entry { base, region, .. } = entry;
    let target = entry.target(&means.lessons.of(&entry.id, means.caller), means.valves);
    let body = counted(&Asked { call, target: &target, valves: means.valves })?;
    let source = &Source { model: base.clone(), region: Arc::clone(region) };
    let errand = InvokeRequest { source, operation: Operation::CountTokens(base), body };
    let counted = attempts::send(errand, means, read).await;
    let (tokens, running) = counted.map_err(|trouble| match trouble {
        Trouble::SendError(failure) => refused(failure, entry),
        trouble => trouble.error(source),
    })?;
    running.settle(None);
    Ok(tokens)
}

async fn read(response: Response) -> Result<u64, Trouble> {
    let json = response.into_body().whole(LARGEST).await.map_err(|_| Trouble::Cut)?;
    let unread = |_| Trouble::Garbled("it did not say a number".into());
    let Counted { input_tokens } = serde_json::from_slice(&json).map_err(unread)?;
    Ok(input_tokens)
}

fn refused(failure: SendError, Entry { id, base, region, .. }: &Entry) -> PipeError {
    match failure {
        SendError::Said(complaint) if complaint.says("doesn't support counting tokens") => {
            PipeError::uncounted(id)
        }
        SendError::Said(complaint) if complaint.code == "AccessDeniedException" => {
            PipeError::Denied(format!(
                "this AWS account may not count tokens with `{base}` in {region}: allow bedrock:CountTokens"
            ))
        }
        failure => of_chat(failure, base, region),
    }
}
