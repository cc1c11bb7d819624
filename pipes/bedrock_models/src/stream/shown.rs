//! What of an answer is shown, and how: reasoning as the valve says, JSON without the fence around it.

use crate::valves::ReasoningOutput;
use pipe_sdk::Chunk;
use std::{collections::VecDeque, mem};

/// The chunks that are told, in order.
#[derive(Debug)]
pub struct Shown {
    told: VecDeque<Chunk>,
    reasoning: ReasoningOutput,
    /// Whether a `<think>` waits for its end.
    thinking: bool,
    fence: Option<Fence>,
    said: bool,
}

/// JSON that may stand in a fence.
#[derive(Debug)]
struct Fence {
    place: Place,
    /// What may yet turn out to be a part of the fence.
    held: String,
}

#[derive(Debug, PartialEq)]
enum Place {
    /// Nothing but blanks and the beginnings of a fence have come.
    Before,
    /// There is a fence, and what comes is within.
    Within,
    /// There is none.
    Free,
}

impl Shown {
    /// Nothing yet.
    pub fn new(reasoning: ReasoningOutput, unfenced: bool) -> Self {
        let fence = unfenced.then(|| Fence { place: Place::Before, held: String::new() });
        Self { told: VecDeque::new(), reasoning, thinking: false, fence, said: false }
    }

    /// The next chunk.
    pub fn take(&mut self) -> Option<Chunk> {
        self.told.pop_front()
    }

    /// How many chunks wait to be taken.
    pub fn told(&self) -> usize {
        self.told.len()
    }

    /// Whether there is an answer, be it text or a call.
    pub fn has_said(&self) -> bool {
        self.said
    }

    /// Text of the answer.
    pub fn text(&mut self, text: String) {
        let text = match &mut self.fence {
            Some(fence) => fence.pass(&text),
            None => text,
        };
        if !text.is_empty() {
            self.content(text);
        }
    }

    /// What the model thinks.
    pub fn reasoning(&mut self, text: String) {
        if text.is_empty() {
            return;
        }
        match self.reasoning {
            ReasoningOutput::ReasoningContent => self.push(Chunk::Reasoning(text)),
            ReasoningOutput::ThinkTags if self.thinking => self.push(Chunk::Content(text)),
            ReasoningOutput::ThinkTags => {
                self.thinking = true;
                self.push(Chunk::Content(format!("<think>\n{text}")));
            }
            ReasoningOutput::Hidden => {}
        }
    }

    /// Any other chunk.
    pub fn chunk(&mut self, chunk: Chunk) {
        // What is hidden cannot come back either.
        let is_hidden = self.reasoning == ReasoningOutput::Hidden;
        if is_hidden && matches!(chunk, Chunk::ReasoningDetail(_)) {
            return;
        }
        self.said |= matches!(chunk, Chunk::ToolCall(_));
        if matches!(chunk, Chunk::ToolCall(_) | Chunk::Finish(_) | Chunk::Citation(_)) {
            let rest = self.fence.as_mut().map(Fence::end).unwrap_or_default();
            if !rest.is_empty() {
                self.content(rest);
            }
            self.end_of_thought();
        }
        self.push(chunk);
    }

    fn content(&mut self, text: String) {
        self.end_of_thought();
        self.said = true;
        self.push(Chunk::Content(text));
    }

    fn end_of_thought(&mut self) {
        if mem::take(&mut self.thinking) {
            self.push(Chunk::Content("\n</think>\n\n".into()));
        }
    }

    fn push(&mut self, chunk: Chunk) {
        self.told.push_back(chunk);
    }
}

impl Fence {
    /// What of this text is certainly no fence.
    fn pass(&mut self, text: &str) -> String {
        if self.place == Place::Free {
            return text.to_owned();
        }
        self.held.push_str(text);
        if self.place == Place::Before {
            let begun = self.held.trim_start();
            if !begun.starts_with("```") {
                if "```".starts_with(begun) {
                    return String::new();
                }
                self.place = Place::Free;
                return mem::take(&mut self.held);
            }
            self.place = Place::Within;
        }
        // Whether all of the answer stands in the fence is known when it ends.
        String::new()
    }

    /// What is left when no more comes: what stands in the fence, if that is all, or else what was said.
    fn end(&mut self) -> String {
        let held = mem::take(&mut self.held);
        if self.place != Place::Within {
            return held;
        }
        self.place = Place::Free;
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

    fn text(shown: &mut Shown) -> String {
        shown.chunk(Chunk::Finish(FinishReason::Stop));
        let chunks = std::iter::from_fn(|| shown.take());
        chunks
            .filter_map(|chunk| if let Chunk::Content(text) = chunk { Some(text) } else { None })
            .collect()
    }

    #[test]
    fn a_fence_is_taken_away_in_whatever_pieces_it_comes() {
        for (said, told) in [
            ("```json\n{\"a\": \"```\"}\n```\n", "{\"a\": \"```\"}"),
            ("{\"a\": 1}", "{\"a\": 1}"),
            (" \n```\n{}\n```", "{}"),
            ("``", "``"),
            ("```json\n{}\n```\nThere.", "```json\n{}\n```\nThere."),
            ("```json\n{}", "{}"),
        ] {
            for size in 1..=said.len() {
                let mut shown = Shown::new(ReasoningOutput::default(), true);
                for piece in said.as_bytes().chunks(size) {
                    shown.text(String::from_utf8(piece.to_vec()).unwrap());
                }
                assert_eq!(text(&mut shown), told, "{said} by {size}");
            }
        }
    }

    #[test]
    fn reasoning_between_tags_ends_before_the_answer() {
        let mut shown = Shown::new(ReasoningOutput::ThinkTags, false);
        shown.reasoning("a".into());
        shown.reasoning("b".into());
        shown.text("c".into());
        assert_eq!(text(&mut shown), "<think>\nab\n</think>\n\nc");
    }
}
