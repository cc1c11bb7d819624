//! The messages that the model gets: instructions, then the turns of the window.

use crate::{history, turns};
use pipe_sdk::{Content, Conversation, Message, Part, Role};

/// The line before a summary.
const SUMMARY_HEADING: &str = "Summary of the conversation before the following messages:";

/// Returns the messages for the model: one system message of persona, instructions and summary, and
/// the turns of the window with at most `max_images` images and files of earlier turns.
pub(crate) fn messages(
    conversation: &Conversation,
    persona: Option<&str>,
    own_instructions: &[Message],
    window: usize,
    max_images: usize,
) -> Vec<Message> {
    let Conversation { instructions, summary, turns } = conversation;
    let first = history::turns_before_window(turns, window);
    let mut shown = turns.get(first..).unwrap_or_default().to_vec();
    if let Some((_, earlier)) = shown.split_last_mut() {
        turns::limit_attachments(earlier, max_images);
    }
    let client = own_instructions.iter().chain(instructions);
    let summary = summary.as_ref().map(|summary| format!("{SUMMARY_HEADING}\n{}", summary.text));
    let system = system_messages(persona, client.cloned().collect(), summary.as_deref());
    system.into_iter().chain(shown.into_iter().flatten()).collect()
}

/// Returns one system message of all these, because some models' templates take no second one. What
/// the client sent alone stays as it is.
fn system_messages(
    persona: Option<&str>,
    client: Vec<Message>,
    summary: Option<&str>,
) -> Vec<Message> {
    if persona.is_none() && summary.is_none() {
        return client;
    }
    let role = client.first().map_or(Role::System, |message| message.role);
    let contents = client.into_iter().filter_map(|message| message.content);
    let contents: Vec<_> = persona
        .map(|text| Content::Text(text.into()))
        .into_iter()
        .chain(contents)
        .chain(summary.map(|text| Content::Text(text.into())))
        .collect();
    let has_parts = contents.iter().any(|content| matches!(content, Content::Parts(_)));
    let content = if has_parts {
        let parts = contents.into_iter().flat_map(|content| match content {
            Content::Text(text) => vec![Part::from_text(text)],
            Content::Parts(parts) => parts,
        });
        Content::Parts(parts.collect())
    } else {
        let texts = contents.into_iter().filter_map(|content| match content {
            Content::Text(text) => Some(text),
            Content::Parts(_) => None,
        });
        Content::Text(texts.collect::<Vec<_>>().join("\n\n"))
    };
    vec![Message { content: Some(content), ..Message::new(role, "") }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_sdk::Summary;

    #[test]
    fn instructions_are_one_message_before_the_window() {
        let turn = |number: usize| vec![Message::new(Role::User, format!("turn {number}"))];
        let conversation = Conversation {
            instructions: vec![Message::new(Role::System, "Be brief.")],
            summary: Some(Summary { text: "They met.".into(), ..Summary::default() }),
            turns: (0..5).map(turn).collect(),
        };
        let texts: Vec<_> = messages(&conversation, Some("You are a pirate."), &[], 2, 4)
            .iter()
            .map(Message::text)
            .collect();
        let system = format!("You are a pirate.\n\nBe brief.\n\n{SUMMARY_HEADING}\nThey met.");
        assert_eq!(texts, [&*system, "turn 2", "turn 3", "turn 4"]);
        let plain = Conversation { summary: None, ..conversation };
        assert_eq!(messages(&plain, None, &[], 1, 4)[0].text(), "Be brief.");
    }
}
