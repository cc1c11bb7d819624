//! Texts with some of their characters written otherwise.

/// The text with what the rule puts in the place of characters; it is shown each with what follows it.
pub(crate) fn escaped(text: &str, rule: impl Fn(char, &str) -> Option<&'static str>) -> String {
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
