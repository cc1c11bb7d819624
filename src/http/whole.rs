//! What answers in one piece have in common that are no chats.

use super::{Error, State, answer, record::Record};
use crate::drain::Stage;
use pipe_sdk::{ChatRef, Host, PipeError, User};
use serde::Serialize;

/// What an answer cost, as OpenAI tells it where nothing is written but only read.
#[derive(Serialize)]
pub struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// The way to the models for this person.
pub fn host(state: &State, user: Option<User>) -> Host {
    Host::new(state.registry.clone(), user, ChatRef::default())
}

/// Waits for the answer of this model, unless the host leaves first.
pub async fn answered<T>(
    state: &State,
    record: &Record,
    model: &str,
    answer: impl Future<Output = Result<T, PipeError>>,
) -> Result<T, Error> {
    if model.is_empty() {
        return Err(PipeError::bad_field("model", "model: name a model").into());
    }
    if state.drain.stage() > Stage::Serving {
        return Err(answer::leaving().into());
    }
    if state.registry.resolve(model).is_some() {
        record.outcome().model = Some(model.into());
    }
    tokio::select! {
        answer = answer => answer.map_err(|error| {
            record.outcome().error = Some(error.to_string());
            error.into()
        }),
        () = state.drain.cut() => Err(answer::leaving().into()),
    }
}

/// The usage of an answer for which so many tokens were read. The log has it too.
pub fn counted(record: &Record, prompt_tokens: u64) -> Usage {
    let usage = pipe_sdk::Usage { prompt_tokens, ..pipe_sdk::Usage::default() };
    record.outcome().usage = Some(usage);
    Usage { prompt_tokens, total_tokens: prompt_tokens }
}
