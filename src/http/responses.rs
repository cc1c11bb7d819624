//! OpenAI's Responses API (<https://platform.openai.com/docs/api-reference/responses>): a request
//! becomes a chat, its chunks become events. Responses are stored only by models that keep
//! conversations; for all others, every request brings its whole conversation.

mod answer;
mod event_buffer;
mod events;
mod field_paths;
mod input;
mod item;
mod request;
mod tools;

use super::{
    answer::{ResponseHead, ended_early, token_count_response},
    api_dialect::{ApiDialect, answer_chat},
    error::HttpError,
    json::{Json, JsonBody},
    request_context::RequestContext,
    shape::{Shape, responses},
    sse_body::FrameWriter,
};
use actix_web::{HttpResponse, http::StatusCode};
use answer::Response;
use events::EventWriter;
use pipe_sdk::{Answer, Body, Demand, PipeError};
use request::ResponseOptions;
pub use request::{ConvertedRequest, Request};
use serde_json::{Value, json};

impl JsonBody for Request {
    const LIMIT: usize = Body::LIMIT;
    const SHAPE: &'static Shape = &responses::REQUEST;
    const INVALID_STATUS: StatusCode = StatusCode::BAD_REQUEST;
}

impl ApiDialect for ResponseOptions {
    const ID: &'static str = "resp_";
    type Writer = EventWriter;
    type Whole = Value;

    fn response_id(&self) -> Option<String> {
        self.response.as_ref()?.id.clone()
    }

    fn notes(&self) -> Vec<String> {
        self.tools.notes.clone()
    }

    fn writer(&self, head: &ResponseHead) -> EventWriter {
        EventWriter::new(Response::new(head, self))
    }

    fn response_object(
        &self,
        head: &ResponseHead,
        answers: Vec<Answer>,
    ) -> Result<Value, PipeError> {
        let answer = answers.into_iter().next().ok_or_else(ended_early)?;
        let response = Response::new(head, self).complete_object(answer)?;
        if !self.is_compaction {
            return Ok(response);
        }
        Ok(json!({
            "id": response["id"], "object": "response.compaction", "created_at": response["created_at"],
            "output": response["output"], "usage": response["usage"],
        }))
    }
}

/// `POST /responses/input_tokens`.
pub async fn input_tokens(
    context: RequestContext,
    body: Json<Request>,
) -> Result<HttpResponse, HttpError> {
    let converted = context.compute(|| body.0.into_chat()).await?;
    let ConvertedRequest { mut chat, field_paths, .. } = converted;
    let counted = async {
        let model_call = context.admit_chat(&mut chat, Demand::token_count()).await?;
        let call = model_call.start_call(chat)?;
        context.or_shutdown(model_call.count_tokens(call)).await
    };
    let count = counted
        .await
        .map_err(|error| error.with_client_field(|field| field_paths.original_field(field)))?;
    let counted = json!({"object": "response.input_tokens", "input_tokens": count.tokens});
    Ok(token_count_response(count).json(counted))
}

/// `POST /responses/compact`: a summary that replaces the conversation.
pub async fn compact(
    context: RequestContext,
    body: Json<Request>,
) -> Result<HttpResponse, HttpError> {
    let converted = context.compute(|| body.0.for_compaction().into_chat()).await?;
    let ConvertedRequest { chat, options, field_paths } = converted;
    answer_chat(context, chat, options)
        .await
        .map_err(|error| error.with_client_field(|field| field_paths.original_field(field)))
}

/// `POST /responses`.
pub async fn create(
    context: RequestContext,
    body: Json<Request>,
) -> Result<HttpResponse, HttpError> {
    let stores_responses = context.state.registry.stores_responses(body.0.model());
    let request = if stores_responses { body.0.with_storage(ResponseOptions::ID)? } else { body.0 };
    let converted = context.compute(|| request.into_chat()).await?;
    let ConvertedRequest { chat, options, field_paths } = converted;
    let context = context.with_response(options.response.clone());
    // Codex makes its conversation shorter if the response fails, but not if the request is
    // refused.
    let is_codex = context
        .headers()
        .get("originator")
        .is_some_and(|name| name.as_bytes().to_ascii_lowercase().starts_with(b"codex"));
    let head = ResponseHead::new(ResponseOptions::ID, &chat.model);
    let failing = (chat.stream && is_codex).then(|| options.clone());
    let answered = answer_chat(context, chat, options).await;
    match (
        answered
            .map_err(|error| error.with_client_field(|field| field_paths.original_field(field))),
        failing,
    ) {
        (Err(error), Some(options)) if error.is_too_long() => {
            let mut events = options.writer(&head);
            events.error(&error);
            Ok(head.response().content_type("text/event-stream").body(events.take()))
        }
        (answered, _) => answered,
    }
}
