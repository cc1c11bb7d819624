//! The response object.

use super::{
    item::{self, OutputItem, OutputItemKind},
    request::ResponseOptions,
};
use crate::http::{
    answer::{ResponseHead, ended_early},
    client_tools::ClientTools,
    error::HttpError,
};
use actix_web::ResponseError;
use pipe_sdk::{Answer, FinishReason, PipeError, Usage};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The response object of one answer, complete or in progress.
#[derive(Debug)]
pub struct Response {
    /// The fields that never change.
    fields: Map<String, Value>,
    encrypted: bool,
    /// The tools as the client knows them.
    pub tools: Arc<ClientTools>,
    /// `true` if it is a summary that replaces the conversation.
    pub compacts: bool,
    /// The output items: reasoning, messages and calls.
    pub items: Vec<OutputItem>,
    /// The reason why it ended.
    pub finish: Option<FinishReason>,
    /// The usage.
    pub usage: Option<Usage>,
}

impl Response {
    /// Returns a response with this head and these options.
    pub fn new(head: &ResponseHead, options: &ResponseOptions) -> Self {
        let ResponseHead { id, created, model, .. } = head;
        let mut fields = Map::new();
        fields.insert("id".into(), id.as_str().into());
        fields.insert("object".into(), "response".into());
        fields.insert("created_at".into(), (*created).into());
        fields.insert("model".into(), model.as_str().into());
        fields.extend(options.echo.clone());
        if let Some(substitute) = head.substitute() {
            fields.insert("selected_model_id".into(), substitute.into());
        }
        let ResponseOptions { encrypted, compacts, ref tools, .. } = *options;
        let (items, tools) = (Vec::new(), Arc::clone(tools));
        Self { fields, encrypted, tools, compacts, items, finish: None, usage: None }
    }

    /// Adds a field beside the items.
    pub fn add_fact(&mut self, name: &str, fact: Value) {
        self.fields.insert(name.into(), fact);
    }

    /// Returns the object of a complete answer.
    pub fn complete_object(mut self, mut answer: Answer) -> Result<Value, PipeError> {
        let finish = answer.finish.ok_or_else(ended_early)?;
        (self.finish, self.usage) = (Some(finish), answer.usage);
        self.fields.append(&mut answer.facts);
        answer.content = answer.text_with_images();
        self.items = if self.compacts {
            vec![OutputItem::new(OutputItemKind::Compaction(answer.content))]
        } else {
            OutputItem::from_answer(answer, &self.tools)
        };
        item::set_final_status(&mut self.items, finish);
        Ok(self.object(None))
    }

    /// Returns the status in OpenAI's words.
    pub fn status(&self) -> &'static str {
        match self.finish {
            None => "in_progress",
            Some(FinishReason::Stop | FinishReason::ToolCalls) => "completed",
            Some(FinishReason::Length | FinishReason::ContentFilter) => "incomplete",
        }
    }

    /// Returns the object of the item at this place.
    pub fn item_object(&self, place: usize) -> Value {
        self.items[place].object(self.encrypted)
    }

    /// Returns the object as it is now, or as it ends with this error.
    pub fn object(&self, error: Option<&HttpError>) -> Value {
        let mut object = self.fields.clone();
        let mut insert = |name: &str, value: Value| _ = object.insert(name.into(), value);
        let status = if error.is_some() { "failed" } else { self.status() };
        insert("status", status.into());
        insert("error", error.map_or(Value::Null, error_object));
        insert("incomplete_details", self.finish.and_then(incomplete_details).into());
        insert("output", self.items.iter().map(|item| item.object(self.encrypted)).collect());
        insert("usage", self.usage.as_ref().map_or(Value::Null, usage_object));
        object.into()
    }
}

/// Returns the `error` field of a failed response.
fn error_object(error: &HttpError) -> Value {
    let code = match error.status_code().as_u16() {
        _ if error.is_too_long() => "context_length_exceeded",
        429 => "rate_limit_exceeded",
        400..=499 => "invalid_prompt",
        _ => "server_error",
    };
    json!({"code": code, "message": error.to_string()})
}

fn incomplete_details(finish: FinishReason) -> Option<Value> {
    let reason = match finish {
        FinishReason::Stop | FinishReason::ToolCalls => return None,
        FinishReason::Length => "max_output_tokens",
        FinishReason::ContentFilter => "content_filter",
    };
    Some(json!({"reason": reason}))
}

fn usage_object(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens.unwrap_or(0),
            "cache_write_tokens": usage.cache_creation_tokens.unwrap_or(0),
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens.unwrap_or(0)},
        "total_tokens": usage.total_tokens(),
    })
}
