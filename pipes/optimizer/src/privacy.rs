//! Replaces personal data by placeholders in requests to models, and restores them in the answer,
//! also when a stream splits a placeholder.
//!
//! It applies to every call of a request, so it covers all approaches, wherever it was named among
//! them.

mod detector;

pub(crate) use detector::Detector;

use futures_util::StreamExt;
use pipe_sdk::{
    Answer, Body, Chunk, ChunkStream, Content, Message, Part, PipeError, Result, ToolCallDelta,
};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Replaces and restores personal data, for one request.
#[derive(Clone)]
pub(crate) struct Pseudonymizer(Arc<Inner>);

/// The detector, and the pseudonyms of one request.
struct Inner {
    detector: Detector,
    pseudonyms: Mutex<Pseudonyms>,
}

/// The placeholders and the words that they replace.
#[derive(Default)]
struct Pseudonyms {
    placeholders: HashMap<String, String>,
    /// Placeholders and the texts that they replace.
    originals: Vec<(String, String)>,
    counts: HashMap<&'static str, usize>,
    /// The texts of the chat that look like placeholders.
    taken: Vec<String>,
}

/// The fields that identify the user.
const IDENTITY_FIELDS: [&str; 4] = ["metadata", "user", "safety_identifier", "prompt_cache_key"];

impl Pseudonymizer {
    /// Returns a pseudonymizer for this chat, and removes the fields that identify the user from
    /// it.
    ///
    /// # Errors
    /// Returns an error if the chat holds content that cannot be searched for personal data.
    pub fn new(body: &mut Body, detector: Detector) -> Result<Self> {
        for (message, turn) in body.messages.iter().enumerate() {
            let Some(Content::Parts(parts)) = &turn.content else { continue };
            if let Some(part) = parts.iter().position(|part| part.text().is_none()) {
                let field = format!("messages[{message}].content[{part}]");
                let rule = format!(
                    "{field}: `privacy` cannot look into pictures and files: send text alone"
                );
                return Err(PipeError::bad_field(field, rule));
            }
        }
        for name in IDENTITY_FIELDS {
            body.rest.shift_remove(name);
        }
        let mut pseudonyms = Pseudonyms::default();
        for message in &body.messages {
            let text = message.text();
            let marks = text.split('<').skip(1).filter_map(|rest| Some(rest.split_once('>')?.0));
            pseudonyms.taken.extend(marks.filter(|mark| mark.len() < 24).map(str::to_owned));
        }
        Ok(Self(Arc::new(Inner { detector, pseudonyms: Mutex::new(pseudonyms) })))
    }

    /// Locks the pseudonyms.
    fn pseudonyms(&self) -> MutexGuard<'_, Pseudonyms> {
        self.0.pseudonyms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces names, addresses and numbers in a text by placeholders.
    fn pseudonymize(&self, text: &str) -> String {
        let found = self.0.detector.find(text);
        if found.is_empty() {
            return text.to_owned();
        }
        let mut pseudonyms = self.pseudonyms();
        let (mut hidden, mut from) = (String::with_capacity(text.len()), 0);
        for (range, kind) in found {
            hidden += text.get(from..range.start).unwrap_or_default();
            hidden += &pseudonyms.placeholder(text.get(range.clone()).unwrap_or_default(), kind);
            from = range.end;
        }
        hidden + text.get(from..).unwrap_or_default()
    }

    /// Returns the text without personal data.
    pub fn redact(&self, text: &str) -> String {
        let (mut kept, mut from) = (String::with_capacity(text.len()), 0);
        for (range, _) in self.0.detector.find(text) {
            kept += text.get(from..range.start).unwrap_or_default();
            from = range.end;
        }
        kept + text.get(from..).unwrap_or_default()
    }

