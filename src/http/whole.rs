//! What answers in one piece have in common that are no chats.

use super::{Error, asker::RequestContext, identity, record::RequestLog};
use pipe_sdk::{Demand, Host, PipeError};
use serde::Serialize;
use serde_json::Value;

/// What an answer cost, as OpenAI tells it where nothing is written but only read.
#[derive(Serialize)]
pub struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// The way to this model for who asks, who may be named in the body, unless a filter refuses it or the host is stopping.
pub async fn admitted(
    asker: &RequestContext,
    user: Option<Value>,
    model: &str,
    demand: Demand,
) -> Result<Host, Error> {
    if model.is_empty() {
        return Err(PipeError::bad_field("model", "model: name a model").into());
    }
    asker.admit(identity::asker(user, asker.headers()), model, demand).await
}

/// The usage of an answer for which so many tokens were read. The log has it too.
pub fn counted(record: &RequestLog, prompt_tokens: u64) -> Usage {
    let usage = pipe_sdk::Usage { prompt_tokens, ..pipe_sdk::Usage::default() };
    record.outcome().usage = Some(usage);
    Usage { prompt_tokens, total_tokens: prompt_tokens }
}
