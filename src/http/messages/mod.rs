//! Anthropic's Messages: the same chats as everywhere, asked and answered in its shape.
//!
//! `request` and `turns` make its request a [`Body`](pipe_sdk::Body), `answer` and `events` show what comes back, `error` what went wrong.

mod answer;
mod content;
mod error;
mod events;
mod places;
mod request;
mod turns;

pub use error::refusal;

use super::{Error, answer::Head, asker::Asker, face::Face, json::Json, unprefixed};
use actix_web::HttpResponse;
use events::Events;
use pipe_sdk::{Answer, PipeError};
use request::Request;
use serde_json::{Value, json};

/// Whether what is said at this path is said to Anthropic's clients.
pub fn is_theirs(path: &str) -> bool {
    let path = unprefixed(path);
    path == "/messages" || path.starts_with("/messages/")
}

/// The shape of the Messages API.
struct Messages;

impl Face for Messages {
    const ID: &'static str = "msg_";
    type Writer = Events;

    fn writer(&self, head: &Head) -> Events {
        Events::new(head)
    }

    fn plain(&self, head: &Head, answer: Answer) -> Result<Value, PipeError> {
        answer::message(head, &answer)
    }
}

/// `POST /messages`.
pub async fn create(asker: Asker, body: Json<Request>) -> Result<HttpResponse, Error> {
    let Json(asked) = body;
    asked.limited()?;
    let (body, places) = asked.into_body()?;
    let answer = asker.answer(body, Messages).await;
    answer.map_err(|error| error.renamed(|field| places.of(field)))
}

/// `POST /messages/count_tokens`.
pub async fn count_tokens(asker: Asker, body: Json<Request>) -> Result<HttpResponse, Error> {
    let Json(asked) = body;
    let (mut body, places) = asked.into_body()?;
    let counted = asker.host(&mut body).count_tokens(body).await;
    let tokens = counted.map_err(|error| asker.failed(error).renamed(|field| places.of(field)))?;
    Ok(HttpResponse::Ok().json(json!({"input_tokens": tokens})))
}