    fn pseudonymize_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.pseudonymize(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.pseudonymize_value(item)),
            Value::Object(fields) => {
                fields.values_mut().for_each(|field| self.pseudonymize_value(field));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Returns these messages with placeholders.
    pub fn pseudonymize_messages(&self, messages: &[Message]) -> Vec<Message> {
        let mut messages = messages.to_vec();
        for message in &mut messages {
            match &mut message.content {
                Some(Content::Text(text)) => *text = self.pseudonymize(text),
                Some(Content::Parts(parts)) => {
                    for part in parts {
                        if let Part::Text { text, .. } = part {
                            *text = self.pseudonymize(text);
                        }
                    }
                }
                None => {}
            }
            for call in &mut message.tool_calls {
                call.function.arguments = self.pseudonymize(&call.function.arguments);
            }
            message.rest.values_mut().for_each(|value| self.pseudonymize_value(value));
        }
        messages
    }

    /// Returns the text with its placeholders replaced; `in_json` if they are within strings of
    /// JSON.
    fn restore(&self, text: &str, in_json: bool) -> String {
        let pseudonyms = self.pseudonyms();
        if pseudonyms.originals.is_empty() || !text.contains('<') {
            return text.to_owned();
        }
        let mut shown = text.to_owned();
        for (placeholder, original) in &pseudonyms.originals {
            if shown.contains(placeholder) {
                let original = if in_json { escape_json(original) } else { original.clone() };
                shown = shown.replace(placeholder, &original);
            }
        }
        shown
    }

    /// Restores the placeholders in a reply.
    pub fn restore_reply(&self, answer: &mut Answer) {
        answer.content = self.restore(&answer.content, false);
        answer.reasoning = self.restore(&answer.reasoning, false);
        // Signed blocks cannot be changed, and their text was in an earlier answer.
        answer.reasoning_details.clear();
        for call in &mut answer.tool_calls {
            call.function.arguments = self.restore(&call.function.arguments, true);
        }
    }

    /// Restores the placeholders in a streamed answer.
    pub fn restore_stream(&self, chunks: ChunkStream) -> ChunkStream {
        let mut buffer = PlaceholderBuffer { pseudonymizer: self.clone(), tails: Vec::new() };
        let shown = chunks.flat_map(move |chunk| {
            let chunks = match chunk {
                Ok(chunk) => buffer.process_chunk(chunk).into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            futures_util::stream::iter(chunks)
        });
        ChunkStream::new(shown)
    }

    /// Returns the length of the end of a text that may be the beginning of a placeholder.
    fn partial_placeholder_len(&self, text: &str) -> usize {
        let Some(at) = text.rfind('<') else { return 0 };
        let tail = text.get(at..).unwrap_or_default();
        let pseudonyms = self.pseudonyms();
        let is_open = pseudonyms.originals.iter().any(|(placeholder, _)| {
            placeholder.len() > tail.len() && placeholder.starts_with(tail)
        });
        if is_open { tail.len() } else { 0 }
    }
}

impl Pseudonyms {
    /// Returns the placeholder of a text, the same each time.
    fn placeholder(&mut self, original: &str, kind: &'static str) -> String {
        if let Some(placeholder) = self.placeholders.get(original) {
            return placeholder.clone();
        }
        let count = self.counts.entry(kind).or_default();
        let mark = loop {
            *count += 1;
            let mark = format!("{kind}_{count}");
            if !self.taken.contains(&mark) {
                break mark;
            }
        };
        let placeholder = format!("<{mark}>");
        self.placeholders.insert(original.into(), placeholder.clone());
        self.originals.push((placeholder.clone(), original.into()));
        placeholder
    }
}

/// Returns a text escaped for a JSON string.
fn escape_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

/// The kind of a text of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TextKind {
    Content,
    Reasoning,
    Call(usize),
}

/// The ends of texts that may be the beginnings of placeholders.
struct PlaceholderBuffer {
    pseudonymizer: Pseudonymizer,
    tails: Vec<(TextKind, String)>,
}

impl PlaceholderBuffer {
    fn process_chunk(&mut self, chunk: Chunk) -> Vec<Chunk> {
        match chunk {
            Chunk::Content(text) => self.push_text(TextKind::Content, &text),
            Chunk::Reasoning(text) => self.push_text(TextKind::Reasoning, &text),
            Chunk::ToolCall(delta) => {
                let ToolCallDelta { index, id, name, arguments } = delta;
                let begins = id.is_some() || name.is_some();
                let head = ToolCallDelta { index, id, name, arguments: String::new() };
                let mut chunks = if begins { vec![Chunk::ToolCall(head)] } else { Vec::new() };
                chunks.extend(self.push_text(TextKind::Call(index), &arguments));
                chunks
            }
            Chunk::ReasoningDetail(_) => Vec::new(),
            Chunk::Finish(reason) => {
                let tails = std::mem::take(&mut self.tails);
                let tails = tails.into_iter().map(|(kind, tail)| text_chunk(kind, tail));
                tails.chain([Chunk::Finish(reason)]).collect()
            }
            other => vec![other],
        }
    }

