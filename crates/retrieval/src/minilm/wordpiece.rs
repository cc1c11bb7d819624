//! Cuts texts into the word pieces that BERT models of the uncased kind were trained on.

use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Words longer than this are unknown to the model, as they were in its training.
const LONGEST_WORD: usize = 100;

/// The pieces that a model knows, by their text.
pub struct WordPiece {
    pieces: HashMap<Box<str>, i32>,
    unknown: i32,
    begin: i32,
    end: i32,
}

impl WordPiece {
    /// Reads a `vocab.txt`: one piece a line, its number that of the line. `None` if one of `[UNK]`, `[CLS]`, `[SEP]` is not in it.
    pub fn read(vocabulary: &str) -> Option<Self> {
        let pieces: HashMap<Box<str>, i32> = vocabulary.lines().map(Box::from).zip(0..).collect();
        let special = |name: &str| pieces.get(name).copied();
        let (unknown, begin, end) = (special("[UNK]")?, special("[CLS]")?, special("[SEP]")?);
        Some(Self { pieces, unknown, begin, end })
    }

    /// The numbers of a text's pieces between the marks of begin and end, `limit` of them at most.
    pub fn encode(&self, text: &str, limit: usize) -> Vec<i32> {
        let mut numbers = vec![self.begin];
        let mut word = String::new();
        for char in text.nfd().filter(|char| !is_combining_mark(*char)).flat_map(char::to_lowercase)
        {
            if numbers.len() >= limit {
                break;
            }
            match kind(char) {
                Kind::Letter => word.push(char),
                Kind::Space => self.push(&mut word, &mut numbers),
                Kind::Alone => {
                    self.push(&mut word, &mut numbers);
                    word.push(char);
                    self.push(&mut word, &mut numbers);
                }
                Kind::Nothing => {}
            }
        }
        self.push(&mut word, &mut numbers);
        numbers.truncate(limit - 1);
        numbers.push(self.end);
        numbers
    }

    /// Adds the pieces of `word`, and empties it.
    fn push(&self, word: &mut String, numbers: &mut Vec<i32>) {
        if !word.is_empty() {
            let before = numbers.len();
            if word.chars().count() > LONGEST_WORD || !self.push_pieces(word, numbers) {
                numbers.truncate(before);
                numbers.push(self.unknown);
            }
            word.clear();
        }
    }

    /// The longest piece first, then the longest that goes on from there; `false` if one cannot be found.
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

enum Kind {
    Letter,
    Space,
    Alone,
    Nothing,
}

fn kind(char: char) -> Kind {
    if char.is_whitespace() {
        Kind::Space
    } else if char.is_ascii() {
        match char {
            _ if char.is_ascii_control() => Kind::Nothing,
            _ if char.is_ascii_alphanumeric() => Kind::Letter,
            _ => Kind::Alone,
        }
    } else if is_ideograph(char) {
        Kind::Alone
    } else {
        match char.general_category_group() {
            GeneralCategoryGroup::Punctuation => Kind::Alone,
            GeneralCategoryGroup::Other => Kind::Nothing,
            _ if char == '\u{fffd}' => Kind::Nothing,
            _ => Kind::Letter,
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
            WordPiece::read("[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\ncafe\n,\n中\n##a").unwrap();
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
        let words = WordPiece::read("[UNK]\n[CLS]\n[SEP]\nun").unwrap();
        assert_eq!(words.encode("un un un un un", 4), [1, 3, 3, 2]);
    }

    #[test]
    fn a_vocabulary_without_its_marks_is_refused() {
        assert!(WordPiece::read("un\n##able").is_none());
    }
}
