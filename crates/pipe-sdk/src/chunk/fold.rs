//! Folds chunks into one answer, for callers that did not ask for a stream.

use super::size::size_of_chunk;
use super::{
    Chunk, ChunkStream, Citation, Event, FinishReason, ReasoningDetail, TokenLogprob,
    ToolCallDelta, Usage,
};
use crate::{FunctionCall, Picture, PipeError, Result, ToolCall};
use futures_util::TryStreamExt;
use serde_json::{Map, Value};

/// The largest answer that is kept whole, in bytes: some pictures have room in it. Streamed answers
/// have no bound.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The full id of the model that answered, if the pipe named it.
    pub model: Option<String>,
    /// All its text.
    pub content: String,
    /// The reasoning, as text.
    pub reasoning: String,
    /// The same block by block, as it has to come back.
    pub reasoning_details: Vec<ReasoningDetail>,
    /// The log probabilities of its text, if the upstream sends them.
    pub logprobs: Vec<TokenLogprob>,
    /// The tool calls of the model, in order.
    pub tool_calls: Vec<ToolCall>,
    /// The pictures, in order.
    pub pictures: Vec<Picture>,
    /// The citations, each with the number of characters before it.
    pub citations: Vec<(usize, Citation)>,
    /// The answers before this one, if the chat has several.
    pub earlier: Vec<Answer>,
    /// The finish reason; `None` if the stream ended without one.
    pub finish: Option<FinishReason>,
    /// The usage.
    pub usage: Option<Usage>,
    /// Facts that are fields beside the choices.
    pub facts: Map<String, Value>,
    /// The events beside the text.
    pub events: Vec<Event>,
}

impl ChunkStream {
    /// Waits for the whole answer; its first error ends the waiting.
    ///
    /// # Errors
    /// Returns an error if the answer has one, or is larger than 64 MiB.
    pub async fn fold(mut self) -> Result<Answer> {
        let (mut answer, mut bytes) = (Answer::default(), 0);
        while let Some(chunk) = self.try_next().await? {
            bytes += size_of_chunk(&chunk);
            if bytes > MAX_ANSWER_BYTES {
                return Err(PipeError::Upstream(format!(
                    "the answer is larger than {} MiB: ask for it with `stream`",
                    MAX_ANSWER_BYTES >> 20
                )));
            }
            answer.add(chunk);
        }
        Ok(answer)
    }
}

impl Answer {
    /// Returns all its text, and the pictures as Markdown, for clients that take none beside the
    /// text.
    pub fn text_with_images(&self) -> String {
        let pictures = self.pictures.iter().map(Picture::markdown);
        self.content.clone() + &pictures.collect::<String>()
    }

    /// Adds one more chunk.
    pub fn add(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Model(id) => self.model = Some(id),
            Chunk::Role | Chunk::Side(_) => {}
            Chunk::Content(text) => self.content += &text,
            Chunk::Logprobs(tokens) => self.logprobs.extend(tokens),
            Chunk::Reasoning(text) => self.reasoning += &text,
            Chunk::ReasoningDetail(detail) => self.reasoning_details.push(detail),
            Chunk::Picture(picture) => self.pictures.push(picture),
            Chunk::Citation(citation) => {
                self.citations.push((self.content.chars().count(), citation));
            }
            Chunk::Fact(name, fact) => _ = self.facts.insert(name.into(), fact),
            Chunk::ToolCall(delta) => self.add_tool_call(delta),
            Chunk::NextChoice { finish, .. } => {
                let mut ended = std::mem::take(self);
                self.earlier = std::mem::take(&mut ended.earlier);
                self.model = ended.model.clone();
                self.facts = std::mem::take(&mut ended.facts);
                self.events = std::mem::take(&mut ended.events);
                self.earlier.push(Self { finish: Some(finish), ..ended });
            }
            Chunk::Finish(reason) => self.finish = Some(reason),
            Chunk::Usage(usage) => self.usage = Some(usage),
            Chunk::Event(event) => self.events.push(event),
        }
    }

    fn add_tool_call(&mut self, delta: ToolCallDelta) {
        while self.tool_calls.len() <= delta.index {
            self.tool_calls.push(ToolCall {
                id: String::new(),
                kind: "function".into(),
                function: FunctionCall::default(),
            });
        }
        let call = &mut self.tool_calls[delta.index];
        if let Some(id) = delta.id {
            call.id = id;
        }
        if let Some(name) = delta.name {
            call.function.name = name;
        }
        call.function.arguments += &delta.arguments;
    }
}
