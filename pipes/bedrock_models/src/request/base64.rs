//! Base64 that goes to Bedrock as it came, if it can.

use std::borrow::Cow;

/// Returns the same base64 as Bedrock takes it: the standard alphabet, padded, on one line. `None`
/// if it is no base64 at all.
pub fn normalize(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    if is_normalized(text.as_bytes()) {
        return Some(Cow::Borrowed(text));
    }
    let letter = |letter: char| match letter {
        '-' => '+',
        '_' => '/',
        letter => letter,
    };
    let mut normalized: String =
        text.chars().filter(|c| !c.is_ascii_whitespace() && *c != '=').map(letter).collect();
    let padding = normalized.len().next_multiple_of(4) - normalized.len();
    normalized.extend(std::iter::repeat_n('=', padding));
    is_normalized(normalized.as_bytes()).then_some(Cow::Owned(normalized))
}

/// Returns whether this is base64 with its padding, in the standard alphabet.
fn is_normalized(text: &[u8]) -> bool {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let letters = &text[..text.len() - padding];
    // Not `all`: a picture has millions of letters, and looking at each without stopping is
    // quicker.
    let is_invalid = |is_invalid: bool, letter: &u8| is_invalid | NOT_BASE64[usize::from(*letter)];
    text.len().is_multiple_of(4)
        && padding <= 2
        && !letters.is_empty()
        && !letters.iter().fold(false, is_invalid)
}

/// `true` for bytes that are not in base64's alphabet.
const NOT_BASE64: [bool; 256] = {
    let mut is_invalid = [true; 256];
    let mut byte = 0;
    while byte < 256 {
        is_invalid[byte] =
            !matches!(byte as u8, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/');
        byte += 1;
    }
    is_invalid
};

/// Returns the number of bytes that normalised base64 encodes.
pub fn decoded_len(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

/// Decodes the first bytes of normalised base64, at most this number.
pub fn decode_prefix(base64: &str, limit: usize) -> Vec<u8> {
    let letters = base64.trim_end_matches('=').as_bytes();
    let letters = &letters[..letters.len().min(limit.div_ceil(3).saturating_mul(4))];
    let mut bytes = Vec::with_capacity(letters.len());
    for group in letters.chunks(4) {
        let bits = group.iter().fold(0, |bits: u32, letter| bits << 6 | sextet(*letter));
        let bits = bits << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes.truncate(limit);
    bytes
}

/// Returns the six bits of a letter of base64.
fn sextet(letter: u8) -> u32 {
    u32::from(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidy_base64_is_not_copied() {
        assert!(matches!(normalize("aGVsbG8="), Some(Cow::Borrowed("aGVsbG8="))));
    }

    #[test]
    fn lines_other_alphabets_and_missing_padding_are_mended() {
        for (given, normalized) in
            [("aGVs\r\nbG8=", "aGVsbG8="), ("aGVsbG8", "aGVsbG8="), ("-_-_", "+/+/")]
        {
            assert_eq!(normalize(given).as_deref(), Some(normalized));
        }
        for given in ["", "=", "a", "!!!!", "\u{e4}bcd"] {
            assert_eq!(normalize(given), None, "{given}");
        }
    }

    #[test]
    fn the_head_is_what_it_stands_for() {
        for (base64, bytes) in [("aGVsbG8=", "hello"), ("aGVsbA==", "hell"), ("aGVs", "hel")] {
            assert_eq!(decode_prefix(base64, 99), bytes.as_bytes());
            assert_eq!(decoded_len(base64), bytes.len());
        }
        assert_eq!(decode_prefix("aGVsbG8=", 2), b"he");
    }
}
