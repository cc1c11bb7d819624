//! The layout of an answer: which part of which model is shown next.

use crate::{
    section_kind::SectionKind,
    template::{Block, SEPARATOR},
};
use pipe_sdk::{Chunk, FinishReason, PipeError, Result, Usage};

/// An event of a section.
pub(crate) enum SectionItem {
    Chunk(Chunk),
    /// One of its calls has failed.
    Failed(PipeError),
    Ended,
}

/// The parts of an answer. While an answer is streamed, the model that begins first is shown first,
/// and the others wait for its end; else all are shown in the order of the template. What failed
/// comes last in a stream.
pub(crate) struct Layout {
    slots: Vec<AnswerSlot>,
    is_live: bool,
    /// The slots in the order in which they began.
    begun: Vec<usize>,
    /// The slot that is being shown.
    current: Option<usize>,
    has_text: bool,
    usage: Option<Usage>,
}

/// The place of one model's answer.
struct AnswerSlot {
    block: Block,
    /// The chunks that wait to be shown.
    chunks: Vec<Chunk>,
    pending_bytes: usize,
    /// True if the rest is left out, because too much has to wait.
    is_cut: bool,
    errors: Vec<PipeError>,
    finish: Option<FinishReason>,
    /// True once the model has said anything but reasoning.
    has_answer: bool,
    has_ended: bool,
    has_heading: bool,
    is_shown: bool,
}

/// The largest size of an answer that waits to be shown, in bytes.
const MAX_WAITING_BYTES: usize = 4 << 20;

impl Layout {
    pub fn new(blocks: Vec<Block>, is_live: bool) -> Self {
        let slot = |block| AnswerSlot {
            block,
            chunks: Vec::new(),
            pending_bytes: 0,
            is_cut: false,
            errors: Vec::new(),
            finish: None,
            has_answer: false,
            has_ended: false,
            has_heading: false,
            is_shown: false,
        };
        let slots = blocks.into_iter().map(slot).collect();
        Self { slots, is_live, begun: Vec::new(), current: None, has_text: false, usage: None }
    }

    /// Adds what has come of a section, and returns what is shown now.
    pub fn push(&mut self, kind: SectionKind, item: SectionItem) -> Vec<Chunk> {
        let mut shown = Vec::new();
        let Some(index) = self.slots.iter().position(|slot| slot.block.kind == kind) else {
            return shown;
        };
        match item {
            SectionItem::Chunk(chunk) => self.add(index, chunk, &mut shown),
            SectionItem::Failed(error) => self.slots[index].errors.push(error),
            SectionItem::Ended => self.end(index, &mut shown),
        }
        shown
    }

    /// Returns the first error of a section that has ended, and whether a part of it was answered.
    pub fn failure(&self, kind: SectionKind) -> Option<(&PipeError, bool)> {
        let slot = self.slots.iter().find(|slot| slot.block.kind == kind && slot.has_ended)?;
        Some((slot.errors.first()?, slot.has_answer))
    }

    /// Returns the rest of the answer, and what all calls have cost.
    ///
    /// # Errors
    /// The error of a section, if none has an answer.
    pub fn finish(mut self) -> Result<(Vec<Chunk>, Option<Usage>)> {
        if !self.slots.iter().any(|slot| slot.has_answer) {
            let mut errors = self.slots.into_iter().flat_map(|slot| slot.errors);
            let nothing = || PipeError::Upstream("no model has answered".into());
            return Err(errors.next().unwrap_or_else(nothing));
        }
        let mut shown = Vec::new();
        for index in 0..self.slots.len() {
            if self.slots[index].is_shown {
                continue;
            }
            self.show_waiting(index, &mut shown);
            if !self.slots[index].has_answer
                && let Some(error) = self.slots[index].errors.first()
            {
                let note = Chunk::Content(format!("(not answered: {error})"));
                self.show(index, note, &mut shown);
            }
            self.close(index, &mut shown);
        }
        shown.push(Chunk::Finish(self.finish_reason()));
        Ok((shown, self.usage))
    }

