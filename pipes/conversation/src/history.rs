//! The history of a request: what is stored and what the client sent, as one.

use crate::{
    request::{ConversationUse, Request},
    turns::{self, Turn},
};
use pipe_sdk::{Conversation, Message, Role};

/// Returns the conversation with the messages of this request: the client's history where it sends
/// one, otherwise the stored turns and then the new ones.
pub(crate) fn merge(stored: Option<Conversation>, request: &Request) -> Conversation {
    let stored = stored.unwrap_or_default();
    let messages = &request.messages;
    let mut merged = match &request.kind {
        ConversationUse::Stateless | ConversationUse::History(_) => {
            replace(stored, messages.clone())
        }
        ConversationUse::Response { .. } => append(stored, messages.clone()),
        ConversationUse::Continued(_) => match overlap(&stored, messages) {
            Some(overlap) => append(stored, messages.iter().skip(overlap).cloned().collect()),
            None => replace(stored, messages.clone()),
        },
    };
    if !request.instructions.is_empty() || matches!(request.kind, ConversationUse::History(_)) {
        merged.instructions.clone_from(&request.instructions);
    }
    merged
}

/// Returns the number of the client's messages that are stored already, if they continue the stored
/// history; `None` if they are a history of their own.
///
/// A client that sends the results of tools may send the message with the calls before them.
fn overlap(stored: &Conversation, messages: &[Message]) -> Option<usize> {
    if !messages.iter().any(|message| message.role == Role::Assistant) {
        return Some(0);
    }
    let (first, rest) = messages.split_first()?;
    let last = stored.turns.last()?.last()?;
    let ids = |message: &Message| -> Vec<String> {
        message.tool_calls.iter().map(|call| call.id.clone()).collect()
    };
    let repeats = first.role == Role::Assistant
        && !first.tool_calls.is_empty()
        && ids(first) == ids(last)
        && !rest.iter().any(|message| message.role == Role::Assistant);
    repeats.then_some(1)
}

/// Appends new messages to what is stored.
pub(crate) fn append(mut stored: Conversation, messages: Vec<Message>) -> Conversation {
    let begins_turn = messages.first().is_some_and(|message| message.role == Role::User);
    let mut new = turns::split(messages).into_iter();
    if !begins_turn
        && let Some(last) = stored.turns.last_mut()
        && let Some(first) = new.next()
    {
        last.extend(first);
    }
    stored.turns.extend(new);
    stored
}

/// Replaces what is stored by the client's history. The summary stays if it covers the first turns
/// of that history as they are.
fn replace(stored: Conversation, messages: Vec<Message>) -> Conversation {
    let mut turns = turns::split(messages);
    let summary = stored.summary.filter(|summary| {
        let covered = turns.get(..summary.turns);
        summary.turns < turns.len()
            && covered.is_some_and(|covered| turns::digest("", covered) == summary.digest)
    });
    if let Some(summary) = &summary {
        turns.drain(..summary.turns);
    }
    Conversation { summary, turns, ..stored }
}

/// Returns the number of turns before the window: the last turn is the new one.
pub(crate) fn turns_before_window(turns: &[Turn], window: usize) -> usize {
    turns.len().saturating_sub(window + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_sdk::{ConversationKey, Summary};
    use serde_json::{Value, json};

    fn key() -> ConversationKey {
        ConversationKey { owner: "u".into(), id: "c".into() }
    }

    fn messages(json: &Value) -> Vec<Message> {
        serde_json::from_str(&json.to_string()).unwrap()
    }

    fn user(text: &str) -> Value {
        json!({"role": "user", "content": text})
    }

    fn assistant(text: &str) -> Value {
        json!({"role": "assistant", "content": text})
    }

    fn stored(json: &Value) -> Option<Conversation> {
        Some(Conversation { turns: turns::split(messages(json)), ..Conversation::default() })
    }

    fn request(kind: ConversationUse, json: &Value) -> Request {
        let (instructions, messages) = turns::split_instructions(messages(json));
        Request { kind, instructions, own_instructions: Vec::new(), messages }
    }

    fn texts(conversation: &Conversation) -> Vec<String> {
        conversation.turns.iter().flatten().map(Message::text).collect()
    }

    #[test]
    fn new_messages_continue_and_a_history_replaces() {
        let before = || stored(&json!([user("a"), assistant("b")]));
        let continued = |sent: &Value| {
            texts(&merge(before(), &request(ConversationUse::Continued(key()), sent)))
        };
        assert_eq!(continued(&json!([user("c")])), ["a", "b", "c"]);
        assert_eq!(continued(&json!([user("x"), assistant("y"), user("z")])), ["x", "y", "z"]);
        let history =
            |sent: &Value| texts(&merge(before(), &request(ConversationUse::History(key()), sent)));
        assert_eq!(history(&json!([user("edited")])), ["edited"], "the first message was edited");
        assert_eq!(history(&json!([user("a"), assistant("b"), user("c")])), ["a", "b", "c"]);
    }

    #[test]
    fn results_of_tools_belong_to_the_turn_of_their_calls() {
        let call = json!({"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
        let result = json!({"role": "tool", "tool_call_id": "1", "content": "r"});
        let before = || stored(&json!([user("a"), call]));
        for sent in [json!([result]), json!([call, result])] {
            let merged = merge(before(), &request(ConversationUse::Continued(key()), &sent));
            assert_eq!((merged.turns.len(), merged.turns[0].len()), (1, 3), "{sent}");
        }
    }

    #[test]
    fn a_summary_stays_with_the_history_that_it_covers() {
        let all = json!([user("a"), assistant("b"), user("c"), assistant("d"), user("e")]);
        let covered = &turns::split(messages(&all))[..2];
        let summary = Summary { text: "s".into(), turns: 2, digest: turns::digest("", covered) };
        let before =
            || Some(Conversation { summary: Some(summary.clone()), ..stored(&json!([])).unwrap() });
        let merged = merge(before(), &request(ConversationUse::History(key()), &all));
        assert_eq!((texts(&merged), merged.summary), (vec!["e".to_owned()], Some(summary.clone())));
        let edited = json!([user("a"), assistant("B"), user("c"), assistant("d"), user("e")]);
        let merged = merge(before(), &request(ConversationUse::History(key()), &edited));
        assert_eq!((merged.turns.len(), merged.summary), (3, None));
    }

    #[test]
    fn instructions_of_the_first_request_hold_until_others_are_sent() {
        let system = |text: &str| json!({"role": "system", "content": text});
        let first = merge(
            None,
            &request(ConversationUse::Continued(key()), &json!([system("s"), user("a")])),
        );
        assert_eq!(first.instructions[0].text(), "s");
        let second = merge(
            Some(first.clone()),
            &request(ConversationUse::Continued(key()), &json!([user("b")])),
        );
        assert_eq!(second.instructions[0].text(), "s");
        let other = json!([system("t"), user("b")]);
        let third = merge(Some(first.clone()), &request(ConversationUse::Continued(key()), &other));
        assert_eq!(third.instructions[0].text(), "t");
        let webui =
            merge(Some(first), &request(ConversationUse::History(key()), &json!([user("b")])));
        assert!(webui.instructions.is_empty());
    }
}
