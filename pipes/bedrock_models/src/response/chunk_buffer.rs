//! Buffers the parts of an answer: reasoning as the valve says, JSON without the fence around
//! it.

use crate::valves::ReasoningOutput;
use pipe_sdk::Chunk;
use std::{collections::VecDeque, mem};

/// The buffered chunks, in order.
#[derive(Debug)]
pub struct ChunkBuffer {
    chunks: VecDeque<Chunk>,
    reasoning: ReasoningOutput,
    /// `true` if a `<think>` waits for its end.
    has_open_think_tag: bool,
    fence: Option<CodeFenceStripper>,
    has_output: bool,
}

/// JSON that may be in a fence.
#[derive(Debug)]
struct CodeFenceStripper {
    state: FenceState,
    /// Text that may turn out to be a part of the fence.
    held: String,
}

/// The place in an answer that may be in a Markdown fence.
#[derive(Debug, PartialEq)]
enum FenceState {
    /// Nothing but blanks and the beginnings of a fence have come.
    Undecided,
    /// The answer has a fence, and new text is within it.
    Inside,
    /// The answer has no fence.
    Absent,
}

impl ChunkBuffer {
    /// Creates an empty buffer.
    pub fn new(reasoning: ReasoningOutput, strips_fence: bool) -> Self {
        let fence = strips_fence
            .then(|| CodeFenceStripper { state: FenceState::Undecided, held: String::new() });
        Self {
            chunks: VecDeque::new(),
            reasoning,
            has_open_think_tag: false,
            fence,
            has_output: false,
        }
    }

    /// Returns the next chunk.
    pub fn pop(&mut self) -> Option<Chunk> {
        self.chunks.pop_front()
    }

    /// Returns the number of buffered chunks.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Returns whether there is an answer, be it text or a call.
    pub fn has_output(&self) -> bool {
        self.has_output
    }

    /// Appends text of the answer.
    pub fn push_text(&mut self, text: String) {
        let text = match &mut self.fence {
            Some(fence) => fence.filter(&text),
            None => text,
        };
        if !text.is_empty() {
            self.push_content(text);
        }
    }

    /// Adds a piece of reasoning.
    pub fn push_reasoning(&mut self, text: String) {
        if text.is_empty() {
            return;
        }
        match self.reasoning {
            ReasoningOutput::ReasoningContent => self.push(Chunk::Reasoning(text)),
            ReasoningOutput::ThinkTags if self.has_open_think_tag => {
                self.push(Chunk::Content(text));
            }
            ReasoningOutput::ThinkTags => {
                self.has_open_think_tag = true;
                self.push(Chunk::Content(format!("<think>\n{text}")));
            }
            ReasoningOutput::Hidden => {}
        }
    }

    /// Appends any other chunk.
    pub fn push_chunk(&mut self, chunk: Chunk) {
        // Reasoning that is hidden cannot be sent back either.
        let is_hidden = self.reasoning == ReasoningOutput::Hidden;
        if is_hidden && matches!(chunk, Chunk::ReasoningDetail(_)) {
            return;
        }
        self.has_output |= matches!(chunk, Chunk::ToolCall(_));
        if matches!(chunk, Chunk::ToolCall(_) | Chunk::Finish(_) | Chunk::Citation(_)) {
            let rest = self.fence.as_mut().map(CodeFenceStripper::finish).unwrap_or_default();
            if !rest.is_empty() {
                self.push_content(rest);
            }
            self.close_think_tag();
        }
        self.push(chunk);
    }

    fn push_content(&mut self, text: String) {
        self.close_think_tag();
        self.has_output |= !text.trim().is_empty();
        self.push(Chunk::Content(text));
    }

    /// Ends the reasoning, if it is shown in a tag `<think>`.
    fn close_think_tag(&mut self) {
        if mem::take(&mut self.has_open_think_tag) {
            self.push(Chunk::Content("\n</think>\n\n".into()));
        }
    }

    /// Appends a chunk.
    fn push(&mut self, chunk: Chunk) {
        self.chunks.push_back(chunk);
    }
}

impl CodeFenceStripper {
    /// Returns the part of the text that certainly is not the fence.
    fn filter(&mut self, text: &str) -> String {
        if self.state == FenceState::Absent {
            return text.to_owned();
        }
        self.held.push_str(text);
        if self.state == FenceState::Undecided {
            let trimmed = self.held.trim_start();
            if !trimmed.starts_with("```") {
                if "```".starts_with(trimmed) {
                    return String::new();
                }
                self.state = FenceState::Absent;
                return mem::take(&mut self.held);
            }
            self.state = FenceState::Inside;
        }
        // Only the end of the answer shows that all of it is in the fence.
        String::new()
    }

    /// Returns the rest at the end: the content of the fence, if there is nothing else, or the text
    /// as it came.
    fn finish(&mut self) -> String {
        let held = mem::take(&mut self.held);
        if self.state != FenceState::Inside {
            return held;
        }
        self.state = FenceState::Absent;
        let whole = held.trim();
        let within = whole.split_once('\n').map_or("", |(_language, within)| within).trim_end();
        match within.strip_suffix("```") {
            Some(json) if !json.contains("\n```") => json.trim_end().to_owned(),
            None if !within.contains("\n```") => within.to_owned(),
            _ => held,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_sdk::FinishReason;

    fn content(buffer: &mut ChunkBuffer) -> String {
        buffer.push_chunk(Chunk::Finish(FinishReason::Stop));
        let chunks = std::iter::from_fn(|| buffer.pop());
        chunks
            .filter_map(|chunk| if let Chunk::Content(text) = chunk { Some(text) } else { None })
            .collect()
    }

    #[test]
    fn a_fence_is_taken_away_in_whatever_pieces_it_comes() {
        for (text, expected) in [
            ("```json\n{\"a\": \"```\"}\n```\n", "{\"a\": \"```\"}"),
            ("{\"a\": 1}", "{\"a\": 1}"),
            (" \n```\n{}\n```", "{}"),
            ("``", "``"),
            ("```json\n{}\n```\nThere.", "```json\n{}\n```\nThere."),
            ("```json\n{}", "{}"),
        ] {
            for size in 1..=text.len() {
                let mut buffer = ChunkBuffer::new(ReasoningOutput::default(), true);
                for piece in text.as_bytes().chunks(size) {
                    buffer.push_text(String::from_utf8(piece.to_vec()).unwrap());
                }
                assert_eq!(content(&mut buffer), expected, "{text} by {size}");
            }
        }
    }

    #[test]
    fn reasoning_between_tags_ends_before_the_answer() {
        let mut buffer = ChunkBuffer::new(ReasoningOutput::ThinkTags, false);
        buffer.push_reasoning("a".into());
        buffer.push_reasoning("b".into());
        buffer.push_text("c".into());
        assert_eq!(content(&mut buffer), "<think>\nab\n</think>\n\nc");
    }
}
