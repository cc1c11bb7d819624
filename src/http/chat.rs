//! Chats in OpenAI's shape.

use super::{
    Error,
    answer::{self, Head},
    asker::RequestContext,
    face::ApiDialect,
    json::{Json, JsonBody},
    open_webui,
    shape::{Shape, chat::CHAT},
    writer::Writer,
};
use actix_web::{HttpResponse, http::StatusCode};
use pipe_sdk::{Answer, Body, PipeError};
use serde_json::Value;

impl JsonBody for Body {
    // Chats carry their images inside.
    const LIMIT: usize = 64 << 20;
    const SHAPE: &'static Shape = &CHAT;
    const MISFIT: StatusCode = StatusCode::BAD_REQUEST;
}

/// The shape of OpenAI's chat completions; `with_usage` if a streamed answer is to tell what it cost.
struct Completions {
    with_usage: bool,
    for_open_webui: bool,
}

impl ApiDialect for Completions {
    const ID: &'static str = "chatcmpl-";
    type Writer = Writer;

    /// Open WebUI reads every chunk as the first choice's.
    fn has_choices(&self) -> bool {
        !self.for_open_webui
    }

    fn writer(&self, head: &Head) -> Writer {
        Writer::new(head, self.with_usage).for_open_webui(self.for_open_webui)
    }

    fn plain(&self, head: &Head, answer: Answer) -> Result<Value, PipeError> {
        answer::plain(head, answer)
    }
}

/// `POST /chat/completions`.
pub async fn complete(asker: RequestContext, body: Json<Body>) -> Result<HttpResponse, Error> {
    let Json(body) = body;
    check(&body)?;
    let with_usage = body.stream_options.unwrap_or_default().include_usage;
    let for_open_webui = open_webui::asks(asker.headers());
    asker.answer(body, Completions { with_usage, for_open_webui }).await
}

fn is_several(n: &Value) -> bool {
    let number = n.as_f64().or_else(|| n.as_str()?.trim().parse().ok());
    !n.is_null() && n != "" && number != Some(1.0)
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
        Body { rest, .. } if rest.get("n").is_some_and(is_several) => {
            Err(missing("n", "one answer is given to a request: send it again for another"))
        }
        _ => Ok(()),
    }
}
