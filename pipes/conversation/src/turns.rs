//! Turns: a message of the user, and all that follows it until the next one. Because a window cuts
//! between turns, a tool call and its result are never separated.

use pipe_sdk::{Content, Message, Part, Role};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A turn of a conversation.
pub(crate) type Turn = Vec<Message>;

/// Splits messages into the leading instructions and the rest.
pub(crate) fn split_instructions(mut messages: Vec<Message>) -> (Vec<Message>, Vec<Message>) {
    let is_instruction = |message: &Message| matches!(message.role, Role::System | Role::Developer);
    let count = messages.iter().take_while(|message| is_instruction(message)).count();
    let rest = messages.split_off(count);
    (messages, rest)
}

/// Splits messages into turns. Messages of the user that follow each other are one turn.
pub(crate) fn split(messages: Vec<Message>) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for message in messages {
        let follows_user = turns
            .last()
            .and_then(|turn| turn.last())
            .is_none_or(|previous| previous.role == Role::User);
        match turns.last_mut() {
            Some(turn) if message.role != Role::User || follows_user => turn.push(message),
            _ => turns.push(vec![message]),
        }
    }
    turns
}

/// Returns the digest of further turns after those of the digest `before`; an empty one for none.
pub(crate) fn digest(before: &str, turns: &[Turn]) -> String {
    turns.iter().fold(before.to_owned(), |before, turn| {
        let mut hash = Sha256::new();
        add_to_digest(&mut hash, &before);
        for message in turn {
            add_message(&mut hash, message);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    })
}

/// Adds the parts of a message that identify it: its role, its text, its images and its tool calls.
fn add_message(hash: &mut Sha256, message: &Message) {
    add_to_digest(hash, &format!("{:?}", message.role));
    add_to_digest(hash, message.text().trim());
    if let Some(Content::Parts(parts)) = &message.content {
        for part in parts.iter().filter(|part| is_attachment(part)) {
            // A map that was read from JSON can be written as JSON.
            add_to_digest(hash, &serde_json::to_string(part).unwrap_or_default());
        }
    }
    for call in &message.tool_calls {
        add_to_digest(hash, &call.function.name);
        add_to_digest(hash, &call.function.arguments);
    }
}

/// Adds a text with its length, so that no two lists of texts are hashed alike.
fn add_to_digest(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

/// Returns whether a part is an image or a file.
fn is_attachment(part: &Part) -> bool {
    match part {
        Part::Text { .. } => false,
        Part::ImageUrl { .. } => true,
        Part::Other(fields) => {
            let kind = fields.get("type").and_then(Value::as_str);
            !matches!(kind, Some("refusal" | "thinking" | "redacted_thinking" | "tool_reference"))
        }
    }
}

/// Replaces images and files by short texts, except the last `keep` of them.
pub(crate) fn limit_attachments(turns: &mut [Turn], keep: usize) {
    let mut left = keep;
    for message in turns.iter_mut().rev().flat_map(|turn| turn.iter_mut().rev()) {
        let Some(Content::Parts(parts)) = &mut message.content else { continue };
        for part in parts.iter_mut().rev().filter(|part| is_attachment(part)) {
            if left > 0 {
                left -= 1;
                continue;
            }
            let is_image = matches!(part, Part::ImageUrl { .. });
            *part = Part::from_text(if is_image { "[Image]" } else { "[Attachment]" });
        }
    }
}

/// Shrinks turns to this number of bytes of JSON: the oldest lose their images and files, and then
/// are dropped. Returns whether any turn is left.
pub(crate) fn shrink(turns: &mut Vec<Turn>, max_bytes: usize) -> bool {
    let mut sizes: Vec<usize> = turns.iter().map(json_bytes).collect();
    let mut total: usize = sizes.iter().sum();
    for (turn, size) in turns.iter_mut().zip(&mut sizes) {
        if total <= max_bytes {
            return !turns.is_empty();
        }
        limit_attachments(std::slice::from_mut(turn), 0);
        total -= *size;
        *size = json_bytes(turn);
        total += *size;
    }
    let mut leaving = 0;
    for size in sizes {
        if total <= max_bytes {
            break;
        }
        total -= size;
        leaving += 1;
    }
    turns.drain(..leaving);
    !turns.is_empty()
}

fn json_bytes(turn: &Turn) -> usize {
    serde_json::to_vec(turn).map_or(0, |json| json.len())
}

/// Returns whether both lists hold the same messages.
pub(crate) fn is_same(one: &[Message], other: &[Message]) -> bool {
    let hash = |messages: &[Message]| digest("", &[messages.to_vec()]);
    one.len() == other.len() && hash(one) == hash(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn messages(json: &Value) -> Vec<Message> {
        serde_json::from_str(&json.to_string()).unwrap()
    }

    fn image(url: &str) -> Value {
        json!({"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": url}}]})
    }

    #[test]
    fn a_turn_holds_its_tool_calls_and_their_results() {
        let call =
            json!({"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let all = messages(&json!([
            {"role": "system", "content": "s"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "r"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
            {"role": "user", "content": "d"},
        ]));
        let (instructions, rest) = split_instructions(all);
        assert_eq!(instructions.len(), 1);
        let sizes: Vec<_> = split(rest).iter().map(Vec::len).collect();
        assert_eq!(sizes, [4, 2]);
    }

    #[test]
    fn digests_tell_texts_images_and_calls_apart() {
        let turns = |json: &Value| split(messages(json));
        let one = turns(
            &json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]),
        );
        let all = [
            turns(&json!([{"role": "user", "content": "ab"}])),
            turns(
                &json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "c"}]),
            ),
            turns(&json!([image("data:a")])),
            turns(&json!([image("data:b")])),
            Vec::new(),
        ];
        let mut digests: Vec<_> = all.iter().chain([&one]).map(|turns| digest("", turns)).collect();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 6);
        let padded = turns(
            &json!([{"role": "user", "content": [{"type": "text", "text": "a"}]}, {"role": "assistant", "content": "b "}]),
        );
        assert_eq!(digest("", &one), digest("", &padded), "clients write the same text otherwise");
        let both: Vec<_> = one.iter().chain(&padded).cloned().collect();
        assert_eq!(digest(&digest("", &one), &padded), digest("", &both));
    }

    #[test]
    fn the_newest_images_stay() {
        let mut turns = split(messages(&json!([
            image("data:a"), {"role": "assistant", "content": "x"},
            image("data:b"), {"role": "assistant", "content": "x"},
            image("data:c"),
        ])));
        limit_attachments(&mut turns, 2);
        assert_eq!(turns[0][0].text(), "Look[Image]");
        assert_eq!((turns[1][0].text(), turns[2][0].text()), ("Look".into(), "Look".into()));
    }

    #[test]
    fn what_is_too_large_loses_images_before_turns() {
        let picture = format!("data:{}", "a".repeat(2000));
        let all = messages(&json!([
            image(&picture), {"role": "assistant", "content": "x"},
            image(&picture), {"role": "assistant", "content": "y"},
        ]));
        let mut turns = split(all.clone());
        assert!(shrink(&mut turns, 3000));
        assert_eq!((turns.len(), turns[0][0].text()), (2, "Look[Image]".into()));
        let mut turns = split(all.clone());
        assert!(shrink(&mut turns, 200));
        assert_eq!((turns.len(), turns[0][1].text()), (1, "y".into()));
        let mut turns = split(all);
        assert!(!shrink(&mut turns, 50));
    }
}
