//! Escaping of single characters in texts.

/// Replaces the characters for which the rule returns a replacement. The rule gets each character
/// with the text after it.
pub(crate) fn escape_chars(
    text: &str,
    rule: impl Fn(char, &str) -> Option<&'static str>,
) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, char) in text.char_indices() {
        let rest = text.get(at + char.len_utf8()..).unwrap_or_default();
        match rule(char, rest) {
            Some(instead) => escaped += instead,
            None => escaped.push(char),
        }
    }
    escaped
}
