//! Chats: one way in for streamed and plain answers.

use super::{
    Error, State, frames, identity,
    json::{Json, JsonBody},
    record::Record,
    unix_seconds,
};
use crate::drain::Stage;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use futures_util::{StreamExt, stream};
use pipe_sdk::{Answer, Body, ChunkStream, Host, PipeError, Usage};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

impl JsonBody for Body {
    // Chats carry their images inside.
    const LIMIT: usize = 64 << 20;
    const MISFIT: StatusCode = StatusCode::BAD_REQUEST;
}

/// What every answer says of itself.
pub struct Head {
    /// Unique to the answer.
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The model as it was asked for.
    pub model: String,
}

/// `POST /chat/completions`.
pub async fn complete(
    state: web::Data<State>,
    request: HttpRequest,
    record: web::ReqData<Arc<Record>>,
    body: Json<Body>,
) -> Result<HttpResponse, Error> {
    let Json(mut body) = body;
    check(&body)?;
    if state.drain.stage() > Stage::Serving {
        return Err(leaving().into());
    }
    let (user, chat) = identity::take(&mut body, request.headers());
    let head = Head {
        id: format!("chatcmpl-{}", uuid::Uuid::new_v4().simple()),
        created: unix_seconds(),
        model: body.model.clone(),
    };
    let (streamed, with_usage) =
        (body.stream, body.stream_options.unwrap_or_default().include_usage);
    if state.registry.resolve(&body.model).is_some() {
        record.outcome().model = Some(body.model.clone());
    }
    let host = Host::new(state.registry.clone(), user, chat);
    let record = record.into_inner();
    let answer = async {
        let chunks = begun(host.pipe(body).await?).await?;
        record.outcome().first_chunk = Some(record.elapsed());
        if streamed {
            return Ok(frames::answer(
                &head,
                with_usage,
                chunks,
                &state.drain,
                Arc::clone(&record),
            ));
        }
        let answer = chunks.fold().await?;
        record.outcome().usage = answer.usage;
        plain(&head, answer)
    };
    tokio::select! {
        answer = answer => answer.map_err(|error: PipeError| error.into()),
        () = state.drain.cut() => Err(leaving().into()),
    }
}

fn check(body: &Body) -> Result<(), Error> {
    let missing = |field: &str, what: &str| {
        Error::from(PipeError::bad_field(field, format!("{field}: {what}")))
    };
    match body {
        Body { model, .. } if model.is_empty() => {
            Err(missing("model", "name a model, as `GET /models` lists them"))
        }
        Body { messages, .. } if messages.is_empty() => {
            Err(missing("messages", "send at least one message"))
        }
        _ => Ok(()),
    }
}

fn leaving() -> PipeError {
    let message = "the host is shutting down: try again in a moment".into();
    PipeError::Unavailable { message, retry_after: Some(Duration::from_secs(5)) }
}

/// What is under way when the host may wait no longer.
pub fn cut_off() -> Error {
    let message = "the host was stopped while it answered: what is there is not all of it".into();
    PipeError::Unavailable { message, retry_after: None }.into()
}

/// The same stream when its first chunk is there: until then, an error is the answer's status.
async fn begun(mut chunks: ChunkStream) -> Result<ChunkStream, PipeError> {
    match chunks.next().await {
        Some(first) => {
            let first = first?;
            Ok(ChunkStream::new(stream::iter([Ok(first)]).chain(chunks)))
        }
        None => Err(ended_early()),
    }
}

/// An answer that ended without saying why. Nobody may take it for a whole one.
pub fn ended_early() -> PipeError {
    PipeError::Upstream("the answer ended early: what is there is not all of it".into())
}

fn plain(head: &Head, answer: Answer) -> Result<HttpResponse, PipeError> {
    let finish = answer.finish.ok_or_else(ended_early)?;
    let Head { id, created, model } = head;
    let called = !answer.tool_calls.is_empty();
    let content =
        if answer.content.is_empty() && called { Value::Null } else { answer.content.into() };
    let mut message = json!({"role": "assistant", "content": content});
    if !answer.reasoning.is_empty() {
        message["reasoning_content"] = answer.reasoning.into();
    }
    if called {
        message["tool_calls"] = json!(answer.tool_calls);
    }
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish});
    let mut body = json!({"id": id, "object": "chat.completion", "created": created, "model": model, "choices": [choice]});
    if let Some(usage) = answer.usage {
        body["usage"] = usage_object(&usage);
    }
    Ok(HttpResponse::Ok().json(body))
}

/// OpenAI's `usage`.
pub fn usage_object(usage: &Usage) -> Value {
    let mut object = json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens(),
    });
    let mut details = |group: &str, key: &str, tokens: Option<u64>| {
        if let Some(tokens) = tokens {
            object[group][key] = tokens.into();
        }
    };
    details("prompt_tokens_details", "cached_tokens", usage.cached_tokens);
    details("prompt_tokens_details", "cache_creation_tokens", usage.cache_creation_tokens);
    details("completion_tokens_details", "reasoning_tokens", usage.reasoning_tokens);
    object
}
