//! Counts what JSON is made of while it comes in, so that one of too many pieces is refused before
//! anything is built of it.

/// The deepest nesting. serde's readers refuse less where they build something; elsewhere JSON is
/// passed on as it came.
const DEEPEST: usize = 512;

/// JSON that is made of too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonLimitsError {
    /// It is nested deeper than 512 levels.
    #[error("nested too deep: {DEEPEST} levels are the most")]
    TooDeep,
    /// It has more pieces than this.
    #[error(
        "made of too many pieces: at most {0} of `{{`, `[`, `,` and `:` may stand outside of texts"
    )]
    TooManyPieces(usize),
}

/// The number and depth of the tokens so far. It does not validate JSON.
#[derive(Debug)]
pub struct JsonLimits {
    pieces: usize,
    most: usize,
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
    /// Takes so many pieces: a `{`, `[`, `,` or `:` outside of texts each.
    pub fn up_to(most: usize) -> Self {
        Self { pieces: 0, most, depth: 0, within: Within::Structure }
    }

    /// Reads on, and returns how many pieces have come.
    ///
    /// # Errors
    /// Returns an error if there are too many pieces, or if they are nested too deep.
    pub fn read(&mut self, chunk: &[u8]) -> Result<usize, JsonLimitsError> {
        let before = self.pieces;
        let mut rest = chunk;
        while let Some(at) = self.next(rest) {
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

    /// The place of the next byte that means something.
    fn next(&self, rest: &[u8]) -> Option<usize> {
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
        if self.depth > DEEPEST {
            return Err(JsonLimitsError::TooDeep);
        }
        if self.pieces > self.most {
            return Err(JsonLimitsError::TooManyPieces(self.most));
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