    fn add(&mut self, index: usize, chunk: Chunk, shown: &mut Vec<Chunk>) {
        let slot = &mut self.slots[index];
        match chunk {
            Chunk::Usage(usage) => return self.usage.get_or_insert_default().add(&usage),
            Chunk::Finish(reason) => return slot.finish = Some(merge(slot.finish, reason)),
            Chunk::Event(_) => return shown.push(chunk),
            // Reasoning comes back in the next turn, and belongs to the model for text alone.
            Chunk::ReasoningDetail(_) if slot.block.kind != SectionKind::Text => return,
            Chunk::Content(_)
            | Chunk::Reasoning(_)
            | Chunk::ReasoningDetail(_)
            | Chunk::ToolCall(_)
            | Chunk::Picture(_)
            | Chunk::Citation(_)
                if !slot.is_cut => {}
            _ => return,
        }
        slot.has_answer |= is_answer(&chunk);
        if !self.begun.contains(&index) {
            self.begun.push(index);
        }
        if self.is_live && self.current.is_none() {
            self.current = Some(index);
        }
        if self.current == Some(index) {
            self.show(index, chunk, shown);
        } else {
            self.slots[index].wait(chunk);
        }
    }

    /// Ends the answer for one kind of input.
    fn end(&mut self, index: usize, shown: &mut Vec<Chunk>) {
        let slot = &mut self.slots[index];
        slot.has_ended = true;
        if !slot.has_answer {
            if slot.errors.is_empty() {
                slot.errors.push(PipeError::Upstream("the model has answered nothing".into()));
            }
        } else if let Some(error) = slot.errors.first() {
            let note = Chunk::Content(format!("{SEPARATOR}(not all is answered: {error})"));
            slot.chunks.push(note);
        }
        if self.current == Some(index) {
            self.leave(index, shown);
        }
    }

    /// Ends the slot that is shown, and goes on with those that wait.
    fn leave(&mut self, index: usize, shown: &mut Vec<Chunk>) {
        let mut ended = index;
        loop {
            self.show_waiting(ended, shown);
            if self.slots[ended].has_answer {
                self.close(ended, shown);
            }
            let next = self.begun.iter().copied().find(|index| {
                let slot = &self.slots[*index];
                *index != ended && !slot.is_shown && (slot.has_answer || !slot.has_ended)
            });
            self.current = next;
            let Some(next) = next else { return };
            self.show_waiting(next, shown);
            if !self.slots[next].has_ended {
                return;
            }
            ended = next;
        }
    }

    fn show_waiting(&mut self, index: usize, shown: &mut Vec<Chunk>) {
        for chunk in std::mem::take(&mut self.slots[index].chunks) {
            self.show(index, chunk, shown);
        }
        self.slots[index].pending_bytes = 0;
    }

    /// Shows a chunk, under the heading of its slot.
    fn show(&mut self, index: usize, chunk: Chunk, shown: &mut Vec<Chunk>) {
        let slot = &mut self.slots[index];
        if !slot.has_heading && is_answer(&chunk) {
            slot.has_heading = true;
            let separator = if self.has_text { SEPARATOR } else { "" };
            self.has_text = true;
            shown.push(Chunk::Content(format!("{separator}{}", slot.block.before)));
        }
        shown.push(chunk);
    }

    /// Writes the text behind an answer.
    fn close(&mut self, index: usize, shown: &mut Vec<Chunk>) {
        let slot = &mut self.slots[index];
        slot.is_shown = true;
        if !slot.block.after.is_empty() {
            shown.push(Chunk::Content(slot.block.after.clone()));
        }
    }

    fn finish_reason(&self) -> FinishReason {
        let reasons = self.slots.iter().filter_map(|slot| slot.finish);
        reasons.fold(None, |all, reason| Some(merge(all, reason))).unwrap_or(FinishReason::Stop)
    }
}

impl AnswerSlot {
    /// Keeps a chunk until the answers before it are shown.
    fn wait(&mut self, chunk: Chunk) {
        let bytes = match &chunk {
            Chunk::Content(text) | Chunk::Reasoning(text) => text.len(),
            Chunk::ToolCall(call) => call.arguments.len(),
            Chunk::Picture(picture) => picture.url.len(),
            _ => 0,
        };
        if self.pending_bytes + bytes > MAX_WAITING_BYTES {
            self.is_cut = true;
            self.errors.push(PipeError::Upstream("the answer is too long".into()));
            return;
        }
        self.pending_bytes += bytes;
        self.chunks.push(chunk);
    }
}

