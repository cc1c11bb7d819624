//! The units of a text, between which it may be cut: sentences and lines, and parts of those that are too long.

use super::section::Section;
use crate::tokens::{self, Counter};
use std::ops::Range;

/// A sentence, a line, or a part of one that is too long.
pub(super) struct Unit {
    pub(super) range: Range<usize>,
    pub(super) tokens: usize,
    pub(super) opens: Opens,
    /// The number of the section that it is in.
    pub(super) section: usize,
}

/// What begins with a unit.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Opens {
    Section,
    Paragraph,
    Sentence,
    /// Nothing: it is the rest of a sentence that is too long.
    Rest,
}

pub(super) fn units(text: &str, sections: &[Section<'_>], limit: usize) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for (number, section) in sections.iter().enumerate() {
        // A heading right under another one goes with it.
        let before = units.len();
        let before_it = number.checked_sub(1).and_then(|before| sections.get(before));
        let headed = before_it.is_some_and(|before| before.above < before.headings.len());
        let said = |unit: &&Unit| unit.tokens > 0;
        let alone = headed
            && units
                .iter()
                .rev()
                .take_while(|unit| unit.section + 1 == number)
                .filter(said)
                .count()
                == 1;
        units_of(text, number, section.range.clone(), limit, &mut units);
        if let Some(first) =
            units.get_mut(before).filter(|_| section.above < section.headings.len())
        {
            first.opens = if alone { Opens::Sentence } else { Opens::Section };
        }
    }
    units
}

fn units_of(text: &str, section: usize, range: Range<usize>, limit: usize, units: &mut Vec<Unit>) {
    let mut opens = Opens::Paragraph;
    for line in lines(text, range) {
        let Some(content) = text.get(line.clone()) else { continue };
        if content.trim().is_empty() {
            opens = Opens::Paragraph;
        }
        for sentence in pieces(line, content, ends_of_sentences(content)) {
            let Some(content) = text.get(sentence.clone()) else { continue };
            let long = tokens::count(content) > limit;
            for part in if long { parts(sentence, content, limit) } else { vec![sentence] } {
                let tokens = tokens::count(text.get(part.clone()).unwrap_or_default());
                let before = units.last_mut().filter(|before| before.section == section);
                match before {
                    // Space goes with what stands before it.
                    Some(before) if tokens == 0 => before.range.end = part.end,
                    _ => units.push(Unit { range: part, tokens, opens, section }),
                }
                if tokens > 0 {
                    opens = Opens::Rest;
                }
            }
            opens = if opens == Opens::Rest { Opens::Sentence } else { opens };
        }
    }
}

fn lines(text: &str, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut end = range.start;
    text.get(range).unwrap_or_default().split_inclusive('\n').map(move |line| {
        let start = end;
        end += line.len();
        start..end
    })
}

/// A sentence ends after its mark and the space behind it; in scripts without spaces, after the mark.
fn ends_of_sentences(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut marked = false;
    for (at, char) in text.char_indices() {
        match char {
            '。' | '！' | '？' => ends.push(at + char.len_utf8()),
            '.' | '!' | '?' | ';' => marked = true,
            '"' | '\'' | ')' | ']' | '”' | '’' => {}
            _ if char.is_whitespace() && marked => {
                ends.push(at + char.len_utf8());
                marked = false;
            }
            _ => marked = false,
        }
    }
    ends
}

/// Parts of at most `limit` tokens, cut between words; a word without end is cut where it must be.
fn parts(range: Range<usize>, text: &str, limit: usize) -> Vec<Range<usize>> {
    let mut ends = Vec::new();
    let mut counter = Counter::default();
    let mut after_space = None;
    for (at, char) in text.char_indices() {
        counter.push(char);
        if counter.tokens() > limit {
            let rest = |end: usize| {
                Counter::of(text.get(end..at).unwrap_or_default().chars().chain([char]))
            };
            let end = after_space.take().filter(|end| rest(*end).tokens() <= limit).unwrap_or(at);
            ends.push(end);
            counter = rest(end);
        } else if char.is_whitespace() {
            after_space = Some(at + char.len_utf8());
        }
    }
    pieces(range, text, ends)
}

/// The range, cut at these places of its text.
fn pieces(range: Range<usize>, text: &str, ends: Vec<usize>) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut pieces = Vec::new();
    for end in ends.into_iter().chain([text.len()]) {
        if end > start {
            pieces.push(range.start + start..range.start + end);
            start = end;
        }
    }
    pieces
}
