//! OpenAI's Responses API: another face of the same chats. Nothing is stored, so every request brings its whole conversation.

mod answer;
mod events;
mod fields;
mod input;
mod item;
mod request;
mod tools;
mod wire;

use super::{
    Error,
    answer::Head,
    asker::RequestContext,
    face::ApiDialect,
    json::{Json, JsonBody},
    shape::{Shape, responses},
};
use actix_web::{HttpResponse, http::StatusCode};
use answer::Response;
use events::Events;
use pipe_sdk::{Answer, Body, PipeError};
use request::{Asked, Request, Wishes};
use serde_json::Value;

impl JsonBody for Request {
    const LIMIT: usize = Body::LIMIT;
    const SHAPE: &'static Shape = &responses::REQUEST;
    const MISFIT: StatusCode = StatusCode::BAD_REQUEST;
}

impl ApiDialect for Wishes {
    const ID: &'static str = "resp_";
    type Writer = Events;

    fn notes(&self) -> Vec<String> {
        self.tools.notes.clone()
    }

    fn writer(&self, head: &Head) -> Events {
        Events::new(Response::new(head, self))
    }

    fn plain(&self, head: &Head, answer: Answer) -> Result<Value, PipeError> {
        Response::new(head, self).whole(answer)
    }
}

/// `POST /responses`.
pub async fn create(asker: RequestContext, body: Json<Request>) -> Result<HttpResponse, Error> {
    let Asked { chat, wishes, fields } = body.0.read()?;
    asker.answer(chat, wishes).await.map_err(|error| error.renamed(|field| fields.own(field)))
}
