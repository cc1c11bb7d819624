//! Splits a text of sections into reasoning and answer, while it arrives:
//! `<thinking>…</thinking><output>…</output>`.

use pipe_sdk::{Answer, Chunk, FinishReason};

/// Parses sections piece by piece.
#[derive(Debug, Default)]
pub(crate) struct SectionParser {
    state: State,
    /// The text that is held back because it may be the beginning of a tag.
    pending: String,
    /// `true` once the answer has begun.
    has_content: bool,
    /// The reasoning so far, for a text that never comes to its answer.
    thoughts: String,
}

/// The section that the text has reached.
#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    /// It is not known yet whether there are sections.
    #[default]
    Unknown,
    Thoughts,
    Output,
    /// Behind the answer.
    Done,
    /// There are no sections.
    Plain,
}

/// The tag that begins the answer.
const OPEN: &str = "<output>";
/// The tag that ends the answer.
const CLOSE: &str = "</output>";
/// The tags of all sections.
const TAGS: [&str; 6] = ["<thinking>", "</thinking>", "<reflection>", "</reflection>", OPEN, CLOSE];

/// The longest text before the first section.
const MAX_PREFACE_BYTES: usize = 200;

impl SectionParser {
    /// Takes the next piece and returns its chunks.
    pub fn push(&mut self, text: &str) -> Vec<Chunk> {
        self.pending += text;
        if self.state == State::Unknown {
            let has_tag = TAGS.iter().any(|tag| self.pending.contains(tag));
            if has_tag {
                self.state = State::Thoughts;
            } else if self.pending.len() > MAX_PREFACE_BYTES
                && !self.pending.trim_start().starts_with('<')
            {
                self.state = State::Plain;
            } else {
                return Vec::new();
            }
        }
        let mut chunks = Vec::new();
        if self.state == State::Thoughts
            && let Some((before, after)) = self.pending.split_once(OPEN)
        {
            let (before, after) = (before.to_owned(), after.trim_start().to_owned());
            self.push_reasoning(&before, &mut chunks);
            (self.state, self.pending) = (State::Output, after);
        }
        if self.state == State::Output
            && let Some((before, _)) = self.pending.split_once(CLOSE)
        {
            let before = before.trim_end();
            let before = if self.has_content { before } else { before.trim_start() }.to_owned();
            push_content(before, &mut chunks);
            (self.state, self.pending) = (State::Done, String::new());
        }
        let ready = self.pending.len() - self.partial_tag_len();
        let (ready, rest) = self.pending.split_at_checked(ready).unwrap_or((&self.pending, ""));
        let (ready, rest) = (ready.to_owned(), rest.to_owned());
        match self.state {
            State::Thoughts => self.push_reasoning(&ready, &mut chunks),
            State::Output if !self.has_content => {
                let ready = ready.trim_start().to_owned();
                self.has_content = !ready.is_empty();
                push_content(ready, &mut chunks);
            }
            State::Output | State::Plain => push_content(ready, &mut chunks),
            State::Done | State::Unknown => {}
        }
        self.pending = rest;
        chunks
    }

    /// Returns the chunks that were held back, when the text ends for this reason.
    pub fn finish(&mut self, reason: FinishReason) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        let pending = std::mem::take(&mut self.pending);
        match self.state {
            State::Unknown | State::Plain | State::Output => push_content(pending, &mut chunks),
            State::Done => {}
            State::Thoughts => {
                self.push_reasoning(&pending, &mut chunks);
                // What was cut off while it was thought is no answer; what forgot its tags is one.
                if reason != FinishReason::Length {
                    let all = std::mem::take(&mut self.thoughts);
                    let all = all
                        .rsplit_once("</thinking>")
                        .map(|(_, rest)| rest.to_owned())
                        .filter(|rest| !rest.trim().is_empty())
                        .unwrap_or(all);
                    push_content(strip_tags(&all).trim().to_owned(), &mut chunks);
                }
            }
        }
        chunks
    }

    fn push_reasoning(&mut self, text: &str, chunks: &mut Vec<Chunk>) {
        self.thoughts += text;
        let shown = strip_tags(text);
        if !shown.is_empty() {
            chunks.push(Chunk::Reasoning(shown));
        }
    }

    /// Returns the length of the end that may be the beginning of a tag, or spaces before one.
    fn partial_tag_len(&self) -> usize {
        let pending = &self.pending;
        let at = pending.rfind('<').filter(|at| {
            let tail = pending.get(*at..).unwrap_or_default();
            TAGS.iter().any(|tag| tag.len() > tail.len() && tag.starts_with(tail))
        });
        let end = at.unwrap_or(pending.len());
        let before = pending.get(..end).unwrap_or_default();
        let spaces = if self.state == State::Output { end - before.trim_end().len() } else { 0 };
        pending.len() - end + spaces
    }
}

fn push_content(text: String, chunks: &mut Vec<Chunk>) {
    if !text.is_empty() {
        chunks.push(Chunk::Content(text));
    }
}

fn strip_tags(text: &str) -> String {
    TAGS.iter().fold(text.to_owned(), |text, tag| text.replace(tag, ""))
}

/// Returns an answer with its sections split into reasoning and content.
pub(crate) fn split_sections(mut answer: Answer) -> Answer {
    let text = std::mem::take(&mut answer.content);
    let mut sections = SectionParser::default();
    let mut chunks = sections.push(&text);
    chunks.extend(sections.finish(answer.finish.unwrap_or(FinishReason::Stop)));
    chunks.into_iter().for_each(|chunk| answer.add(chunk));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, size: usize, reason: FinishReason) -> (String, String) {
        let (mut sections, mut answer) = (SectionParser::default(), Answer::default());
        let letters: Vec<char> = text.chars().collect();
        for piece in letters.chunks(size) {
            let piece: String = piece.iter().collect();
            sections.push(&piece).into_iter().for_each(|chunk| answer.add(chunk));
        }
        sections.finish(reason).into_iter().for_each(|chunk| answer.add(chunk));
        (answer.reasoning, answer.content)
    }

    #[test]
    fn only_the_output_is_the_answer_however_it_is_cut() {
        let text = "<thinking>\nHm < 3\n<reflection>Yes.</reflection>\n</thinking>\n<output>\nIt is <b>42</b>.\n</output>\n";
        for size in 1..text.len() {
            let (thought, said) = read(text, size, FinishReason::Stop);
            assert_eq!(said, "It is <b>42</b>.", "{size}");
            assert_eq!(thought.trim(), "Hm < 3\nYes.", "{size}");
        }
    }

    #[test]
    fn what_forgets_its_sections_is_an_answer_and_what_is_cut_off_in_thought_is_none() {
        for size in [1, 7, 1000] {
            let stop = FinishReason::Stop;
            assert_eq!(read("Just 42.", size, stop).1, "Just 42.");
            assert_eq!(read("<thinking>Hm</thinking>It is 42.", size, stop).1, "It is 42.");
            assert_eq!(read("<thinking>It is 42.", size, stop).1, "It is 42.");
            assert_eq!(read("<thinking>Hm</thinking><output>It is", size, stop).1, "It is");
            assert_eq!(read("<thinking>It is 42.", size, FinishReason::Length).1, "");
            let long = "word ".repeat(100);
            assert_eq!(read(&long, size, stop).1, long);
        }
    }
}
