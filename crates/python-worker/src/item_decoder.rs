//! Decodes the items of a Python pipe into chunks.
//!
//! A pipe yields text, whole chunks of OpenAI's API as dictionaries or models, or the lines of an
//! event stream as they came from an upstream (`data: {…}`). Only fields that are named here reach
//! the client. Events for Open WebUI are taken from dictionaries, which the pipe has made itself,
//! and not from the lines of an upstream.

use crate::protocol::Item;
use pipe_sdk::{Chunk, Citation, Event, FinishReason, PipeError, Result, ToolCallDelta, Usage};
use serde_json::Value;

/// The events that a pipe may send to Open WebUI (`docs/reference/open-webui.md`, "Events").
/// Those that run code in the browser or wait for an answer are not among them.
const EVENT_KINDS: [&str; 14] = [
    "status",
    "message",
    "chat:message",
    "chat:message:delta",
    "chat:message:files",
    "chat:title",
    "chat:tags",
    "replace",
    "source",
    "citation",
    "files",
    "embeds",
    "notification",
    "follow_ups",
];

/// Decodes the items of one answer.
#[derive(Debug, Default)]
pub struct YieldedItemDecoder {
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    /// `true` if lines of an event stream have arrived.
    is_event_stream: bool,
    /// True once a choice has said something.
    has_content: bool,
}

impl YieldedItemDecoder {
    /// Returns the chunks of an item.
    ///
    /// # Errors
    /// The error in the item.
    pub fn decode(&mut self, item: Item) -> Result<Vec<Chunk>> {
        match item {
            Item::Text(text) if text.starts_with("data:") => self.decode_lines(&text),
            Item::Text(text) if self.is_event_stream && is_other_field(&text) => Ok(Vec::new()),
            Item::Text(text) | Item::Rest(text) => Ok(vec![Chunk::Content(text)]),
            Item::Object(object) => self.decode_object(&object, true),
        }
    }

    /// Returns the last chunks of the answer.
    pub fn finish(&mut self) -> Vec<Chunk> {
        let finish = Chunk::Finish(self.finish.take().unwrap_or(FinishReason::Stop));
        [finish].into_iter().chain(self.usage.take().map(Chunk::Usage)).collect()
    }

    fn decode_lines(&mut self, text: &str) -> Result<Vec<Chunk>> {
        self.is_event_stream = true;
        let mut chunks = Vec::new();
        let data = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
        for data in data.filter(|data| !data.is_empty() && *data != "[DONE]") {
            match serde_json::from_str::<Value>(data) {
                Ok(object) => chunks.extend(self.decode_object(&object, false)?),
                // The pipe's own text that happens to begin so.
                Err(_) => chunks.push(Chunk::Content(data.to_owned())),
            }
        }
        Ok(chunks)
    }

    fn decode_object(&mut self, object: &Value, is_of_pipe: bool) -> Result<Vec<Chunk>> {
        if let Some(message) = error_message(object) {
            return Err(PipeError::Upstream(message));
        }
        if let Some(usage) = parse_usage(&object["usage"]) {
            self.usage = Some(usage);
        }
        let mut chunks = Vec::new();
        if let Some(event) = parse_event(&object["event"]).filter(|_| is_of_pipe) {
            chunks.push(Chunk::Event(event));
        }
        let choice = &object["choices"][0];
        chunks.extend(self.parse_choice(choice));
        if let Some(finish) = choice["finish_reason"].as_str() {
            self.finish = Some(parse_finish(finish));
        }
        if chunks.is_empty() && choice.is_null() && object["usage"].is_null() {
            tracing::debug!("A dictionary without `choices`, `event` or `error` was left out.");
        }
        Ok(chunks)
    }

    /// Parses a choice. Some services send an empty delta with a whole message, others beside each
    /// delta the message so far.
    fn parse_choice(&mut self, choice: &Value) -> Vec<Chunk> {
        let mut chunks = parse_message(&choice["delta"]);
        if chunks.is_empty() && (choice["delta"].is_null() || !self.has_content) {
            chunks = parse_message(&choice["message"]);
        }
        self.has_content |= !chunks.is_empty();
        chunks
    }
}

/// Returns whether a line of an event stream is a comment or a field other than its data.
fn is_other_field(line: &str) -> bool {
    ["event:", "id:", "retry:", ":"].iter().any(|field| line.starts_with(field))
}

fn error_message(object: &Value) -> Option<String> {
    if !object["choices"].is_null() {
        return None;
    }
    let error = object.get("error").filter(|error| !error.is_null());
    let error = error.or_else(|| object.get("detail").filter(|detail| detail.is_string()))?;
    let text = error.as_str().or_else(|| error["message"].as_str());
    Some(text.map_or_else(|| error.to_string(), str::to_owned))
}

fn parse_event(event: &Value) -> Option<Event> {
    let kind = event["type"].as_str()?;
    let known = EVENT_KINDS.iter().find(|known| **known == kind);
    if known.is_none() {
        tracing::warn!("An event of a kind that is not passed on was left out.");
    }
    Some(Event { kind: known?, data: event["data"].clone() })
}

fn parse_message(said: &Value) -> Vec<Chunk> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let mut chunks = Vec::new();
    let reasoning = text(&said["reasoning_content"]).or_else(|| text(&said["reasoning"]));
    chunks.extend(reasoning.map(Chunk::Reasoning));
    match &said["content"] {
        Value::Array(parts) => {
            chunks.extend(parts.iter().filter_map(|part| text(&part["text"])).map(Chunk::Content));
        }
        content => chunks.extend(text(content).map(Chunk::Content)),
    }
    let calls = said["tool_calls"].as_array().into_iter().flatten().enumerate();
    chunks.extend(calls.map(|(place, call)| Chunk::ToolCall(parse_tool_call(place, call))));
    let notes = said["annotations"].as_array().into_iter().flatten();
    chunks.extend(notes.filter_map(parse_citation).map(Chunk::Citation));
    chunks
}