    fn push_text(&mut self, kind: TextKind, text: &str) -> Vec<Chunk> {
        let at = self.tails.iter().position(|(held, _)| *held == kind);
        let tail = at.map(|at| self.tails.swap_remove(at).1).unwrap_or_default();
        let text = tail + text;
        let (said, open) = text
            .split_at_checked(text.len() - self.pseudonymizer.partial_placeholder_len(&text))
            .unwrap_or((&text, ""));
        if !open.is_empty() {
            self.tails.push((kind, open.to_owned()));
        }
        if said.is_empty() {
            return Vec::new();
        }
        vec![text_chunk(kind, self.pseudonymizer.restore(said, matches!(kind, TextKind::Call(_))))]
    }
}

fn text_chunk(kind: TextKind, text: String) -> Chunk {
    match kind {
        TextKind::Content => Chunk::Content(text),
        TextKind::Reasoning => Chunk::Reasoning(text),
        TextKind::Call(index) => {
            Chunk::ToolCall(ToolCallDelta { index, arguments: text, ..ToolCallDelta::default() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;
    use pipe_sdk::{FinishReason, Role};

    fn pseudonymizer(text: &str) -> (Pseudonymizer, String) {
        let mut body = Body::new("m", vec![Message::new(Role::User, text)]);
        let pseudonymizer =
            Pseudonymizer::new(&mut body, Detector::new(["Jane Doe".to_owned()])).unwrap();
        let hidden = pseudonymizer.pseudonymize_messages(&body.messages)[0].text();
        (pseudonymizer, hidden)
    }

    #[test]
    fn what_goes_out_comes_back() {
        let text = "I am Jane Doe, jane@example.com or jane@example.com. <EMAIL_1> is mine.";
        let (pseudonymizer, hidden) = pseudonymizer(text);
        assert_eq!(hidden, "I am <WORD_1>, <EMAIL_2> or <EMAIL_2>. <EMAIL_1> is mine.");
        assert_eq!(pseudonymizer.restore(&hidden, false), text);
    }

    #[tokio::test]
    async fn placeholders_that_a_stream_cuts_are_shown_whole() {
        let (pseudonymizer, hidden) = pseudonymizer("Mail jane@example.com about 1 < 2");
        for size in 1..hidden.len() {
            let pieces = hidden.as_bytes().chunks(size);
            let pieces =
                pieces.map(|piece| Chunk::Content(String::from_utf8(piece.to_vec()).unwrap()));
            let chunks =
                pieces.chain([Chunk::Content("<EMA".into()), Chunk::Finish(FinishReason::Stop)]);
            let chunks: Vec<_> = chunks.collect();
            let shown: Vec<_> = pseudonymizer
                .restore_stream(ChunkStream::from_chunks(chunks))
                .try_collect()
                .await
                .unwrap();
            let mut answer = Answer::default();
            shown.into_iter().for_each(|chunk| answer.add(chunk));
            assert_eq!(answer.content, "Mail jane@example.com about 1 < 2<EMA");
        }
    }

    #[test]
    fn pictures_are_refused() {
        let mut message = Message::new(Role::User, "");
        let image = Part::ImageUrl { image_url: "data:x".into(), rest: Default::default() };
        message.content = Some(Content::Parts(vec![Part::from_text("hi"), image]));
        let mut body = Body::new("m", vec![message]);
        let refused = Pseudonymizer::new(&mut body, Detector::new([])).err().unwrap();
        assert!(refused.to_string().contains("messages[0].content[1]"));
    }
}
