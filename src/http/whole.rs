//! What answers in one piece have in common that are no chats.

use super::{Error, asker::RequestContext, record::RequestLog};
use pipe_sdk::{Host, ModelKind, PipeError};
use serde::Serialize;

/// What an answer cost, as OpenAI tells it where nothing is written but only read.
#[derive(Serialize)]
pub struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Waits for the answer of this model, unless a filter refuses it or the host leaves first.
pub async fn answered<T>(
    asker: &RequestContext,
    model: &str,
    kind: ModelKind,
    host: &Host,
    answer: impl Future<Output = Result<T, PipeError>>,
) -> Result<T, Error> {
    if model.is_empty() {
        return Err(PipeError::bad_field("model", "model: name a model").into());
    }
    asker.is_served()?;
    asker.asks_for(model);
    asker.is_admitted(model, kind, host).await?;
    asker.answered(answer).await
}

/// The usage of an answer for which so many tokens were read. The log has it too.
pub fn counted(record: &RequestLog, prompt_tokens: u64) -> Usage {
    let usage = pipe_sdk::Usage { prompt_tokens, ..pipe_sdk::Usage::default() };
    record.outcome().usage = Some(usage);
    Usage { prompt_tokens, total_tokens: prompt_tokens }
}
