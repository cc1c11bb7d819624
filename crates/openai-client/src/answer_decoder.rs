//! The decoder of an answer: events or a whole completion in, chunks out.
//!
//! Only the fields in `completion` come out; whatever else a server sends does not.

use crate::{
    ApiError, OpenAiError,
    completion::{Completion, Delta, parse_json, to_text, to_value},
    reasoning::ReasoningAssembler,
    sse::SseEvent,
    tool_calls::{TooManyCallsError, ToolCallAssembler},
};
use pipe_sdk::{Chunk, Citation, FinishReason, Picture, STOP_SEQUENCE_FACT, TokenLogprob, Usage};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::collections::VecDeque;

/// A decoder of one answer. It holds the chunks that have not been taken yet.
#[derive(Debug, Default)]
pub(crate) struct AnswerDecoder {
    chunks: VecDeque<Chunk>,
    has_started: bool,
    tool_calls: ToolCallAssembler,
    reasoning_blocks: ReasoningAssembler,
    /// `true` if the reasoning arrives as a text of its own.
    has_reasoning_text: bool,
    finish: Option<FinishReason>,
    /// The stop sequences that the server was sent.
    stop_sequences: Vec<String>,
    /// The one at which the answer has ended, if the server says so.
    stop_sequence: Option<String>,
    /// The last usage; some servers send a growing one with each chunk.
    usage: Option<Usage>,
    service_tier: Option<String>,
    sources: Vec<Citation>,
    has_ended: bool,
}

/// The longest name of a service tier.
const MAX_TIER_LENGTH: usize = 64;

/// The most sources that are kept of an answer.
const MAX_SOURCES: usize = 100;

impl AnswerDecoder {
    /// Creates a decoder of the answer to a chat with these stop sequences.
    pub fn with_stop_sequences(stop_sequences: &[String]) -> Self {
        Self { stop_sequences: stop_sequences.to_vec(), ..Self::default() }
    }

    /// Decodes a whole completion into all its chunks.
    pub fn decode_whole(mut self, json: &str) -> Result<Vec<Chunk>, OpenAiError> {
        let decoder = &mut self;
        decoder.decode_completion(json)?;
        decoder.finish()?;
        Ok(self.chunks.into())
    }

    /// Returns the number of buffered chunks.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Takes the next chunk.
    pub fn pop(&mut self) -> Option<Chunk> {
        self.chunks.pop_front()
    }

    /// Returns whether the server has given a finish reason.
    pub fn has_finish_reason(&self) -> bool {
        self.finish.is_some()
    }

    /// Returns whether the answer has ended: no more chunks will come.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Decodes an event of a stream.
    pub fn decode_event(&mut self, event: &SseEvent<'_>) -> Result<(), OpenAiError> {
        match event.data.trim() {
            // Some servers keep a connection alive in this way.
            "" | "null" => Ok(()),
            "[DONE]" => self.finish(),
            data if event.name == "error" => Err(OpenAiError::Api(parse_error_event(data))),
            data => self.decode_completion(data),
        }
    }

    fn decode_completion(&mut self, json: &str) -> Result<(), OpenAiError> {
        let completion = Completion::parse(json);
        let may_be_error = match &completion {
            Some(completion) => is_error(completion.error) || completion.choices.is_empty(),
            None => true,
        };
        if may_be_error && let Some(error) = parse_json(json).and_then(|v| ApiError::from_json(&v))
        {
            return Err(OpenAiError::Api(error));
        }
        let invalid = OpenAiError::InvalidResponse("a piece of it is no chunk of a chat");
        self.apply_completion(completion.ok_or(invalid)?)
    }

    fn apply_completion(&mut self, completion: Completion<'_>) -> Result<(), OpenAiError> {
        if let Some(usage) = completion.usage.and_then(|raw| parse_usage(&to_value(Some(raw)))) {
            self.usage = Some(usage);
        }
        let tier = to_text(completion.service_tier);
        if let Some(tier) = tier.filter(|tier| tier.len() <= MAX_TIER_LENGTH) {
            self.service_tier = Some(tier);
        }
        if completion.citations.is_some() || completion.search_results.is_some() {
            let [urls, results] = [completion.citations, completion.search_results].map(to_value);
            self.add_sources(&urls, &results);
        }
        let is_first = |index: Option<&RawValue>| {
            index.is_none_or(|index| index.get() == "0" || !is_number(index))
        };
        let choice = completion.choices.into_iter().find(|choice| is_first(choice.index));
        // Chunks after the finish reason are not part of the answer.
        let Some(choice) = choice.filter(|_| self.finish.is_none()) else { return Ok(()) };
        if let Some(delta) = choice.delta.or(choice.message) {
            self.apply_delta(&delta)?;
        }
        if let Some(logprobs) = choice.logprobs {
            self.apply_logprobs(&to_value(Some(logprobs)));
        }
        if let Some(reason) = to_text(choice.finish_reason) {
            self.finish = Some(parse_finish_reason(&reason)?);
            let sequence = to_text(choice.stop_reason).or_else(|| to_text(choice.matched_stop));
            self.stop_sequence = sequence.filter(|text| self.stop_sequences.contains(text));
        }
        Ok(())
    }

