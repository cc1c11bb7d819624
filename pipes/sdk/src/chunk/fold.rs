//! Many chunks made one answer, for callers that did not ask for a stream.

use super::{Chunk, ChunkStream, Event, FinishReason, ToolCallDelta, Usage};
use crate::{FunctionCall, Result, ToolCall};
use futures_util::TryStreamExt;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// All its text.
    pub content: String,
    /// What the model thought, in words.
    pub reasoning: String,
    /// What the model wants called, in order.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended; `None` if the stream ended without a word.
    pub finish: Option<FinishReason>,
    /// What it cost.
    pub usage: Option<Usage>,
    /// What was said beside the text.
    pub events: Vec<Event>,
}

impl ChunkStream {
    /// Waits for the whole answer; its first error ends the waiting.
    pub async fn fold(self) -> Result<Answer> {
        self.try_fold(Answer::default(), async |mut answer, chunk| {
            answer.add(chunk);
            Ok(answer)
        })
        .await
    }
}

impl Answer {
    /// Adds one more chunk.
    pub fn add(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Role => {}
            Chunk::Content(text) => self.content += &text,
            Chunk::Reasoning(text) => self.reasoning += &text,
            Chunk::ToolCall(delta) => self.add_tool_call(delta),
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
