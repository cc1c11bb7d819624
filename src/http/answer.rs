//! What every answer is made of, streamed or plain.

use super::{
    Error,
    client_tools::{ClientTools, ToolKind, input_of},
    unix_seconds,
};
use actix_web::{HttpResponse, HttpResponseBuilder};
use pipe_sdk::{Answer, Picture, PipeError, ReasoningDetail, Side, Usage};
use serde_json::{Value, json};
use std::time::Duration;

/// What every answer says of itself.
pub struct ResponseHead {
    /// Unique to the answer.
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The model as it was asked for.
    pub model: String,
    /// The model that answers, if its pipe told.
    pub answerer: Option<String>,
    /// The side of a router that it is on.
    pub side: Option<Side>,
    /// What of the request was left out.
    pub notes: Vec<String>,
    /// About how many tokens the request is.
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
    /// The head of a new answer by this model; its id begins like this.
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

    /// Who answers in place of the model that was asked.
    pub fn substitute(&self) -> Option<&str> {
        let is_other = |answerer: &&str| {
            // The pipe's name may be left away before an id.
            let bare = answerer.split_once('.').map(|(_, model)| model);
            *answerer != self.model && bare != Some(&*self.model)
        };
        self.answerer.as_deref().filter(is_other)
    }

    /// A good answer under this head, without its body.
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

/// A whole answer as one object.
pub fn plain(head: &ResponseHead, mut answer: Answer) -> Result<Value, PipeError> {
    let ResponseHead { id, created, model, .. } = head;
    let sources = std::mem::take(&mut answer.events);
    let sources = sources.into_iter().filter(|event| event.kind == "source");
    let sources: Vec<_> = sources.map(|event| event.data).collect();
    let (usage, facts) = (answer.usage, std::mem::take(&mut answer.facts));
    let earlier = std::mem::take(&mut answer.earlier);
    let choices = earlier.into_iter().chain([answer]).enumerate();
    let choices: Vec<_> = choices.map(choice).collect::<Result<_, _>>()?;
    let mut body = json!({"id": id, "object": "chat.completion", "created": created, "model": model, "choices": choices});
    if !sources.is_empty() {
        body["sources"] = sources.into();
    }
    if let Some(usage) = usage {
        body["usage"] = usage_object(&usage);
    }
    if let Some(substitute) = head.substitute() {
        body["selected_model_id"] = substitute.into();
    }
    for (name, fact) in facts {
        body[name] = fact;
    }
    Ok(body)
}

/// One of the completion's choices.
fn choice((index, answer): (usize, Answer)) -> Result<Value, PipeError> {
    let finish = answer.finish.ok_or_else(ended_early)?;
    let called = !answer.tool_calls.is_empty();
    let words = answer.pictures.iter().map(|picture| picture.words.as_str());
    let content = answer.content + &words.collect::<String>();
    let content = if content.is_empty() && called { Value::Null } else { content.into() };
    let mut message = json!({"role": "assistant", "content": content});
    if !answer.reasoning.is_empty() {
        message["reasoning_content"] = answer.reasoning.into();
    }
    let details = &answer.reasoning_details;
    if !details.is_empty() {
        let blocks = details.iter().map(ReasoningDetail::thinking_block);
        message["thinking_blocks"] = blocks.collect();
        message["reasoning_details"] = json!(details);
    }
    if !answer.pictures.is_empty() {
        message["images"] = answer.pictures.iter().map(image).collect();
    }
    if !answer.citations.is_empty() {
        let annotations = answer.citations.iter().map(|(end, source)| source.annotation(0, *end));
        message["annotations"] = annotations.collect();
    }
    if called {
        message["tool_calls"] = json!(answer.tool_calls);
    }
    Ok(json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish}))
}

/// Tells the calls of a message in the shapes that their tools have for the client.
pub fn in_clients_words(message: &mut Value, tools: &ClientTools) {
    let Some(Value::Array(calls)) = message.get_mut("tool_calls") else { return };
    for call in calls {
        let function = call["function"].take();
        let known = function["name"].as_str().and_then(|name| tools.get(name));
        match known.filter(|tool| tool.kind == ToolKind::Custom) {
            Some(tool) => {
                let input = input_of(function["arguments"].as_str().unwrap_or_default());
                *call = json!({"id": call["id"], "type": "custom", "custom": {"name": tool.name, "input": input}});
            }
            None => call["function"] = function,
        }
    }
}

/// A picture in an answer, as Open WebUI reads it (`docs/reference/open-webui.md`, "Streamed
/// answers").
pub fn image(picture: &Picture) -> Value {
    json!({"type": "image_url", "image_url": {"url": picture.url}})
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

/// An answer that ended without saying why. Nobody may take it for a whole one.
pub fn ended_early() -> PipeError {
    PipeError::Upstream("the answer ended early: what is there is not all of it".into())
}

/// A new chat while the host is leaving.
pub fn shutting_down_error() -> PipeError {
    let message = "the host is shutting down: try again in a moment".into();
    PipeError::Unavailable { message, retry_after: Some(Duration::from_secs(5)) }
}

/// What is under way when the host may wait no longer.
pub fn stopped_error() -> Error {
    let message = "the host was stopped while it answered: what is there is not all of it".into();
    PipeError::Unavailable { message, retry_after: None }.into()
}
