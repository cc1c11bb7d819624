//! Splits a text into units, the smallest parts between which a chunk may begin: sentences, lines,
//! and parts of overlong ones.

use super::section::Section;
use super::table;
use crate::tokens::{self, TokenCounter};
use std::ops::Range;

/// A sentence, a line, or a part of an overlong one.
pub(super) struct Unit {
    pub(super) range: Range<usize>,
    pub(super) tokens: usize,
    pub(super) boundary: Boundary,
    /// The index of the section that holds the unit.
    pub(super) section: usize,
}

/// The kind of boundary before a unit.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Boundary {
    Section,
    Paragraph,
    Sentence,
    /// The unit continues an overlong sentence.
    Continuation,
}

pub(super) fn split_units(text: &str, sections: &[Section<'_>], limit: usize) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for (number, section) in sections.iter().enumerate() {
        // A heading directly under another one stays with it.
        let before = units.len();
        let previous_section = number.checked_sub(1).and_then(|before| sections.get(before));
        let previous_has_heading = previous_section
            .is_some_and(|section| section.inherited_headings < section.headings.len());
        let has_text = |unit: &&Unit| unit.tokens > 0;
        let only_heading = previous_has_heading
            && units
                .iter()
                .rev()
                .take_while(|unit| unit.section + 1 == number)
                .filter(has_text)
                .count()
                == 1;
        split_section(text, number, section.range.clone(), limit, &mut units);
        if let Some(first) =
            units.get_mut(before).filter(|_| section.inherited_headings < section.headings.len())
        {
            first.boundary = if only_heading { Boundary::Sentence } else { Boundary::Section };
        }
    }
    units
}

fn split_section(
    text: &str,
    section: usize,
    range: Range<usize>,
    limit: usize,
    units: &mut Vec<Unit>,
) {
    let mut boundary = Boundary::Paragraph;
    for line in line_ranges(text, range) {
        let Some(content) = text.get(line.clone()) else { continue };
        if content.trim().is_empty() {
            boundary = Boundary::Paragraph;
        }
        // A row of a table stays whole.
        let ends = if table::is_row(content) { Vec::new() } else { sentence_ends(content) };
        for sentence in split_range(line, content, ends) {
            let Some(content) = text.get(sentence.clone()) else { continue };
            let long = tokens::estimate_tokens(content) > limit;
            for part in
                if long { split_long_sentence(sentence, content, limit) } else { vec![sentence] }
            {
                let tokens = tokens::estimate_tokens(text.get(part.clone()).unwrap_or_default());
                let before = units.last_mut().filter(|before| before.section == section);
                match before {
                    // White space stays with the text before it.
                    Some(before) if tokens == 0 => before.range.end = part.end,
                    _ => units.push(Unit { range: part, tokens, boundary, section }),
                }
                if tokens > 0 {
                    boundary = Boundary::Continuation;
                }
            }
            boundary =
                if boundary == Boundary::Continuation { Boundary::Sentence } else { boundary };
        }
    }
}

fn line_ranges(text: &str, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut end = range.start;
    text.get(range).unwrap_or_default().split_inclusive('\n').map(move |line| {
        let start = end;
        end += line.len();
        start..end
    })
}

/// Returns the offsets at which sentences end: after the punctuation and one space, or after the
/// punctuation in scripts without spaces.
fn sentence_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut after_mark = false;
    for (at, char) in text.char_indices() {
        match char {
            '。' | '！' | '？' => ends.push(at + char.len_utf8()),
            '.' | '!' | '?' | ';' => after_mark = true,
            '"' | '\'' | ')' | ']' | '”' | '’' => {}
            _ if char.is_whitespace() && after_mark => {
                ends.push(at + char.len_utf8());
                after_mark = false;
            }
            _ => after_mark = false,
        }
    }
    ends
}

/// Splits a sentence between words into parts of at most `limit` tokens; an overlong word is split
/// anywhere.
fn split_long_sentence(range: Range<usize>, text: &str, limit: usize) -> Vec<Range<usize>> {
    let mut ends = Vec::new();
    let mut counter = TokenCounter::default();
    let mut after_space = None;
    for (at, char) in text.char_indices() {
        counter.push(char);
        if counter.tokens() > limit {
            let rest = |end: usize| {
                TokenCounter::from_chars(
                    text.get(end..at).unwrap_or_default().chars().chain([char]),
                )
            };
            let end = after_space.take().filter(|end| rest(*end).tokens() <= limit).unwrap_or(at);
            ends.push(end);
            counter = rest(end);
        } else if char.is_whitespace() {
            after_space = Some(at + char.len_utf8());
        }
    }
    split_range(range, text, ends)
}

/// Splits a range at these offsets of its text.
fn split_range(range: Range<usize>, text: &str, ends: Vec<usize>) -> Vec<Range<usize>> {
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
