//! Splits a document into chunks along its structure: sections, paragraphs, lines, sentences, and
//! words last.

mod section;
mod table;
mod unit;

use crate::tokens;
use section::parse_sections;
use std::borrow::Cow;
use std::ops::Range;
use unit::{Boundary, Unit, split_units};

/// A part of a document that a search finds as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The title and the headings above the chunk, outermost first, without those within its own
    /// text. If the chunk begins within a table, the table's header follows on lines of its own.
    pub heading: String,
    /// The text; the texts of all chunks, one after the other, are the document.
    pub text: String,
    /// The estimated number of tokens of the text.
    pub tokens: usize,
}

/// Returns the text that is indexed and embedded for a chunk: its headings, then its text.
pub(crate) fn searchable_text(heading: &str, text: &str) -> String {
    if heading.is_empty() { text.to_owned() } else { format!("{heading}\n{text}") }
}

/// Splits a text into chunks of at most `limit` tokens; only a single longer word exceeds it.
/// Markdown headings are recognised.
pub fn split_into_chunks(title: &str, text: &str, limit: usize) -> Vec<Chunk> {
    let sections = parse_sections(text);
    let units = split_units(text, &sections, limit);
    let tables = table::find_tables(text, limit);
    let mut chunks = Vec::new();
    for group in group_units(&units, limit) {
        let (Some(first), Some(last)) = (units.get(group.start), units.get(group.end - 1)) else {
            continue;
        };
        let section = &sections[first.section];
        let starts_section = first.range.start == section.range.start;
        let heading_count =
            if starts_section { section.inherited_headings } else { section.headings.len() };
        let own = text.get(first.range.start..last.range.end).unwrap_or_default();
        let mut heading =
            heading_path(title, section.headings.get(..heading_count).unwrap_or_default(), own);
        if let Some(header) = table::header_at(&tables, first.range.start) {
            heading.extend(["\n", header]);
        }
        chunks.push(Chunk { heading, text: own.to_owned(), tokens: tokens::estimate_tokens(own) });
    }
    chunks
}

/// Joins title and headings; leaves the title out where the text begins with it.
fn heading_path(title: &str, headings: &[&str], text: &str) -> String {
    let title = title.trim();
    let title = (!title.is_empty() && !text.trim_start().starts_with(title)).then_some(title);
    title
        .into_iter()
        .chain(headings.iter().copied().filter(|heading| Some(*heading) != title))
        .map(truncate_heading)
        .collect::<Vec<_>>()
        .join(" > ")
}

/// Maximum characters of a title or heading. Longer ones would take up every chunk's text.
const MAX_HEADING_CHARS: usize = 200;

/// Cuts a title or heading to [`MAX_HEADING_CHARS`].
pub(crate) fn truncate_heading(heading: &str) -> Cow<'_, str> {
    match heading.char_indices().nth(MAX_HEADING_CHARS - 1) {
        Some((end, last)) if end + last.len_utf8() < heading.len() => {
            Cow::Owned(format!("{}…", heading.get(..end).unwrap_or_default()))
        }
        _ => Cow::Borrowed(heading),
    }
}

/// Groups units into chunks at the lowest total cost, and returns the ranges of their indexes.
fn group_units(units: &[Unit], limit: usize) -> Vec<Range<usize>> {
    // For each number of units: the lowest cost of splitting them, and where the last chunk begins.
    let mut best = vec![(0.0_f32, 0)];
    for end in 1..=units.len() {
        let (mut tokens, mut crossing_cost) = (0, 0.0);
        let mut least = (f32::INFINITY, end - 1);
        for (start, unit) in units.iter().enumerate().take(end).rev() {
            tokens += unit.tokens;
            if tokens > limit && start + 1 < end {
                break;
            }
            let cost = best[start].0
                + boundary_cost(unit, start)
                + crossing_cost
                + size_cost(tokens, limit);
            if cost < least.0 {
                least = (cost, start);
            }
            crossing_cost +=
                if unit.boundary == Boundary::Section { CROSSED_HEADING_COST } else { 0.0 };
        }
        best.push(least);
    }
    let mut groups = Vec::new();
    let mut end = units.len();
    while end > 0 {
        let start = best[end].1;
        groups.push(start..end);
        end = start;
    }
    groups.reverse();
    groups
}

/// The cost of a heading in the middle of a chunk.
const CROSSED_HEADING_COST: f32 = 0.8;

/// Returns the cost of beginning a chunk at this unit.
fn boundary_cost(unit: &Unit, index: usize) -> f32 {
    match unit.boundary {
        _ if index == 0 => 0.0,
        // White space stays with the text before it.
        _ if unit.tokens == 0 => f32::INFINITY,
        Boundary::Section => 0.0,
        Boundary::Paragraph => 0.3,
        Boundary::Sentence => 0.6,
        Boundary::Continuation => 2.0,
    }
}

