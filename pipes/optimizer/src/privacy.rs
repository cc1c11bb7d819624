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
pub(crate) struct Veil(Arc<Inner>);

struct Inner {
    detector: Detector,
    known: Mutex<ModelResolution>,
}

/// The placeholders and the words that they stand for.
#[derive(Default)]
struct ModelResolution {
    placeholders: HashMap<String, String>,
    /// Placeholders and the texts that they replace.
    originals: Vec<(String, String)>,
    counts: HashMap<&'static str, usize>,
    /// The texts of the chat that look like placeholders.
    taken: Vec<String>,
}

/// The fields that identify the user.
const PERSONAL: [&str; 4] = ["metadata", "user", "safety_identifier", "prompt_cache_key"];

impl Veil {
    /// Returns a pseudonymizer for this chat, and removes the fields that identify the user from
    /// it.
    ///
    /// # Errors
    /// Returns an error if the chat holds content that cannot be searched for personal data.
    pub fn over(body: &mut Body, detector: Detector) -> Result<Self> {
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
        for name in PERSONAL {
            body.rest.shift_remove(name);
        }
        let mut known = ModelResolution::default();
        for message in &body.messages {
            let text = message.text();
            let marks = text.split('<').skip(1).filter_map(|rest| Some(rest.split_once('>')?.0));
            known.taken.extend(marks.filter(|mark| mark.len() < 24).map(str::to_owned));
        }
        Ok(Self(Arc::new(Inner { detector, known: Mutex::new(known) })))
    }