/// Returns whether a chunk is more than thoughts.
fn is_answer(chunk: &Chunk) -> bool {
    match chunk {
        Chunk::Content(text) => !text.trim().is_empty(),
        Chunk::ToolCall(_) | Chunk::Picture(_) => true,
        _ => false,
    }
}

/// Returns the reason that matters more to the client.
fn merge(one: Option<FinishReason>, other: FinishReason) -> FinishReason {
    use FinishReason::{ContentFilter, Length, ToolCalls};
    [ToolCalls, ContentFilter, Length]
        .into_iter()
        .find(|reason| one == Some(*reason) || other == *reason)
        .unwrap_or(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;
    use SectionKind::{Images, Text};

    fn says(text: &str) -> SectionItem {
        SectionItem::Chunk(Chunk::Content(text.into()))
    }

    fn layout(is_live: bool) -> Layout {
        Layout::new(Template::default().blocks(&[Text, Images]), is_live)
    }

    fn text(chunks: &[Chunk]) -> String {
        let text = |chunk: &Chunk| match chunk {
            Chunk::Content(text) => text.clone(),
            Chunk::Reasoning(text) => format!("<{text}>"),
            _ => String::new(),
        };
        chunks.iter().map(text).collect()
    }

    #[test]
    fn the_first_to_begin_is_shown_live_and_the_other_waits() {
        let mut layout = layout(true);
        assert_eq!(text(&layout.push(Images, says("a"))), "IMAGES:\na");
        assert_eq!(text(&layout.push(Text, says("x"))), "");
        assert_eq!(text(&layout.push(Images, says("b"))), "b");
        assert_eq!(text(&layout.push(Images, SectionItem::Ended)), "\n\nTEXT:\nx");
        assert_eq!(text(&layout.push(Text, says("y"))), "y");
        layout.push(Text, SectionItem::Ended);
        let (rest, _) = layout.finish().unwrap();
        assert_eq!(rest, [Chunk::Finish(FinishReason::Stop)]);
    }

    #[test]
    fn a_plain_answer_has_the_order_of_the_template() {
        let mut layout = layout(false);
        for (kind, item) in [
            (Images, says("a")),
            (Text, SectionItem::Chunk(Chunk::Reasoning("hm".into()))),
            (Images, SectionItem::Ended),
            (Text, says("x")),
            (Text, SectionItem::Ended),
        ] {
            assert!(layout.push(kind, item).is_empty());
        }
        assert_eq!(text(&layout.finish().unwrap().0), "<hm>TEXT:\nx\n\nIMAGES:\na");
    }

    #[test]
    fn a_failed_section_is_noted_at_the_end_and_only_failures_are_an_error() {
        for is_live in [true, false] {
            let failed = || SectionItem::Failed(PipeError::Upstream("away".into()));
            let mut layout = layout(is_live);
            let mut chunks = layout.push(Text, failed());
            chunks.extend(layout.push(Text, SectionItem::Ended));
            assert!(layout.failure(Text).is_some() && layout.failure(Images).is_none());
            chunks.extend(layout.push(Images, says("a")));
            chunks.extend(layout.push(Images, failed()));
            chunks.extend(layout.push(Images, SectionItem::Ended));
            chunks.extend(layout.finish().unwrap().0);
            let text = text(&chunks);
            assert!(text.contains("IMAGES:\na\n\n(not all is answered: away)"), "{text}");
            assert!(text.contains("TEXT:\n(not answered: away)"), "{text}");
        }
        let mut layout = layout(true);
        layout.push(Text, SectionItem::Failed(PipeError::Upstream("away".into())));
        layout.push(Text, SectionItem::Ended);
        layout.push(Images, says(" "));
        layout.push(Images, SectionItem::Ended);
        assert_eq!(layout.finish().unwrap_err().to_string(), "away");
    }

    #[test]
    fn thoughts_take_the_place_until_their_model_fails() {
        let mut layout = layout(true);
        let thought = SectionItem::Chunk(Chunk::Reasoning("hm".into()));
        assert_eq!(text(&layout.push(Images, thought)), "<hm>");
        assert_eq!(text(&layout.push(Text, says("x"))), "");
        layout.push(Images, SectionItem::Failed(PipeError::Upstream("away".into())));
        assert_eq!(text(&layout.push(Images, SectionItem::Ended)), "TEXT:\nx");
    }
}
