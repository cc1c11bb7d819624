//! Splits a text of sections into reasoning and answer, while it arrives:
//! `<thinking>…</thinking><output>…</output>`.

use pipe_sdk::{Answer, Chunk, FinishReason};

/// Parses sections piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    state: State,
    /// The text that is held back because it may be the beginning of a tag.
    held: String,
    /// `true` once the answer has begun.
    has_said: bool,
    /// The reasoning so far, for a text that never comes to its answer.
    thoughts: String,
}

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

const OPEN: &str = "<output>";
const CLOSE: &str = "</output>";
const TAGS: [&str; 6] = ["<thinking>", "</thinking>", "<reflection>", "</reflection>", OPEN, CLOSE];

/// The longest text before the first section.
const PREFACE: usize = 200;

impl Sections {
    /// Takes the next piece and returns its chunks.
    pub fn more(&mut self, text: &str) -> Vec<Chunk> {
        self.held += text;
        if self.state == State::Unknown {
            let has_tag = TAGS.iter().any(|tag| self.held.contains(tag));
            if has_tag {
                self.state = State::Thoughts;
            } else if self.held.len() > PREFACE && !self.held.trim_start().starts_with('<') {
                self.state = State::Plain;
            } else {
                return Vec::new();
            }
        }
        let mut chunks = Vec::new();
        if self.state == State::Thoughts
            && let Some((before, after)) = self.held.split_once(OPEN)
        {
            let (before, after) = (before.to_owned(), after.trim_start().to_owned());
            self.think(&before, &mut chunks);
            (self.state, self.held) = (State::Output, after);
        }
        if self.state == State::Output
            && let Some((before, _)) = self.held.split_once(CLOSE)
        {
            let before = before.trim_end();
            let before = if self.has_said { before } else { before.trim_start() }.to_owned();
            say(before, &mut chunks);
            (self.state, self.held) = (State::Done, String::new());
        }
        let ready = self.held.len() - self.open_end();
        let (ready, rest) = self.held.split_at_checked(ready).unwrap_or((&self.held, ""));
        let (ready, rest) = (ready.to_owned(), rest.to_owned());
        match self.state {
            State::Thoughts => self.think(&ready, &mut chunks),
            State::Output if !self.has_said => {
                let ready = ready.trim_start().to_owned();
                self.has_said = !ready.is_empty();
                say(ready, &mut chunks);
            }
            State::Output | State::Plain => say(ready, &mut chunks),
            State::Done | State::Unknown => {}
        }
        self.held = rest;
        chunks
    }

    /// Returns the chunks that were held back, when the text ends for this reason.
    pub fn end(&mut self, reason: FinishReason) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Unknown | State::Plain | State::Output => say(held, &mut chunks),
            State::Done => {}
            State::Thoughts => {
                self.think(&held, &mut chunks);
                // What was cut off while it was thought is no answer; what forgot its tags is one.
                if reason != FinishReason::Length {
                    let all = std::mem::take(&mut self.thoughts);
                    let all = all
                        .rsplit_once("</thinking>")
                        .map(|(_, rest)| rest.to_owned())
                        .filter(|rest| !rest.trim().is_empty())
                        .unwrap_or(all);
                    say(without_tags(&all).trim().to_owned(), &mut chunks);
                }
            }
        }
        chunks
    }

    fn think(&mut self, text: &str, chunks: &mut Vec<Chunk>) {
        self.thoughts += text;
        let shown = without_tags(text);
        if !shown.is_empty() {
            chunks.push(Chunk::Reasoning(shown));
        }
    }

    /// Returns the length of the end that may be the beginning of a tag, or spaces before one.
    fn open_end(&self) -> usize {
        let held = &self.held;
        let at = held.rfind('<').filter(|at| {
            let tail = held.get(*at..).unwrap_or_default();
            TAGS.iter().any(|tag| tag.len() > tail.len() && tag.starts_with(tail))
        });
        let end = at.unwrap_or(held.len());
        let before = held.get(..end).unwrap_or_default();
        let spaces = if self.state == State::Output { end - before.trim_end().len() } else { 0 };
        held.len() - end + spaces
    }
}

fn say(text: String, chunks: &mut Vec<Chunk>) {
    if !text.is_empty() {
        chunks.push(Chunk::Content(text));
    }
}

fn without_tags(text: &str) -> String {
    TAGS.iter().fold(text.to_owned(), |text, tag| text.replace(tag, ""))
}

/// Returns an answer with its sections split into reasoning and content.
pub(crate) fn apart(mut answer: Answer) -> Answer {
    let text = std::mem::take(&mut answer.content);
    let mut sections = Sections::default();
    let mut chunks = sections.more(&text);
    chunks.extend(sections.end(answer.finish.unwrap_or(FinishReason::Stop)));
    chunks.into_iter().for_each(|chunk| answer.add(chunk));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, size: usize, reason: FinishReason) -> (String, String) {
        let (mut sections, mut answer) = (Sections::default(), Answer::default());
        let letters: Vec<char> = text.chars().collect();
        for piece in letters.chunks(size) {
            let piece: String = piece.iter().collect();
            sections.more(&piece).into_iter().for_each(|chunk| answer.add(chunk));
        }
        sections.end(reason).into_iter().for_each(|chunk| answer.add(chunk));
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
