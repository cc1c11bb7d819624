//! Cuts a document into chunks along its structure: sections, paragraphs, lines, sentences, and only then words.

use crate::tokens::{self, Counter};
use std::ops::Range;

/// A piece of a document that is found as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The title and the headings that it stands under, outermost first, but for those within its own text.
    pub heading: String,
    /// Its text; the texts of all chunks, one after the other, are the document.
    pub text: String,
    /// About how many tokens the text has.
    pub tokens: usize,
}

/// What is searched of a chunk: its text, with its headings before it.
pub(crate) fn searched(heading: &str, text: &str) -> String {
    if heading.is_empty() { text.to_owned() } else { format!("{heading}\n{text}") }
}

/// Cuts a text into chunks of at most `limit` tokens (but for a single word that is longer). Headings are those of Markdown.
pub fn chunks(title: &str, text: &str, limit: usize) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for section in merged(sections(text), limit) {
        for range in split(text, section.range.clone(), limit) {
            let under = if range.start == section.range.start {
                section.above
            } else {
                section.headings.len()
            };
            let own = text.get(range.clone()).unwrap_or_default();
            let heading = path(title, section.headings.get(..under).unwrap_or_default(), own);
            chunks.push(Chunk { heading, text: own.to_owned(), tokens: tokens::count(own) });
        }
    }
    chunks
}

/// The title is left out where the text begins with it.
fn path(title: &str, headings: &[&str], text: &str) -> String {
    let title = title.trim();
    let title = (!title.is_empty() && !text.trim_start().starts_with(title)).then_some(title);
    title
        .into_iter()
        .chain(headings.iter().copied().filter(|heading| Some(*heading) != title))
        .collect::<Vec<_>>()
        .join(" > ")
}

/// What stands under one heading.
#[derive(Clone)]
struct Section<'a> {
    range: Range<usize>,
    tokens: usize,
    /// The headings it stands under, its own the last.
    headings: Vec<&'a str>,
    /// How many of them are not in its text.
    above: usize,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    let mut levels: Vec<(usize, &str)> = Vec::new();
    let mut fence: Option<&str> = None;
    let (mut start, mut above) = (0, 0);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(close)) if open == close => fence = None,
            (None, None) => {
                if let Some((level, heading)) = heading(line) {
                    sections.push(section(text, start..at, &levels, above));
                    levels.retain(|(above, _)| *above < level);
                    (start, above) = (at, levels.len());
                    levels.push((level, heading));
                }
            }
            (Some(_), _) => {}
        }
        at += line.len();
    }
    sections.push(section(text, start..at, &levels, above));
    sections.retain(|section| !section.range.is_empty());
    sections
}

fn section<'a>(
    text: &'a str,
    range: Range<usize>,
    levels: &[(usize, &'a str)],
    above: usize,
) -> Section<'a> {
    let tokens = tokens::count(text.get(range.clone()).unwrap_or_default());
    Section { range, tokens, headings: levels.iter().map(|(_, heading)| *heading).collect(), above }
}

/// `## Title` is level 2.
fn heading(line: &str) -> Option<(usize, &str)> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    let name = rest.trim().trim_end_matches('#').trim_end();
    ((1..=6).contains(&level) && rest.starts_with(' ') && !name.is_empty()).then_some((level, name))
}