fn parse_tool_call(place: usize, call: &Value) -> ToolCallDelta {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let index = call["index"].as_u64().and_then(|index| usize::try_from(index).ok());
    ToolCallDelta {
        // An index is a place in a list, so a large one would cost memory.
        index: index.filter(|index| *index < MAX_TOOL_CALLS).unwrap_or(place),
        id: text(&call["id"]),
        name: text(&call["function"]["name"]),
        arguments: text(&call["function"]["arguments"]).unwrap_or_default(),
    }
}

/// The number of tool calls in one answer.
const MAX_TOOL_CALLS: usize = 1024;

fn parse_citation(annotation: &Value) -> Option<Citation> {
    let citation = annotation.get("url_citation")?;
    let url = citation["url"].as_str()?.to_owned();
    let title = citation["title"].as_str().unwrap_or(&url).to_owned();
    Some(Citation { url, title, ..Citation::default() })
}

fn parse_finish(reason: &str) -> FinishReason {
    match reason {
        "length" => FinishReason::Length,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

fn parse_usage(usage: &Value) -> Option<Usage> {
    let prompt_tokens = usage["prompt_tokens"].as_u64()?;
    let completion_tokens = usage["completion_tokens"].as_u64().unwrap_or_default();
    Some(Usage {
        prompt_tokens,
        completion_tokens,
        cached_tokens: usage["prompt_tokens_details"]["cached_tokens"].as_u64(),
        cache_creation_tokens: None,
        reasoning_tokens: usage["completion_tokens_details"]["reasoning_tokens"].as_u64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(text: &str) -> Item {
        Item::Text(text.into())
    }

    fn content(text: &str) -> Chunk {
        Chunk::Content(text.into())
    }

    #[test]
    fn texts_lines_and_dictionaries_are_told_apart() {
        let delta = json!({"choices": [{"delta": {"content": "b", "reasoning_content": "r"}}]});
        let cases = [
            (text("a"), vec![content("a")]),
            (text(": "), vec![content(": ")]),
            (text(&format!("data: {delta}")), vec![Chunk::Reasoning("r".into()), content("b")]),
            (text("event: ping"), vec![]),
            (text("data: [DONE]"), vec![]),
            (Item::Object(delta), vec![Chunk::Reasoning("r".into()), content("b")]),
            (
                Item::Object(
                    json!({"choices": [{"message": {"content": [{"type": "text", "text": "c"}]}}]}),
                ),
                vec![content("c")],
            ),
        ];
        let mut decoder = YieldedItemDecoder::default();
        for (item, chunks) in cases {
            assert_eq!(decoder.decode(item.clone()).unwrap(), chunks, "{item:?}");
        }
    }

    #[test]
    fn a_message_beside_its_delta_is_read_once() {
        let choice = |delta: &str, message: &str| {
            let choice = json!({"delta": {"content": delta}, "message": {"content": message}});
            Item::Object(json!({"choices": [choice]}))
        };
        let whole = [choice("", "ab")];
        let stream = [choice("a", "a"), choice("b", "ab"), choice("", "ab")];
        for (items, chunks) in [(&whole[..], vec!["ab"]), (&stream, vec!["a", "b"])] {
            let mut decoder = YieldedItemDecoder::default();
            let decoded = items.iter().flat_map(|item| decoder.decode(item.clone()).unwrap());
            let chunks: Vec<_> = chunks.into_iter().map(content).collect();
            assert_eq!(decoded.collect::<Vec<_>>(), chunks);
        }
    }

    #[test]
    fn finish_and_usage_come_once_and_last() {
        let mut decoder = YieldedItemDecoder::default();
        for total in [3, 7] {
            let item = json!({
                "choices": [{"delta": {}, "finish_reason": "length"}],
                "usage": {"prompt_tokens": 2, "completion_tokens": total},
            });
            assert_eq!(decoder.decode(Item::Object(item)).unwrap(), []);
        }
        let usage = Usage { prompt_tokens: 2, completion_tokens: 7, ..Usage::default() };
        let last = [Chunk::Finish(FinishReason::Length), Chunk::Usage(usage)];
        assert_eq!(decoder.finish(), last);
    }

    #[test]
    fn events_are_the_pipes_own_and_never_run_code() {
        let status = json!({"event": {"type": "status", "data": {"done": true}}});
        let event = Event { kind: "status", data: json!({"done": true}) };
        let mut decoder = YieldedItemDecoder::default();
        let decoded = decoder.decode(Item::Object(status.clone())).unwrap();
        assert_eq!(decoded, [Chunk::Event(event)]);
        assert_eq!(decoder.decode(text(&format!("data: {status}"))).unwrap(), []);
        let execute = json!({"event": {"type": "execute", "data": {"code": "alert(1)"}}});
        assert_eq!(decoder.decode(Item::Object(execute)).unwrap(), []);
    }

    #[test]
    fn errors_end_the_answer() {
        for error in
            [json!({"error": {"message": "m"}}), json!({"error": "m"}), json!({"detail": "m"})]
        {
            let mut decoder = YieldedItemDecoder::default();
            assert_eq!(decoder.decode(Item::Object(error)).unwrap_err().to_string(), "m");
        }
    }
}
