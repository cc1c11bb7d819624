//! Anthropic's Messages API (<https://docs.claude.com/en/api/messages>): a request becomes a chat,
//! and its answer a message.
//!
//! `request` and `turns` turn a request into a [`Body`](pipe_sdk::Body), `answer` and `events`
//! write the answer.

mod answer;
mod content;
mod events;
mod field_paths;
mod request;
mod source;
mod turns;

pub use request::Request;

use super::{
    answer::{ResponseHead, ended_early, token_count_response},
    api_dialect::{ApiDialect, answer_chat},
    error::HttpError,
    json::Json,
    request_context::RequestContext,
    tool_choice,
};
use actix_web::HttpResponse;
use events::EventWriter;
use pipe_sdk::{Answer, Demand, PipeError};
use request::ConvertedRequest;
use serde_json::{Value, json};

/// The dialect of the Messages API, with notes about ignored parts of the request.
struct MessagesDialect {
    notes: Vec<String>,
}

impl ApiDialect for MessagesDialect {
    const ID: &'static str = "msg_";
    type Writer = EventWriter;
    type Whole = Value;

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn writer(&self, head: &ResponseHead) -> EventWriter {
        EventWriter::new(head)
    }

    fn response_object(
        &self,
        head: &ResponseHead,
        answers: Vec<Answer>,
    ) -> Result<Value, PipeError> {
        let answer = answers.into_iter().next().ok_or_else(ended_early)?;
        answer::message_object(head, &answer)
    }
}

/// `POST /messages`.
pub async fn create(
    context: RequestContext,
    body: Json<Request>,
) -> Result<HttpResponse, HttpError> {
    let Json(request) = body;
    request.check_max_tokens()?;
    let converted = context.compute(|| request.into_chat()).await?;
    let ConvertedRequest { body, field_paths, notes } = converted;
    let answer = answer_chat(context, body, MessagesDialect { notes }).await;
    answer.map_err(|error| error.with_client_field(|field| field_paths.original_field(field)))
}

/// `POST /messages/count_tokens`.
pub async fn count_tokens(
    context: RequestContext,
    body: Json<Request>,
) -> Result<HttpResponse, HttpError> {
    let Json(request) = body;
    let converted = context.compute(|| request.into_chat()).await?;
    let ConvertedRequest { mut body, field_paths, .. } = converted;
    tool_choice::check_tool_choice(&body).map_err(|error| {
        HttpError::from(error).with_client_field(|field| field_paths.original_field(field))
    })?;
    let counted = async {
        let model_call = context.admit_chat(&mut body, Demand::token_count()).await?;
        let call = model_call.start_call(body)?;
        context.or_shutdown(model_call.count_tokens(call)).await
    };
    let count = counted
        .await
        .map_err(|error| error.with_client_field(|field| field_paths.original_field(field)))?;
    Ok(token_count_response(count).json(json!({"input_tokens": count.tokens})))
}