    fn apply_delta(&mut self, delta: &Delta<'_>) -> Result<(), OpenAiError> {
        if !self.has_started {
            self.has_started = true;
            self.chunks.push_back(Chunk::Role);
        }
        self.apply_reasoning(delta);
        self.apply_content(delta);
        if let Some(images) = delta.images {
            for image in to_value(Some(images)).as_array().into_iter().flatten() {
                self.push_picture(image);
            }
        }
        if let Some(annotations) = delta.annotations {
            for annotation in to_value(Some(annotations)).as_array().into_iter().flatten() {
                let citation = parse_citation(&annotation["url_citation"]);
                self.chunks.extend(citation.map(Chunk::Citation));
            }
        }
        let mut emit = |chunk| self.chunks.push_back(chunk);
        if let Some(calls) = delta.tool_calls {
            self.tool_calls.add(&to_value(Some(calls)), &mut emit)?;
        }
        if let Some(call) = delta.function_call {
            self.tool_calls.add_function_call(&to_value(Some(call)), &mut emit)?;
        }
        Ok(())
    }

    fn apply_logprobs(&mut self, logprobs: &Value) {
        let tokens = logprobs["content"].as_array().into_iter().flatten();
        let tokens: Vec<_> =
            tokens.filter_map(|token| TokenLogprob::deserialize(token).ok()).collect();
        if !tokens.is_empty() {
            self.chunks.push_back(Chunk::Logprobs(tokens));
        }
    }

    fn apply_reasoning(&mut self, delta: &Delta<'_>) {
        let text = to_text(delta.reasoning_content).or_else(|| to_text(delta.reasoning));
        self.has_reasoning_text |= text.is_some();
        let details = delta.reasoning_details.map(|raw| to_value(Some(raw)));
        let text_of_details = details.map(|pieces| self.reasoning_blocks.add(&pieces));
        // The details repeat the text, unless there is no other.
        let text_of_details = text_of_details.filter(|_| !self.has_reasoning_text);
        self.push_text(text.or(text_of_details).unwrap_or_default(), Chunk::Reasoning);
    }

    fn apply_content(&mut self, delta: &Delta<'_>) {
        let has_content = delta.content.is_some_and(|content| content.get() != "\"\"");
        if has_content || delta.tool_calls.is_some() {
            let mut emit = |chunk| self.chunks.push_back(chunk);
            self.reasoning_blocks.emit_complete(&mut emit);
        }
        if let Some(content) = delta.content.filter(|_| has_content) {
            match to_text(Some(content)) {
                Some(text) => self.push_text(text, Chunk::Content),
                None => {
                    let parts = to_value(Some(content));
                    parts.as_array().into_iter().flatten().for_each(|part| self.push_part(part));
                }
            }
        }
        self.push_text(to_text(delta.refusal).unwrap_or_default(), Chunk::Content);
        if let Some(audio) = delta.audio {
            let transcript = text_of_part(&to_value(Some(audio))["transcript"]);
            self.push_text(transcript, Chunk::Content);
        }
    }

    fn push_part(&mut self, part: &Value) {
        match part["type"].as_str().unwrap_or_default() {
            "thinking" => self.push_text(text_of_part(&part["thinking"]), Chunk::Reasoning),
            "image_url" => self.push_picture(part),
            _ => self.push_text(text_of_part(part), Chunk::Content),
        }
    }

    fn push_text(&mut self, text: String, to_chunk: impl FnOnce(String) -> Chunk) {
        if !text.is_empty() {
            self.chunks.push_back(to_chunk(text));
        }
    }

    fn push_picture(&mut self, image: &Value) {
        let url = image["image_url"]["url"].as_str().or_else(|| image["image_url"].as_str());
        if let Some(url) = url.filter(|url| is_image_url(url)) {
            self.chunks.push_back(Chunk::Picture(Picture::from_url(url)));
        }
    }

    /// Keeps the sources beside an answer, each once: they come with each chunk.
    fn add_sources(&mut self, urls: &Value, results: &Value) {
        let urls = urls.as_array().into_iter().flatten();
        let urls = urls.filter_map(|url| citation_of_url(url.as_str()?, ""));
        let results = results.as_array().into_iter().flatten().filter_map(parse_citation);
        for source in results.chain(urls) {
            let is_new = self.sources.iter().all(|known| known.url != source.url);
            if is_new && self.sources.len() < MAX_SOURCES {
                self.sources.push(source);
            }
        }
    }

