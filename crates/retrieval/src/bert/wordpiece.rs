//! The word-piece tokenizer of uncased BERT models.

use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Longer words are unknown to the model, as they were in its training.
const MAX_WORD_CHARS: usize = 100;

/// A word-piece tokenizer with its vocabulary.
pub struct WordPieceTokenizer {
    pieces: HashMap<Box<str>, i32>,
    unknown: i32,
    begin: i32,
    end: i32,
}

impl WordPieceTokenizer {
    /// Parses a `vocab.txt`: one piece a line, whose id is the line's index. Returns `None` if
    /// `[UNK]`, `[CLS]` or `[SEP]` is missing.
    pub fn parse(vocabulary: &str) -> Option<Self> {
        let pieces: HashMap<Box<str>, i32> = vocabulary.lines().map(Box::from).zip(0..).collect();
        let special = |name: &str| pieces.get(name).copied();
        let (unknown, begin, end) = (special("[UNK]")?, special("[CLS]")?, special("[SEP]")?);
        Some(Self { pieces, unknown, begin, end })
    }

    /// Returns the ids of a text's pieces between `[CLS]` and `[SEP]`, at most `limit`.
    pub fn encode(&self, text: &str, limit: usize) -> Vec<i32> {
        let mut numbers = vec![self.begin];
        let mut word = String::new();
        for char in text.nfd().filter(|char| !is_combining_mark(*char)).flat_map(char::to_lowercase)
        {
            if numbers.len() >= limit {
                break;
            }
            match classify_char(char) {
                CharClass::Letter => word.push(char),
                CharClass::Space => self.push_word(&mut word, &mut numbers),
                CharClass::Standalone => {
                    self.push_word(&mut word, &mut numbers);
                    word.push(char);
                    self.push_word(&mut word, &mut numbers);
                }
                CharClass::Ignored => {}
            }
        }
        self.push_word(&mut word, &mut numbers);
        numbers.truncate(limit - 1);
        numbers.push(self.end);
        numbers
    }

    /// Appends the pieces of `word`, and clears it.
    fn push_word(&self, word: &mut String, numbers: &mut Vec<i32>) {
        if !word.is_empty() {
            let before = numbers.len();
            if word.chars().count() > MAX_WORD_CHARS || !self.push_pieces(word, numbers) {
                numbers.truncate(before);
                numbers.push(self.unknown);
            }
            word.clear();
        }
    }

    /// Appends the longest piece, then the longest that continues it, and so on; returns `false` if
    /// no piece fits.
    fn push_pieces(&self, word: &str, numbers: &mut Vec<i32>) -> bool {
        let mut rest = word;
        let mut candidate = String::new();
        while !rest.is_empty() {
            let ends = rest.char_indices().map(|(at, char)| at + char.len_utf8()).rev();
            let found = ends.into_iter().find_map(|end| {
                let (piece, after) = rest.split_at(end);
                candidate.clear();
                candidate.push_str(if rest.len() < word.len() { "##" } else { "" });
                candidate.push_str(piece);
                self.pieces.get(candidate.as_str()).map(|number| (*number, after))
            });
            let Some((number, after)) = found else { return false };
            numbers.push(number);
            rest = after;
        }
        true
    }
}

/// The class of a character, which tells where words end.
enum CharClass {
    Letter,
    Space,
    Standalone,
    Ignored,
}

fn classify_char(char: char) -> CharClass {
    if char.is_whitespace() {
        CharClass::Space
    } else if char.is_ascii() {
        match char {
            _ if char.is_ascii_control() => CharClass::Ignored,
            _ if char.is_ascii_alphanumeric() => CharClass::Letter,
            _ => CharClass::Standalone,
        }
    } else if is_ideograph(char) {
        CharClass::Standalone
    } else {
        match char.general_category_group() {
            GeneralCategoryGroup::Punctuation => CharClass::Standalone,
            GeneralCategoryGroup::Other => CharClass::Ignored,
            _ if char == '\u{fffd}' => CharClass::Ignored,
            _ => CharClass::Letter,
        }
    }
}

fn is_ideograph(char: char) -> bool {
    matches!(char, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_the_longest_pieces_that_the_model_knows() {
        let words =
            WordPieceTokenizer::parse("[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\ncafe\n,\n中\n##a")
                .unwrap();
        for (text, numbers) in [
            ("unaffable", vec![1, 3, 4, 5, 2]),
            ("Café,\tUN", vec![1, 6, 7, 3, 2]),
            ("中中", vec![1, 8, 8, 2]),
            ("unx", vec![1, 0, 2]),
            ("\u{0}un\u{200b}a", vec![1, 3, 9, 2]),
            ("", vec![1, 2]),
        ] {
            assert_eq!(words.encode(text, 256), numbers, "{text}");
        }
    }

    #[test]
    fn what_is_too_long_ends_with_the_mark_of_the_end() {
        let words = WordPieceTokenizer::parse("[UNK]\n[CLS]\n[SEP]\nun").unwrap();
        assert_eq!(words.encode("un un un un un", 4), [1, 3, 3, 2]);
    }

    #[test]
    fn a_vocabulary_without_its_marks_is_refused() {
        assert!(WordPieceTokenizer::parse("un\n##able").is_none());
    }
}
