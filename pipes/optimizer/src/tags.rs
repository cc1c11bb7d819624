//! Tags in messages that name an approach: `<optillm_approach>bon</optillm_approach>`.

use pipe_sdk::{Content, Message, Part, Role};

/// The tag before the name of an approach in a message.
const OPEN: &str = "<optillm_approach>";
/// The tag after the name of an approach.
const CLOSE: &str = "</optillm_approach>";

/// Removes all tags from the turns of operators and people, and returns the name in the last one.
pub(crate) fn take_approach(messages: &mut [Message]) -> Option<String> {
    let mut named = None;
    for message in messages {
        if !matches!(message.role, Role::System | Role::Developer | Role::User) {
            continue;
        }
        match &mut message.content {
            Some(Content::Text(text)) => named = take_from(text).or(named),
            Some(Content::Parts(parts)) => {
                for part in parts {
                    if let Part::Text { text, .. } = part {
                        named = take_from(text).or(named);
                    }
                }
            }
            None => {}
        }
    }
    named
}

/// Takes the tags out of a text, and returns the last approach that they name.
fn take_from(text: &mut String) -> Option<String> {
    let mut named = None;
    while let Some((before, rest)) = text.split_once(OPEN)
        && let Some((name, after)) = rest.split_once(CLOSE)
    {
        let name = name.trim();
        named = Some(name.to_owned()).filter(|name| !name.is_empty()).or(named);
        *text = format!("{}{}", before, after.trim_start());
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_taken_out_of_every_message() {
        let mut messages = [
            Message::new(Role::System, "<optillm_approach>moa</optillm_approach>Be kind."),
            Message::new(Role::User, "<optillm_approach> </optillm_approach> Hello"),
            Message::new(Role::Assistant, "<optillm_approach>bon</optillm_approach>"),
        ];
        assert_eq!(take_approach(&mut messages), Some("moa".into()));
        assert_eq!(messages[0].text(), "Be kind.");
        assert_eq!(messages[1].text(), "Hello");
        assert_eq!(take_approach(&mut messages), None);
    }
}