    fn known(&self) -> MutexGuard<'_, ModelResolution> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hide(&self, text: &str) -> String {
        let found = self.0.detector.find(text);
        if found.is_empty() {
            return text.to_owned();
        }
        let mut known = self.known();
        let (mut hidden, mut from) = (String::with_capacity(text.len()), 0);
        for (range, kind) in found {
            hidden += text.get(from..range.start).unwrap_or_default();
            hidden += &known.placeholder(text.get(range.clone()).unwrap_or_default(), kind);
            from = range.end;
        }
        hidden + text.get(from..).unwrap_or_default()
    }

    fn hide_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.hide(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide_value(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.hide_value(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Returns these messages with placeholders.
    pub fn hide_messages(&self, messages: &[Message]) -> Vec<Message> {
        let mut messages = messages.to_vec();
        for message in &mut messages {
            match &mut message.content {
                Some(Content::Text(text)) => *text = self.hide(text),
                Some(Content::Parts(parts)) => {
                    for part in parts {
                        if let Part::Text { text, .. } = part {
                            *text = self.hide(text);
                        }
                    }
                }
                None => {}
            }
            for call in &mut message.tool_calls {
                call.function.arguments = self.hide(&call.function.arguments);
            }
            message.rest.values_mut().for_each(|value| self.hide_value(value));
        }
        messages
    }

    /// Returns the text with its placeholders replaced; `in_json` if they stand within strings of
    /// JSON.
    fn show(&self, text: &str, in_json: bool) -> String {
        let known = self.known();
        if known.originals.is_empty() || !text.contains('<') {
            return text.to_owned();
        }
        let mut shown = text.to_owned();
        for (placeholder, original) in &known.originals {
            if shown.contains(placeholder) {
                let original = if in_json { escaped(original) } else { original.clone() };
                shown = shown.replace(placeholder, &original);
            }
        }
        shown
    }

    /// Restores the placeholders in a reply.
    pub fn show_reply(&self, answer: &mut Answer) {
        answer.content = self.show(&answer.content, false);
        answer.reasoning = self.show(&answer.reasoning, false);
        // Signed blocks cannot be changed, and their words have been told.
        answer.reasoning_details.clear();
        for call in &mut answer.tool_calls {
            call.function.arguments = self.show(&call.function.arguments, true);
        }
    }

    /// Restores the placeholders in a streamed answer.
    pub fn show_stream(&self, chunks: ChunkStream) -> ChunkStream {
        let mut held = Held { veil: self.clone(), tails: Vec::new() };
        let shown = chunks.flat_map(move |chunk| {
            let chunks = match chunk {
                Ok(chunk) => held.shown(chunk).into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            futures_util::stream::iter(chunks)
        });
        ChunkStream::new(shown)
    }

    /// Returns the length of the end of a text that may be the beginning of a placeholder.
    fn open_end(&self, text: &str) -> usize {
        let Some(at) = text.rfind('<') else { return 0 };
        let tail = text.get(at..).unwrap_or_default();
        let known = self.known();
        let is_open = known.originals.iter().any(|(placeholder, _)| {
            placeholder.len() > tail.len() && placeholder.starts_with(tail)
        });
        if is_open { tail.len() } else { 0 }
    }
}

impl ModelResolution {
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
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

/// The kind of a text of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Content,
    Reasoning,
    Call(usize),
}

/// The ends of texts that may be the beginnings of placeholders.
struct Held {
    veil: Veil,
    tails: Vec<(Place, String)>,
}

impl Held {
    fn shown(&mut self, chunk: Chunk) -> Vec<Chunk> {
        match chunk {
            Chunk::Content(text) => self.more(Place::Content, &text),
            Chunk::Reasoning(text) => self.more(Place::Reasoning, &text),
            Chunk::ToolCall(delta) => {
                let ToolCallDelta { index, id, name, arguments } = delta;
                let begins = id.is_some() || name.is_some();
                let head = ToolCallDelta { index, id, name, arguments: String::new() };
                let mut chunks = if begins { vec![Chunk::ToolCall(head)] } else { Vec::new() };
                chunks.extend(self.more(Place::Call(index), &arguments));
                chunks
            }
            Chunk::ReasoningDetail(_) => Vec::new(),
            Chunk::Finish(reason) => {
                let tails = std::mem::take(&mut self.tails);
                let tails = tails.into_iter().map(|(place, tail)| piece(place, tail));
                tails.chain([Chunk::Finish(reason)]).collect()
            }
            other => vec![other],
        }
    }

    fn more(&mut self, place: Place, text: &str) -> Vec<Chunk> {
        let at = self.tails.iter().position(|(held, _)| *held == place);
        let tail = at.map(|at| self.tails.swap_remove(at).1).unwrap_or_default();
        let text = tail + text;
        let (said, open) =
            text.split_at_checked(text.len() - self.veil.open_end(&text)).unwrap_or((&text, ""));
        if !open.is_empty() {
            self.tails.push((place, open.to_owned()));
        }
        if said.is_empty() {
            return Vec::new();
        }
        vec![piece(place, self.veil.show(said, matches!(place, Place::Call(_))))]
    }
}

fn piece(place: Place, text: String) -> Chunk {
    match place {
        Place::Content => Chunk::Content(text),
        Place::Reasoning => Chunk::Reasoning(text),
        Place::Call(index) => {
            Chunk::ToolCall(ToolCallDelta { index, arguments: text, ..ToolCallDelta::default() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;
    use pipe_sdk::{FinishReason, Role};

    fn veil(text: &str) -> (Veil, String) {
        let mut body = Body::new("m", vec![Message::new(Role::User, text)]);
        let veil = Veil::over(&mut body, Detector::new(["Jane Doe".to_owned()])).unwrap();
        let hidden = veil.hide_messages(&body.messages)[0].text();
        (veil, hidden)
    }

    #[test]
    fn what_goes_out_comes_back() {
        let text = "I am Jane Doe, jane@example.com or jane@example.com. <EMAIL_1> is mine.";
        let (veil, hidden) = veil(text);
        assert_eq!(hidden, "I am <WORD_1>, <EMAIL_2> or <EMAIL_2>. <EMAIL_1> is mine.");
        assert_eq!(veil.show(&hidden, false), text);
    }

    #[tokio::test]
    async fn placeholders_that_a_stream_cuts_are_shown_whole() {
        let (veil, hidden) = veil("Mail jane@example.com about 1 < 2");
        for size in 1..hidden.len() {
            let pieces = hidden.as_bytes().chunks(size);
            let pieces =
                pieces.map(|piece| Chunk::Content(String::from_utf8(piece.to_vec()).unwrap()));
            let chunks =
                pieces.chain([Chunk::Content("<EMA".into()), Chunk::Finish(FinishReason::Stop)]);
            let chunks: Vec<_> = chunks.collect();
            let shown: Vec<_> =
                veil.show_stream(ChunkStream::from_chunks(chunks)).try_collect().await.unwrap();
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
        let refused = Veil::over(&mut body, Detector::new([])).err().unwrap();
        assert!(refused.to_string().contains("messages[0].content[1]"));
    }
}