/// A section of a few words goes with the next one: alone, it would be found by its headings rather than by what it says.
fn merged(sections: Vec<Section<'_>>, limit: usize) -> Vec<Section<'_>> {
    let mut merged: Vec<Section<'_>> = Vec::new();
    for section in sections {
        match merged.last_mut() {
            Some(last) if last.tokens < limit / 4 => last.take(section),
            _ => merged.push(section),
        }
    }
    merged
}

impl<'a> Section<'a> {
    /// Goes on with the next one. Both stand under what both stood under; what is cut off later stands under the next one's headings.
    fn take(&mut self, next: Section<'a>) {
        let own = self.headings.iter().take(self.above);
        let shared = own
            .zip(next.headings.iter().take(next.above))
            .take_while(|(own, next)| own == next)
            .count();
        *self = Section {
            range: self.range.start..next.range.end,
            tokens: self.tokens + next.tokens,
            headings: next.headings,
            above: shared,
        };
    }
}

/// What is too long for one chunk becomes chunks of about the same length.
fn split(text: &str, range: Range<usize>, limit: usize) -> Vec<Range<usize>> {
    let units = units(text, range.clone(), limit);
    let total: usize = units.iter().map(|unit| unit.tokens).sum();
    let aim = total.div_ceil(total.div_ceil(limit).max(1));
    let mut chunks = Vec::new();
    let (mut start, mut held) = (range.start, 0);
    for unit in &units {
        // Space goes with what stands before it.
        if held > 0 && unit.tokens > 0 && (held + unit.tokens > limit || full(held, unit, aim)) {
            chunks.push(start..unit.range.start);
            (start, held) = (unit.range.start, 0);
        }
        held += unit.tokens;
    }
    chunks.push(start..range.end);
    chunks
}

/// Whether a chunk with so many tokens had better end before this unit. A paragraph's end may come a little early.
fn full(held: usize, unit: &Unit, aim: usize) -> bool {
    if unit.opens_paragraph { held * 5 >= aim * 4 } else { held + unit.tokens / 2 >= aim }
}

/// A sentence, a line, or a part of one that is too long.
struct Unit {
    range: Range<usize>,
    tokens: usize,
    opens_paragraph: bool,
}

fn units(text: &str, range: Range<usize>, limit: usize) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut opens_paragraph = true;
    for line in lines(text, range) {
        let Some(content) = text.get(line.clone()) else { continue };
        if content.trim().is_empty() {
            opens_paragraph = true;
        }
        for sentence in pieces(line, content, ends_of_sentences(content)) {
            let Some(content) = text.get(sentence.clone()) else { continue };
            for part in if tokens::count(content) > limit {
                parts(sentence, content, limit)
            } else {
                vec![sentence]
            } {
                let tokens = tokens::count(text.get(part.clone()).unwrap_or_default());
                units.push(Unit {
                    range: part,
                    tokens,
                    opens_paragraph: opens_paragraph && tokens > 0,
                });
                opens_paragraph &= tokens == 0;
            }
        }
    }
    units
}

fn lines(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let content = text.get(range.clone()).unwrap_or_default();
    let ends = content.match_indices('\n').map(|(at, _)| at + 1).collect();
    pieces(range, content, ends)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str, limit: usize) -> Vec<(String, String)> {
        chunks("Guide", text, limit).into_iter().map(|chunk| (chunk.heading, chunk.text)).collect()
    }

    fn pair(heading: &str, text: &str) -> (String, String) {
        (heading.to_owned(), text.to_owned())
    }

    #[test]
    fn a_short_text_is_one_chunk_under_its_title() {
        assert_eq!(cut("One two three.", 20), [pair("Guide", "One two three.")]);
        assert_eq!(cut("Guide\n\nOne two three.", 20), [pair("", "Guide\n\nOne two three.")]);
        assert_eq!(cut("", 20), []);
    }

    #[test]
    fn sections_are_chunks_and_tell_the_headings_they_stand_under() {
        let text = "# Set up\nGet the thing and put it there.\n## Linux\nCall the packager of your house.\n# Use\nTurn it on and wait a bit.\n";
        assert_eq!(
            cut(text, 20),
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
            cut(text, 20),
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
        assert_eq!(cut(text, 8).len(), 2);
    }

    #[test]
    fn a_section_of_a_few_words_goes_with_the_next_one() {
        let sentences = "One two three four five six. ".repeat(5);
        let (begins, goes_on) = sentences.split_at(sentences.len() / 5 * 2);
        assert_eq!(
            cut(&format!("# Use\n## First\nOne.\n## Then\n{sentences}"), 32),
            [
                pair("Guide", &format!("# Use\n## First\nOne.\n## Then\n{begins}")),
                pair("Guide > Use > Then", goes_on),
            ]
        );
    }

    #[test]
    fn what_looks_like_a_heading_within_code_is_code() {
        assert_eq!(cut("```sh\n# a comment it is and nothing else\n```\n", 40).len(), 1);
    }

    #[test]
    fn a_sentence_without_end_is_cut_between_words_and_a_word_without_end_anywhere() {
        let texts: Vec<String> =
            cut("a b c d e f g h i j k", 4).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["a b c d ", "e f g h ", "i j k"]);
        assert!(cut(&"x".repeat(1000), 10).len() > 10);
    }

    proptest! {
        #[test]
        fn no_letter_is_lost_and_no_chunk_too_long(text in "([a-zé.,# \n東]{0,12}){0,40}", limit in 4_usize..40) {
            let chunks = chunks("", &text, limit);
            prop_assert_eq!(chunks.iter().map(|chunk| chunk.text.as_str()).collect::<String>(), text);
            prop_assert!(chunks.iter().all(|chunk| chunk.tokens <= limit), "{:?}", chunks);
        }
    }
}
