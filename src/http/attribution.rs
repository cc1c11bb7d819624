//! The line `x-anthropic-billing-header`, by which Claude Code tells Anthropic who pays. It is not
//! sent on: Bedrock refuses it, and it differs in every request, so that no cached prompt would be
//! found again.

use pipe_sdk::{Content, Message, Part, Role};

/// The beginning of the line.
const HEADER: &str = "x-anthropic-billing-header";

/// Returns instructions without Claude Code's billing line; `None` if they have no other text.
pub fn strip_attribution(text: String) -> Option<String> {
    if !text.contains(HEADER) {
        return Some(text);
    }
    let is_attribution = |line: &&str| line.trim_start().starts_with(HEADER);
    let rest: String = text.split_inclusive('\n').filter(|line| !is_attribution(line)).collect();
    let rest = rest.trim();
    (!rest.is_empty()).then(|| rest.to_owned())
}

/// Returns a message without Claude Code's billing line, which is part of the instructions; `None`
/// if they have no other text.
pub fn without_attribution(mut message: Message) -> Option<Message> {
    if !matches!(message.role, Role::System | Role::Developer) {
        return Some(message);
    }
    match message.content.take() {
        Some(Content::Text(text)) => {
            message.content = Some(Content::Text(strip_attribution(text)?));
        }
        Some(Content::Parts(parts)) => {
            let had_parts = !parts.is_empty();
            let parts: Vec<_> = parts.into_iter().filter_map(part_without_attribution).collect();
            if had_parts && parts.is_empty() {
                return None;
            }
            message.content = Some(Content::Parts(parts));
        }
        None => {}
    }
    Some(message)
}

fn part_without_attribution(part: Part) -> Option<Part> {
    match part {
        Part::Text { text, rest } => Some(Part::Text { text: strip_attribution(text)?, rest }),
        part => Some(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_is_removed() {
        for (text, rest) in [
            ("x-anthropic-billing-header: cc_version=2.1;", None),
            ("x-anthropic-billing-header: a\n\nBe brief.", Some("Be brief.")),
            (" \tx-anthropic-billing-header: a\r\nBe brief.", Some("Be brief.")),
            ("Be brief.\nx-anthropic-billing-header: a\nBe kind.", Some("Be brief.\nBe kind.")),
            (
                "Never say x-anthropic-billing-header.",
                Some("Never say x-anthropic-billing-header."),
            ),
            (" Be brief.\n", Some(" Be brief.\n")),
        ] {
            assert_eq!(strip_attribution(text.into()).as_deref(), rest, "{text}");
        }
    }
}
