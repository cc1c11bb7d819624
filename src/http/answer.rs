//! The common parts of every answer, streamed or plain.

use super::{
    client_tools::{ClientTools, ToolKind, parse_input},
    clock::unix_seconds,
    error::HttpError,
};
use crate::model_call::TokenCount;
use actix_web::{HttpResponse, HttpResponseBuilder};
use pipe_sdk::{
    Answer, FinishReason, Picture, PipeError, ReasoningDetail, Side, TokenLogprob, ToolCall, Usage,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The fields that every answer has.
pub struct ResponseHead {
    /// Unique to the answer.
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The model as it was asked for.
    pub model: String,
    /// The model that answers, if its pipe has named it.
    pub answerer: Option<String>,
    /// The side of a router that it is on.
    pub side: Option<Side>,
    /// The fields of the request that were left out.
    pub notes: Vec<String>,
    /// The estimated number of tokens of the request.
    pub prompt_tokens: u64,
}

/// The header that says who answered.
const MODEL_HEADER: &str = "x-pipewright-model";

/// The header that says what of the request was left out, and why.
const NOTES_HEADER: &str = "x-pipewright-notes";

/// The longest header of notes, in bytes.
const MAX_NOTES_BYTES: usize = 1000;

/// The header that says on which side of a router.
const SIDE_HEADER: &str = "x-pipewright-side";

impl ResponseHead {
    /// Creates the head of an answer by this model, whose id begins with `id`.
    pub fn new(id: &str, model: &str) -> Self {
        let id = format!("{id}{}", uuid::Uuid::new_v4().simple());
        Self {
            id,
            created: unix_seconds(),
            model: model.into(),
            answerer: None,
            side: None,
            notes: Vec::new(),
            prompt_tokens: 0,
        }
    }

    /// Returns the model that answers in place of the requested one.
    pub fn substitute(&self) -> Option<&str> {
        let is_other = |answerer: &&str| {
            // The pipe's name may be left away before an id.
            let bare = answerer.split_once('.').map(|(_, model)| model);
            *answerer != self.model && bare != Some(&*self.model)
        };
        self.answerer.as_deref().filter(is_other)
    }

    /// Returns a successful response with this head, without its body.
    pub fn response(&self) -> HttpResponseBuilder {
        let mut response = HttpResponse::Ok();
        // A header holds plain text only, and an upstream's models may be called anything.
        let is_plain = |answerer: &&String| answerer.bytes().all(|b| matches!(b, b' '..=b'~'));
        if let Some(answerer) = self.answerer.as_ref().filter(is_plain) {
            response.insert_header((MODEL_HEADER, answerer.as_str()));
        }
        if let Some(side) = self.side {
            response.insert_header((SIDE_HEADER, side.name()));
        }
        if !self.notes.is_empty() {
            let plain = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
            let notes: String =
                self.notes.join("; ").chars().map(plain).take(MAX_NOTES_BYTES).collect();
            response.insert_header((NOTES_HEADER, notes));
        }
        response
    }
}

/// Returns a good response about this count, without its body. If the count is an estimate, a
/// header says so.
pub fn token_count_response(count: TokenCount) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    if count.is_estimate {
        let note = "the model does not count tokens: the number is an estimate";
        response.insert_header((NOTES_HEADER, note));
    }
    response
}

/// A whole answer as OpenAI's `chat.completion`. It is serialized as it is: no tree of JSON values
/// is built of it first.
#[derive(Serialize)]
pub struct Completion {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    choices: Vec<Choice>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sources: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    selected_model_id: Option<String>,
    #[serde(flatten)]
    facts: Map<String, Value>,
}

/// Returns the log probabilities of a choice.
pub fn logprobs_object(tokens: &[TokenLogprob]) -> Value {
    json!({"content": tokens, "refusal": null})
}

/// One of the completion's choices.
#[derive(Serialize)]
struct Choice {
    index: usize,
    message: Message,
    logprobs: Option<Value>,
    finish_reason: FinishReason,
}

/// The message of a chat completion.
#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning_content: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    thinking_blocks: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<ReasoningDetail>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<MessageCall>,
}

/// A call in the shape that its tool has for the client.
#[derive(Serialize)]
#[serde(untagged)]
enum MessageCall {
    Function(ToolCall),
    Custom(Value),
}

