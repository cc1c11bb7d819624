//! Limits of JSON that is checked while it arrives: JSON of too many pieces, or with too deep
//! nesting, is refused before anything is built of it.
//!
//! ```
//! use json_limits::{JsonLimits, JsonLimitsError};
//!
//! let mut limits = JsonLimits::up_to(4);
//! assert_eq!(limits.read(br#"{"a": [1"#), Ok(3));
//! assert_eq!(limits.read(b", 2, 3]}"), Err(JsonLimitsError::TooManyPieces(4)));
//! ```

/// The deepest nesting. serde's own limit is lower, but holds only where it builds values;
/// elsewhere JSON is passed on unread.
const MAX_DEPTH: usize = 512;

/// The error of JSON that exceeds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonLimitsError {
    /// The JSON is nested deeper than 512 levels.
    #[error("nested too deep: {MAX_DEPTH} levels are the most")]
    TooDeep,
    /// The JSON has more pieces than this number.
    #[error(
        "made of too many pieces: at most {0} of `{{`, `[`, `,` and `:` may stand outside of texts"
    )]
    TooManyPieces(usize),
}

/// The number and depth of the tokens so far. It does not validate JSON.
#[derive(Debug)]
pub struct JsonLimits {
    pieces: usize,
    max_pieces: usize,
    depth: usize,
    within: Within,
}

/// The position of the last byte in the JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Within {
    Structure,
    Text,
    /// Behind a backslash in a text.
    Escape,
}

impl JsonLimits {
    /// Allows this number of pieces. Each `{`, `[`, `,` and `:` outside of texts is one.
    pub fn up_to(max_pieces: usize) -> Self {
        Self { pieces: 0, max_pieces, depth: 0, within: Within::Structure }
    }

    /// Reads a chunk, and returns the number of pieces in it.
    ///
    /// # Errors
    /// Returns an error if there are too many pieces, or if they are nested too deep.
    pub fn read(&mut self, chunk: &[u8]) -> Result<usize, JsonLimitsError> {
        let before = self.pieces;
        let mut rest = chunk;
        while let Some(at) = self.find_next(rest) {
            let (read, unread) = rest.split_at_checked(at + 1).unwrap_or((rest, &[]));
            let byte = read.last().copied().unwrap_or_default();
            rest = unread;
            self.within = match (self.within, byte) {
                (Within::Escape, _) | (Within::Structure, b'"') => Within::Text,
                (Within::Text, b'"') => Within::Structure,
                (Within::Text, _) => Within::Escape,
                (Within::Structure, _) => {
                    self.count(byte)?;
                    Within::Structure
                }
            };
        }
        Ok(self.pieces - before)
    }

    /// Returns the index of the next byte that changes the position or counts.
    fn find_next(&self, rest: &[u8]) -> Option<usize> {
        match self.within {
            Within::Text => memchr::memchr2(b'"', b'\\', rest),
            Within::Escape => (!rest.is_empty()).then_some(0),
            Within::Structure => rest.iter().position(|byte| b"\"{}[],:".contains(byte)),
        }
    }

    /// Counts a byte outside of strings.
    fn count(&mut self, byte: u8) -> Result<(), JsonLimitsError> {
        match byte {
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return Ok(());
            }
            _ => {}
        }
        self.pieces += 1;
        if self.depth > MAX_DEPTH {
            return Err(JsonLimitsError::TooDeep);
        }
        if self.pieces > self.max_pieces {
            return Err(JsonLimitsError::TooManyPieces(self.max_pieces));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(json: &str, size: usize) -> usize {
        let mut structure = JsonLimits::up_to(1000);
        json.as_bytes().chunks(size).map(|chunk| structure.read(chunk).unwrap()).sum()
    }

    #[test]
    fn texts_are_passed_over_wherever_a_chunk_ends() {
        for (json, pieces) in [
            ("", 0),
            ("{}", 1),
            (r#"{"a": [1, 2]}"#, 4),
            (r#"{"a": "{[,:\"{[,:\\", "b": 1}"#, 4),
            (r#"["\\\\", "\\\"]", []]"#, 4),
        ] {
            for size in 1..=json.len().max(1) {
                assert_eq!(counted(json, size), pieces, "{json} in chunks of {size}");
            }
        }
    }

    #[test]
    fn too_many_pieces_and_too_deep_a_nesting_are_refused_where_they_stand() {
        let refused = |json: &str| JsonLimits::up_to(1000).read(json.as_bytes()).err().unwrap();
        let many = refused(&format!("[{}", "1,".repeat(1000)));
        assert_eq!(many, JsonLimitsError::TooManyPieces(1000));
        assert!(refused(&"[".repeat(600)).to_string().contains("512 levels"));
        assert_eq!(counted(&"[".repeat(512), 7), 512);
        assert_eq!(counted(&"[]".repeat(999), 7), 999);
    }
}
