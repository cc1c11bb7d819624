//! Splits long texts into parts, and from the question about them.

/// The size of a part of a long text, in bytes. About 6,000 tokens.
pub(crate) const PART_SIZE: usize = 24_000;

/// Splits a text from the question about it, which follows the last `Query:`, or is the last
/// paragraph.
pub(crate) fn split_question(text: &str) -> (&str, &str) {
    let split = text.rsplit_once("Query:").or_else(|| text.trim_end().rsplit_once("\n\n"));
    match split {
        Some((context, query)) if !query.trim().is_empty() && query.len() <= PART_SIZE / 4 => {
            (context.trim(), query.trim())
        }
        _ => {
            // The place of the question is unknown: it is mostly at the beginning or at the end.
            let end = text.floor_char_boundary(text.len().saturating_sub(1000));
            (text, text.get(end..).unwrap_or(text))
        }
    }
}

/// Splits a text into parts of at most this size, which end at paragraphs or at least at words.
pub(crate) fn split_text(text: &str, size: usize) -> Vec<&str> {
    let (mut rest, mut parts) = (text, Vec::new());
    while rest.len() > size {
        let most = rest.get(..rest.floor_char_boundary(size)).unwrap_or(rest);
        let cut = ["\n\n", "\n", ". ", " "]
            .iter()
            .find_map(|end| most.rfind(end).map(|at| at + end.len()).filter(|at| *at > size / 2));
        let (part, next) = rest.split_at_checked(cut.unwrap_or(most.len())).unwrap_or((rest, ""));
        parts.push(part);
        rest = next;
    }
    if !rest.trim().is_empty() {
        parts.push(rest);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_whole_text_and_end_at_words() {
        let text = "Ähre für Ähre. ".repeat(500);
        let parts = split_text(&text, 1000);
        assert_eq!(parts.concat(), text);
        assert!(parts.iter().all(|part| part.len() <= 1000));
        assert!(parts.iter().rev().skip(1).all(|part| part.ends_with(' ')));
        let dense = "ä".repeat(5000);
        assert_eq!(split_text(&dense, 999).concat(), dense);
    }

    #[test]
    fn the_question_is_the_last_paragraph_or_what_it_is_called() {
        assert_eq!(split_question("Long text.\n\nWho did it?"), ("Long text.", "Who did it?"));
        assert_eq!(
            split_question("Long\n\ntext. Query: Who did it?"),
            ("Long\n\ntext.", "Who did it?")
        );
    }
}