    /// Ends the answer. That is an error unless the server has given a finish reason.
    pub fn finish(&mut self) -> Result<(), OpenAiError> {
        let finish = self.finish.ok_or(OpenAiError::Incomplete)?;
        self.has_ended = true;
        let mut emit = |chunk| self.chunks.push_back(chunk);
        self.reasoning_blocks.emit_complete(&mut emit);
        // Some servers end an answer that calls tools with `stop`.
        let calls_tools = self.tool_calls.has_calls() && finish == FinishReason::Stop;
        self.tool_calls.finish(&mut emit);
        self.sources.drain(..).map(Chunk::Citation).for_each(&mut emit);
        let sequence = self.stop_sequence.take();
        sequence
            .map(|text| Chunk::Fact(STOP_SEQUENCE_FACT, text.into()))
            .into_iter()
            .for_each(&mut emit);
        emit(Chunk::Finish(if calls_tools { FinishReason::ToolCalls } else { finish }));
        if let Some(tier) = self.service_tier.take() {
            emit(Chunk::Fact("service_tier", tier.into()));
        }
        self.usage.map(Chunk::Usage).into_iter().for_each(emit);
        Ok(())
    }
}

impl From<TooManyCallsError> for OpenAiError {
    fn from(_: TooManyCallsError) -> Self {
        Self::InvalidResponse("it calls more tools than make sense")
    }
}

fn is_error(error: Option<&RawValue>) -> bool {
    error.is_some_and(|error| error.get() != "false")
}

fn is_number(value: &RawValue) -> bool {
    value.get().bytes().next().is_some_and(|byte| byte.is_ascii_digit())
}

/// Returns the error in an event that is named `error`.
fn parse_error_event(data: &str) -> ApiError {
    let value: Value = parse_json(data).unwrap_or_default();
    ApiError::from_json(&value).unwrap_or_default()
}

/// Parses a finish reason of OpenAI's, or of other vendors. An unknown one still means that the
/// answer is complete.
fn parse_finish_reason(reason: &str) -> Result<FinishReason, OpenAiError> {
    Ok(match reason.to_ascii_lowercase().as_str() {
        "length" | "max_tokens" | "model_length" | "max_length" => FinishReason::Length,
        "tool_calls" | "function_call" | "tool_use" | "tool_call" => FinishReason::ToolCalls,
        "content_filter" | "safety" | "recitation" | "blocklist" | "prohibited_content" => {
            FinishReason::ContentFilter
        }
        "error" | "abort" | "aborted" | "cancelled" | "network_error" => {
            return Err(OpenAiError::Incomplete);
        }
        _ => FinishReason::Stop,
    })
}

fn parse_usage(usage: &Value) -> Option<Usage> {
    // Sums of the numbers that a server sends must not overflow.
    let count = |value: &Value| value.as_u64().map(|count| count.min(1 << 40));
    let either = |one: &str, other: &str| count(&usage[one]).or_else(|| count(&usage[other]));
    let prompt = either("prompt_tokens", "input_tokens");
    let completion = either("completion_tokens", "output_tokens");
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let prompt_details = &usage["prompt_tokens_details"];
    let completion_details = &usage["completion_tokens_details"];
    Some(Usage {
        prompt_tokens: prompt.unwrap_or_default(),
        completion_tokens: completion.unwrap_or_default(),
        cached_tokens: count(&prompt_details["cached_tokens"])
            .or_else(|| count(&usage["prompt_cache_hit_tokens"])),
        cache_creation_tokens: count(&prompt_details["cache_creation_tokens"])
            .or_else(|| count(&prompt_details["cache_write_tokens"])),
        reasoning_tokens: count(&completion_details["reasoning_tokens"]),
    })
}

/// Returns the text of a content part, however deep it is.
fn text_of_part(part: &Value) -> String {
    match part {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text_of_part).collect(),
        Value::Object(part) => part.get("text").and_then(Value::as_str).unwrap_or_default().into(),
        _ => String::new(),
    }
}

fn is_image_url(url: &str) -> bool {
    let kinds = ["png", "jpeg", "jpg", "webp", "gif"];
    let is_base64_of = |data: &str| {
        kinds
            .iter()
            .any(|kind| data.strip_prefix(kind).is_some_and(|rest| rest.starts_with(";base64,")))
    };
    url.starts_with("https://") || url.strip_prefix("data:image/").is_some_and(is_base64_of)
}

fn parse_citation(source: &Value) -> Option<Citation> {
    citation_of_url(source["url"].as_str()?, source["title"].as_str().unwrap_or_default())
}

/// Returns a citation of a web page; `None` for URLs that would make a browser do something else.
fn citation_of_url(url: &str, title: &str) -> Option<Citation> {
    let is_web_page = url.starts_with("https://") || url.starts_with("http://");
    let title = if title.is_empty() { url } else { title };
    is_web_page.then(|| Citation { url: url.into(), title: title.into(), ..Citation::default() })
}

#[cfg(test)]
mod tests;
