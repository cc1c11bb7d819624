//! How many tokens a chat would be read as, by Bedrock's own count (bedrock.md §2.1).

use crate::{
    catalogue::Entry,
    chat::Means,
    converse::{Asked, counted},
    error::of_chat,
};
use bedrock_runtime::{Failure, Operation, Request};
use http::HeaderMap;
use pipe_sdk::{Call, PipeError, Result};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::{sleep, timeout};

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
    let patience = Duration::from_secs(means.valves.first_event_timeout_seconds);
    let late = |_| PipeError::Timeout(format!("`{}` did not count in time", entry.base));
    timeout(patience, ask(call, entry, means)).await.map_err(late)?
}

async fn ask(call: &Call, entry: &Entry, means: Means<'_>) -> Result<u64> {
    let Entry { base, region, .. } = entry;
    let target = entry.target(&means.lessons.of(&entry.id), means.valves);
    let body = counted(&Asked { call, target: &target, valves: means.valves })?;
    let runtime = means.clients.runtime().await;
    let mut tries = means.clients.retries().tries(region, base, means.valves.max_attempts);
    loop {
        let request = Request {
            region,
            operation: Operation::CountTokens(base),
            body: body.clone(),
            headers: HeaderMap::new(),
            attempt: tries.attempt(),
        };
        let failure = match runtime.send(request).await {
            Ok(response) => {
                tries.succeeded();
                let json = response.into_body().whole(LARGEST).await;
                let counted = json.ok().and_then(|json| serde_json::from_slice(&json).ok());
                let unread = || PipeError::Upstream(format!("`{base}` did not say a number"));
                return counted.map(|Counted { input_tokens }| input_tokens).ok_or_else(unread);
            }
            Err(failure) => failure,
        };
        let Some(pause) = tries.after(&failure) else { return Err(refused(failure, entry)) };
        sleep(pause).await;
    }
}

fn refused(failure: Failure, Entry { id, base, region, .. }: &Entry) -> PipeError {
    match failure {
        Failure::Said(complaint) if complaint.says("doesn't support counting tokens") => {
            PipeError::uncounted(id)
        }
        Failure::Said(complaint) if complaint.code == "AccessDeniedException" => {
            PipeError::Denied(format!(
                "this AWS account may not count tokens with `{base}` in {region}: allow bedrock:CountTokens"
            ))
        }
        failure => of_chat(failure, base, region),
    }
}
