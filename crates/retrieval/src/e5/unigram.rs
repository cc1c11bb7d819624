//! The unigram tokenizer of XLM-RoBERTa models (<https://arxiv.org/abs/1804.10959>).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use unicode_normalization::UnicodeNormalization;

/// The character that stands for the space before a word.
const WORD_START: char = '\u{2581}';

/// An unknown character costs this much more than the least likely piece
/// (<https://github.com/google/sentencepiece>).
const UNKNOWN_PENALTY: f32 = 10.0;

/// More characters than this for each wanted piece are not read: pieces have 16 at most.
const MAX_CHARS_PER_PIECE: usize = 16;

/// A tokenizer that chooses the most likely sequence of pieces.
pub struct UnigramTokenizer {
    /// All pieces in one string; piece `n` ends at `ends[n]`.
    text: Box<str>,
    ends: Vec<u32>,
    scores: Vec<f32>,
    /// A hash table with open addressing: the id of a piece plus 1, or 0.
    slots: Vec<u32>,
    hasher: RandomState,
    longest_bytes: usize,
    unknown_score: f32,
    /// The replacements of characters before the text is split.
    replacements: HashMap<char, Box<str>>,
    begin: u32,
    end: u32,
    unknown: u32,
}

impl UnigramTokenizer {
    /// Creates the tokenizer of these pieces and their log-probabilities. Pieces with a score of 0
    /// are marks such as `<s>`, which texts cannot write.
    pub fn new(
        pieces: &[(&str, f32)],
        replacements: HashMap<char, Box<str>>,
        [begin, end, unknown]: [u32; 3],
    ) -> Self {
        let mut tokenizer = Self {
            text: pieces.iter().map(|(piece, _)| *piece).collect::<String>().into(),
            ends: Vec::with_capacity(pieces.len()),
            scores: pieces.iter().map(|(_, score)| *score).collect(),
            slots: vec![0; (pieces.len() * 2).next_power_of_two()],
            hasher: RandomState::new(),
            longest_bytes: pieces.iter().map(|(piece, _)| piece.len()).max().unwrap_or_default(),
            unknown_score: pieces.iter().map(|(_, score)| *score).fold(0.0, f32::min)
                - UNKNOWN_PENALTY,
            replacements,
            begin,
            end,
            unknown,
        };
        let mut length = 0;
        for ((piece, score), id) in pieces.iter().zip(0_u32..) {
            length += u32::try_from(piece.len()).unwrap_or(u32::MAX);
            tokenizer.ends.push(length);
            if *score < 0.0 {
                let slot = tokenizer.slot_of(piece);
                tokenizer.slots[slot] = id + 1;
            }
        }
        tokenizer
    }

    /// Returns the ids of a text's pieces between the marks of begin and end, at most `limit`.
    pub fn encode(&self, text: &str, limit: usize) -> Vec<u32> {
        let text = self.normalize(text, limit * MAX_CHARS_PER_PIECE);
        let pieces = self.find_best_pieces(&text);
        let kept = pieces.into_iter().take(limit.saturating_sub(2));
        [self.begin].into_iter().chain(kept).chain([self.end]).collect()
    }

    /// Composes and replaces characters, makes one of several spaces, and marks the beginnings of
    /// words.
    fn normalize(&self, text: &str, max_chars: usize) -> String {
        let mut normalized = String::from(WORD_START);
        let mut is_after_space = true;
        let mut push = |char: char| {
            let is_space = char == ' ';
            if !is_space || !is_after_space {
                normalized.push(if is_space { WORD_START } else { char });
            }
            is_after_space = is_space;
        };
        for char in text.nfc().take(max_chars) {
            match self.replacements.get(&char) {
                Some(replacement) => replacement.chars().for_each(&mut push),
                None => push(char),
            }
        }
        normalized
    }

    /// Returns the sequence of pieces with the greatest sum of scores (Viterbi's algorithm).
    fn find_best_pieces(&self, text: &str) -> Vec<u32> {
        // For each byte at which a piece may end: the best score, the last piece, and its begin.
        let mut best = vec![(f32::NEG_INFINITY, self.unknown, 0); text.len() + 1];
        best[0].0 = 0.0;
        for (start, char) in text.char_indices() {
            let (score, ..) = best[start];
            let mut offer = |end: usize, piece_score: f32, id: u32| {
                if score + piece_score > best[end].0 {
                    best[end] = (score + piece_score, id, start);
                }
            };
            let rest = text.get(start..).unwrap_or_default();
            let lengths = rest.char_indices().map(|(at, char)| at + char.len_utf8());
            for length in lengths.take_while(|length| *length <= self.longest_bytes) {
                if let Some(id) = rest.get(..length).and_then(|piece| self.find_piece(piece)) {
                    offer(start + length, self.scores[id as usize], id);
                }
            }
            offer(start + char.len_utf8(), self.unknown_score, self.unknown);
        }
        let mut pieces = Vec::new();
        let mut at = text.len();
        while at > 0 {
            let (_, id, start) = best[at];
            pieces.push(id);
            at = start;
        }
        pieces.reverse();
        pieces
    }

    fn find_piece(&self, piece: &str) -> Option<u32> {
        self.slots[self.slot_of(piece)].checked_sub(1)
    }

    /// Returns the slot that holds a piece, or the empty one where it belongs.
    fn slot_of(&self, piece: &str) -> usize {
        let mask = self.slots.len() - 1;
        #[expect(clippy::cast_possible_truncation, reason = "the mask keeps the lowest bits")]
        let mut slot = self.hasher.hash_one(piece) as usize & mask;
        while let Some(id) = self.slots[slot].checked_sub(1)
            && self.piece(id as usize) != piece
        {
            slot = (slot + 1) & mask;
        }
        slot
    }

    /// Returns the text of a piece.
    fn piece(&self, id: usize) -> &str {
        let start = id.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start as usize..self.ends[id] as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> UnigramTokenizer {
        let pieces = [
            ("<s>", 0.0),
            ("</s>", 0.0),
            ("<unk>", 0.0),
            ("\u{2581}", -3.0),
            ("\u{2581}un", -4.0),
            ("\u{2581}u", -3.0),
            ("n", -3.0),
            ("able", -5.0),
            ("ab", -3.0),
            ("le", -3.0),
            ("ü", -4.0),
            ("s", -5.0),
            ("<", -6.0),
            (">", -6.0),
        ];
        let replacements = [('\n', " ".into()), ('\u{1}', "".into()), ('ﬂ', "le".into())];
        UnigramTokenizer::new(&pieces, replacements.into(), [0, 1, 2])
    }

    #[test]
    fn a_text_becomes_the_most_likely_pieces() {
        for (text, ids) in [
            ("unable", vec![4, 7]),
            ("un  able\n", vec![4, 3, 7, 3]),
            ("\u{1}unabﬂ", vec![4, 7]),
            ("u\u{308}", vec![3, 10]),
            ("n字", vec![3, 6, 2]),
            ("<s>", vec![3, 12, 11, 13]),
            ("", vec![3]),
        ] {
            let ids: Vec<u32> = [0].into_iter().chain(ids).chain([1]).collect();
            assert_eq!(tokenizer().encode(text, 512), ids, "{text}");
        }
    }

    #[test]
    fn a_long_text_is_cut_before_the_mark_of_its_end() {
        assert_eq!(tokenizer().encode("un un un un", 4), [0, 4, 4, 1]);
        assert_eq!(tokenizer().encode(&"un ".repeat(1 << 20), 512).len(), 512);
    }
}