/// Returns the cost of a chunk of this size. Fewer and evenly sized chunks cost less. A chunk of a
/// few words costs most, because its headings would outweigh its text in a search.
#[expect(clippy::cast_precision_loss, reason = "counts")]
fn size_cost(tokens: usize, limit: usize) -> f32 {
    let fill = tokens as f32 / limit as f32;
    0.5 + 0.3 * (1.0 - fill).powi(2) + (1.0 - 4.0 * fill).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str, limit: usize) -> Vec<(String, String)> {
        split_into_chunks("Guide", text, limit)
            .into_iter()
            .map(|chunk| (chunk.heading, chunk.text))
            .collect()
    }

    fn pair(heading: &str, text: &str) -> (String, String) {
        (heading.to_owned(), text.to_owned())
    }

    #[test]
    fn a_short_text_is_one_chunk_under_its_title() {
        assert_eq!(split("One two three.", 20), [pair("Guide", "One two three.")]);
        assert_eq!(split("Guide\n\nOne two three.", 20), [pair("", "Guide\n\nOne two three.")]);
        assert_eq!(split("", 20), []);
    }

    #[test]
    fn sections_are_chunks_and_tell_the_headings_they_stand_under() {
        let text = "# Set up\nGet the thing and put it there.\n## Linux\nCall the packager of your house.\n# Use\nTurn it on and wait a bit.\n";
        assert_eq!(
            split(text, 20),
            [
                pair("Guide", "# Set up\nGet the thing and put it there.\n"),
                pair("Guide > Set up", "## Linux\nCall the packager of your house.\n"),
                pair("Guide", "# Use\nTurn it on and wait a bit.\n"),
            ]
        );
    }

    #[test]
    fn a_long_section_is_cut_evenly_between_sentences_and_its_heading_goes_with_every_part() {
        let text = "# Use\nOne two three four. Two two three four. Three two three four. Four two three four. Five two three four.";
        assert_eq!(
            split(text, 20),
            [
                pair("Guide", "# Use\nOne two three four. Two two three four. "),
                pair(
                    "Guide > Use",
                    "Three two three four. Four two three four. Five two three four."
                ),
            ]
        );
    }

    #[test]
    fn a_line_that_ends_a_section_is_no_chunk_of_its_own() {
        let text = "# Use\nOne two three four. \n# Leave\nOne two three four. \n";
        assert_eq!(split(text, 8).len(), 2);
    }

    #[test]
    fn a_section_of_a_few_words_goes_with_the_next_one() {
        let sentences = "One two three four five six. ".repeat(5);
        let (begins, goes_on) = sentences.split_at(sentences.len() / 5 * 2);
        assert_eq!(
            split(&format!("# Use\n## First\nOne.\n## Then\n{sentences}"), 32),
            [
                pair("Guide", &format!("# Use\n## First\nOne.\n## Then\n{begins}")),
                pair("Guide > Use > Then", goes_on),
            ]
        );
    }

    #[test]
    fn of_a_heading_without_end_the_beginning_is_told() {
        assert_eq!(truncate_heading(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(truncate_heading(&"é".repeat(201)), format!("{}…", "é".repeat(199)));
        let text = format!("# {}\n{}", "Long ".repeat(1000), "One two three four. ".repeat(20));
        let chunks = split_into_chunks(&"title ".repeat(1000), &text, 32);
        assert!(chunks.iter().all(|chunk| chunk.heading.chars().count() <= 2 * 200 + 3));
        assert!(chunks.iter().any(|chunk| chunk.heading.contains("title t… > Long Long")));
    }

    #[test]
    fn empty_lines_are_nothing_to_cut_between() {
        let text = format!("One.{}Two.", "\n".repeat(1_000_000));
        assert_eq!(split(&text, 20), [pair("Guide", &text)]);
    }

    #[test]
    fn what_looks_like_a_heading_within_code_is_code() {
        assert_eq!(split("```sh\n# a comment it is and nothing else\n```\n", 40).len(), 1);
    }

    #[test]
    fn a_sentence_without_end_is_cut_between_words_and_a_word_without_end_anywhere() {
        let texts: Vec<String> =
            split("a b c d e f g h i j k", 4).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["a b c d ", "e f g h ", "i j k"]);
        assert!(split(&"x".repeat(1000), 10).len() > 10);
    }

    proptest! {
        #[test]
        fn no_letter_is_lost_and_no_chunk_too_long(text in "([a-zé.,# \n東]{0,12}){0,40}", limit in 4_usize..40) {
            let chunks = split_into_chunks("", &text, limit);
            prop_assert_eq!(chunks.iter().map(|chunk| chunk.text.as_str()).collect::<String>(), text);
            prop_assert!(chunks.iter().all(|chunk| chunk.tokens <= limit), "{:?}", chunks);
        }
    }
}
