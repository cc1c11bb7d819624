//! Common parts of responses that are neither chats nor streams.

use super::{error::HttpError, identity, request_context::RequestContext, request_log::RequestLog};
use crate::model_call::ModelCall;
use pipe_sdk::{Demand, PipeError};
use serde::Serialize;
use serde_json::Value;

/// OpenAI's `usage` of requests without output tokens.
#[derive(Serialize)]
pub struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Admits a request for this model by the user, whom the body may name.
pub async fn admit_model<'a>(
    context: &'a RequestContext,
    user: Option<Value>,
    model: &str,
    demand: Demand,
) -> Result<ModelCall<'a>, HttpError> {
    if model.is_empty() {
        return Err(PipeError::bad_field("model", "model: name a model").into());
    }
    context.admit(identity::parse_user(user, context.headers()), model, demand).await
}

/// Returns the usage of this number of prompt tokens, and records it in the log.
pub fn record_prompt_tokens(request_log: &RequestLog, prompt_tokens: u64) -> Usage {
    let usage = pipe_sdk::Usage { prompt_tokens, ..pipe_sdk::Usage::default() };
    request_log.outcome().usage = Some(usage);
    Usage { prompt_tokens, total_tokens: prompt_tokens }
}
