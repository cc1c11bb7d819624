//! Bounds the length of texts that clients choose, before messages, logs and pages contain them.

use std::borrow::Cow;

/// Returns the text, or its first `max_chars` characters and `…`.
pub fn truncate(text: &str, max_chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max_chars).and_then(|(end, _)| text.get(..end)) {
        Some(beginning) => Cow::Owned(format!("{beginning}…")),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::truncate;

    #[test]
    fn a_long_text_ends_between_two_characters() {
        assert_eq!(truncate("ééé", 2), "éé…");
        assert_eq!(truncate("éé", 2), "éé");
        assert_eq!(truncate("", 0), "");
    }
}