impl Completion {
    /// Creates the completion of an answer, with its tool calls as the client knows them.
    ///
    /// # Errors
    /// Returns an error if the answer ended early.
    pub fn new(
        head: &ResponseHead,
        mut answer: Answer,
        tools: &ClientTools,
    ) -> Result<Self, PipeError> {
        let sources = std::mem::take(&mut answer.events);
        let sources = sources.into_iter().filter(|event| event.kind == "source");
        let sources = sources.map(|event| event.data).collect();
        let (usage, facts) = (answer.usage, std::mem::take(&mut answer.facts));
        let earlier = std::mem::take(&mut answer.earlier);
        let choices = earlier.into_iter().chain([answer]).enumerate();
        let choices = choices.map(|(index, answer)| Choice::new(index, answer, tools));
        Ok(Self {
            id: head.id.clone(),
            object: "chat.completion",
            created: head.created,
            model: head.model.clone(),
            choices: choices.collect::<Result<_, _>>()?,
            sources,
            usage: usage.as_ref().map(usage_object),
            selected_model_id: head.substitute().map(str::to_owned),
            facts,
        })
    }

    /// Adds the choice of another answer to the same request.
    ///
    /// # Errors
    /// Returns an error if the answer ended early.
    pub fn add_choice(&mut self, answer: Answer, tools: &ClientTools) -> Result<(), PipeError> {
        self.choices.push(Choice::new(self.choices.len(), answer, tools)?);
        Ok(())
    }
}

impl Choice {
    fn new(index: usize, answer: Answer, tools: &ClientTools) -> Result<Self, PipeError> {
        let finish_reason = answer.finish.ok_or_else(ended_early)?;
        let has_logprobs = !answer.logprobs.is_empty();
        let logprobs = has_logprobs.then(|| logprobs_object(&answer.logprobs));
        let words = answer.pictures.iter().map(|picture| picture.words.as_str());
        let mut content = answer.content;
        content.extend(words);
        let is_silent = content.is_empty() && !answer.tool_calls.is_empty();
        let details = answer.reasoning_details;
        let annotations = answer.citations.iter().map(|(end, source)| source.annotation(0, *end));
        let calls = answer.tool_calls.into_iter();
        let message = Message {
            role: "assistant",
            content: Some(content).filter(|_| !is_silent),
            reasoning_content: answer.reasoning,
            thinking_blocks: details.iter().map(ReasoningDetail::thinking_block).collect(),
            reasoning_details: details,
            images: answer.pictures.iter().map(image).collect(),
            annotations: annotations.collect(),
            tool_calls: calls.map(|call| MessageCall::new(call, tools)).collect(),
        };
        Ok(Self { index, message, logprobs, finish_reason })
    }
}

impl MessageCall {
    fn new(call: ToolCall, tools: &ClientTools) -> Self {
        let known = tools.get(&call.function.name);
        match known.filter(|tool| tool.kind == ToolKind::Custom) {
            Some(tool) => {
                let input = parse_input(&call.function.arguments);
                let custom = json!({"name": tool.name, "input": input});
                Self::Custom(json!({"id": call.id, "type": "custom", "custom": custom}))
            }
            None => Self::Function(call),
        }
    }
}

/// Returns an image of an answer as Open WebUI reads it (`docs/reference/open-webui.md`, "Streamed
/// answers").
pub fn image(picture: &Picture) -> Value {
    json!({"type": "image_url", "image_url": {"url": picture.url}})
}

/// Returns OpenAI's object `usage`.
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

/// Returns the error of an answer that ended without a finish reason, and so is not complete.
pub fn ended_early() -> PipeError {
    PipeError::Upstream("the answer ended early: what is there is not all of it".into())
}

/// Returns the error of a chat that comes while the host shuts down.
pub fn shutting_down_error() -> PipeError {
    let message = "the host is shutting down: try again in a moment".into();
    PipeError::Unavailable { message, retry_after: Some(Duration::from_secs(5)) }
}

/// Returns the error of answers that are aborted at the end of the shutdown.
pub fn stopped_error() -> HttpError {
    let message = "the host was stopped while it answered: what is there is not all of it".into();
    PipeError::Unavailable { message, retry_after: None }.into()
}
