//! Decodes the text of a custom tool's call from the arguments of its function while they arrive.

use serde_json::Value;

/// Decodes the text of `{"input": "…"}` piece by piece.
#[derive(Clone, Debug, Default)]
pub struct TextInput {
    arguments: String,
    /// The number of bytes that are decoded.
    at: usize,
    state: State,
    text: String,
}

/// The place in the JSON of a call's arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    /// The parser is before the text.
    #[default]
    Before,
    /// The parser is within the text.
    Within,
    /// The parser is after the text, or in arguments of another shape.
    Done,
}

impl TextInput {
    /// Takes a further piece of the arguments and returns what it adds to the text.
    pub fn push(&mut self, piece: &str) -> String {
        self.arguments.push_str(piece);
        if self.state == State::Before {
            self.find_start();
        }
        if self.state != State::Within {
            return String::new();
        }
        let rest = self.arguments.get(self.at..).unwrap_or_default();
        let (added, read, ended) = decode_text(rest);
        self.at += read;
        if ended {
            self.state = State::Done;
        }
        self.text.push_str(&added);
        added
    }

    /// Returns the whole text, when no more arguments come, and the end of it that was not returned
    /// yet.
    pub fn finish(&mut self) -> (String, String) {
        let whole = complete_input(&self.arguments).unwrap_or_else(|| match self.state {
            // The arguments were cut short.
            State::Within => self.text.clone(),
            _ => self.arguments.clone(),
        });
        let rest = whole.strip_prefix(self.text.as_str()).unwrap_or_default().to_owned();
        self.text.clone_from(&whole);
        (whole, rest)
    }

    /// Finds the beginning of the text, as soon as it is there.
    fn find_start(&mut self) {
        let mut rest = self.arguments.as_str();
        for token in ["{", "\"input\"", ":", "\""] {
            rest = rest.trim_start();
            match rest.strip_prefix(token) {
                Some(after) => rest = after,
                // More of it may come.
                None if token.starts_with(rest) => return,
                None => {
                    self.state = State::Done;
                    return;
                }
            }
        }
        self.at = self.arguments.len() - rest.len();
        self.state = State::Within;
    }
}

/// Returns the text of a custom tool's call with these arguments, whole or cut short.
pub fn parse_input(arguments: &str) -> String {
    let mut input = TextInput::default();
    input.push(arguments);
    input.finish().0
}

/// Returns the text, if these are the whole arguments.
///
/// Models write them in other ways too: the text alone, or under another name.
fn complete_input(arguments: &str) -> Option<String> {
    match serde_json::from_str(arguments).ok()? {
        Value::String(text) => Some(text),
        Value::Object(mut fields) => match fields.swap_remove("input") {
            Some(Value::String(text)) => Some(text),
            Some(other) => Some(other.to_string()),
            None => {
                let mut texts = fields.values().filter_map(Value::as_str);
                let only = texts.next().map(str::to_owned);
                only.filter(|_| fields.len() == 1)
            }
        },
        _ => None,
    }
}

/// Returns the characters of a JSON text as far as they are whole, the number of their bytes, and
/// whether the text ends there.
fn decode_text(json: &str) -> (String, usize, bool) {
    let mut text = String::new();
    let mut at = 0;
    loop {
        let rest = json.get(at..).unwrap_or_default();
        let plain = rest.find(['"', '\\']).unwrap_or(rest.len());
        text.push_str(rest.get(..plain).unwrap_or_default());
        at += plain;
        let rest = json.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return (text, at, false);
        }
        if rest.starts_with('"') {
            return (text, at + 1, true);
        }
        match decode_escape(rest) {
            Some((char, read)) => {
                text.push(char);
                at += read;
            }
            None => return (text, at, false),
        }
    }
}

/// Returns the character of the escape at the beginning, and the number of its bytes; `None` if it
/// is not whole yet.
fn decode_escape(json: &str) -> Option<(char, usize)> {
    let char = match json.as_bytes().get(1)? {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'u' => return decode_unicode_escape(json),
        _ => {
            let char = json.chars().nth(1)?;
            return Some((char, 1 + char.len_utf8()));
        }
    };
    Some((char, 2))
}

fn decode_unicode_escape(json: &str) -> Option<(char, usize)> {
    let unit = |at: usize| u32::from_str_radix(json.get(at..at + 4)?, 16).ok();
    if json.len() < 6 {
        return None;
    }
    let Some(first) = unit(2) else { return Some((char::REPLACEMENT_CHARACTER, 2)) };
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6));
    }
    let next = json.get(6..).unwrap_or_default();
    if next.len() < 6 && "\\u".starts_with(next.get(..2).unwrap_or(next)) {
        // The other half may come.
        return None;
    }
    let second = next.strip_prefix("\\u").and_then(|_| unit(8));
    match second.filter(|second| (0xdc00..0xe000).contains(second)) {
        Some(second) => {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            Some((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12))
        }
        None => Some((char::REPLACEMENT_CHARACTER, 6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_as_its_arguments_do_wherever_they_are_cut() {
        let text = "*** Begin \"Patch\"\n\\é𝄞\u{8}\t/end";
        let spaced = format!(" {{ \"input\" : {} }} ", Value::from(text));
        let escaped = spaced.replace('é', "\\u00e9").replace('𝄞', "\\ud834\\udd1e");
        for arguments in [spaced, escaped] {
            for cut in 1..arguments.len() {
                let pieces: Vec<String> = arguments
                    .chars()
                    .collect::<Vec<_>>()
                    .chunks(cut)
                    .map(|piece| piece.iter().collect())
                    .collect();
                let mut input = TextInput::default();
                let mut told: String = pieces.iter().map(|piece| input.push(piece)).collect();
                let (whole, rest) = input.finish();
                told.push_str(&rest);
                assert_eq!((told.as_str(), whole.as_str()), (text, text), "{cut}: {arguments}");
            }
        }
    }

    #[test]
    fn what_a_model_writes_in_another_shape_is_the_text_too() {
        for (arguments, text) in [
            (r#"{"patch": "a\nb"}"#, "a\nb"),
            (r#""a\nb""#, "a\nb"),
            ("*** Begin Patch", "*** Begin Patch"),
            (r#"{"input": {"a": 1}}"#, r#"{"a":1}"#),
            (r#"{"input": "cut sho"#, "cut sho"),
            (r#"{"x": "1", "input": "late"}"#, "late"),
            ("", ""),
        ] {
            let mut input = TextInput::default();
            let told = input.push(arguments);
            let (whole, rest) = input.finish();
            assert_eq!((told + &rest, whole), (text.to_owned(), text.to_owned()), "{arguments}");
        }
    }
}
