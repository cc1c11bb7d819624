//! The question of a request: the conversation as it came, and the draft of an answer by earlier
//! stages.

use pipe_sdk::{Content, Message, Part, Role};
use std::sync::Arc;

/// The question of a request: the conversation as it came, and the draft of an answer by earlier
/// stages.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    messages: Arc<[Message]>,
    /// The draft of an answer by earlier stages.
    draft: Option<String>,
    /// The mark at the ends of fenced texts in prompts, which nobody can guess.
    nonce: Arc<str>,
}

impl Question {
    /// Returns the question of this conversation.
    pub fn new(messages: Vec<Message>) -> Self {
        let nonce = format!("{:016x}", fastrand::u64(..));
        Self { messages: messages.into(), draft: None, nonce: nonce.into() }
    }

    /// Returns the same question with a draft of the answer by an earlier stage.
    pub fn with_draft(&self, draft: String) -> Self {
        Self { draft: Some(draft), ..self.clone() }
    }

    /// Returns the same question as another conversation.
    pub fn with_messages(&self, messages: Vec<Message>) -> Self {
        Self { messages: messages.into(), ..self.clone() }
    }

    /// Returns the same question with another text in the last turn of the person; its pictures
    /// stay.
    pub fn with_last_text(&self, text: &str) -> Self {
        let mut messages = self.messages.to_vec();
        if let Some(last) = messages.iter_mut().rev().find(|message| message.role == Role::User) {
            last.content = Some(match last.content.take() {
                Some(Content::Parts(parts)) => {
                    let others = parts.into_iter().filter(|part| part.text().is_none());
                    Content::Parts([Part::from_text(text)].into_iter().chain(others).collect())
                }
                _ => Content::Text(text.to_owned()),
            });
        }
        self.with_messages(messages)
    }

    /// Returns the conversation as it came.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Returns the conversation for a model that answers it: as it came, with the draft of an
    /// earlier stage if there is one.
    pub fn conversation(&self) -> Arc<[Message]> {
        match &self.draft {
            None => Arc::clone(&self.messages),
            Some(draft) => self.with_text(&format!(
                "An earlier attempt at this stands below. It may be right or wrong: check it, use what is right, and give the whole answer.\n\n{}",
                self.fence("attempt", draft)
            )),
        }
    }

    /// Returns the conversation with more text in the last turn of the person.
    pub fn with_text(&self, text: &str) -> Arc<[Message]> {
        let mut messages = self.messages.to_vec();
        match messages.last_mut() {
            Some(last) if last.role == Role::User => append_text(last, text),
            _ => messages.push(Message::new(Role::User, text)),
        }
        messages.into()
    }

    /// Returns the conversation with the draft of an earlier stage and more text in the last turn
    /// of the person.
    pub fn with_draft_and_text(&self, text: &str) -> Arc<[Message]> {
        match &self.draft {
            None => self.with_text(text),
            Some(draft) => {
                let draft = self.fence("attempt", draft);
                self.with_text(&format!(
                    "An earlier attempt, which may be wrong:\n{draft}\n\n{text}"
                ))
            }
        }
    }

    /// Returns the conversation with further instructions.
    pub fn with_instructions(&self, instructions: &str) -> Arc<[Message]> {
        let mut messages = self.conversation().to_vec();
        match messages.first_mut() {
            Some(first) if matches!(first.role, Role::System | Role::Developer) => {
                append_text(first, instructions);
            }
            _ => messages.insert(0, Message::new(Role::System, instructions)),
        }
        messages.into()
    }

    /// Returns the text of the person's last turn.
    pub fn text(&self) -> String {
        let mut turns = self.messages.iter().rev();
        turns.find(|message| message.role == Role::User).map(Message::text).unwrap_or_default()
    }

    /// Returns the conversation as one fenced text, for models that judge.
    pub fn fenced_conversation(&self) -> String {
        let turns = self.messages.iter().filter(|message| !message.text().is_empty());
        let turns: Vec<_> = turns.collect();
        if let [turn] = turns.as_slice() {
            return self.fence("question", &turn.text());
        }
        let turns = turns.iter().map(|turn| {
            let speaker = match turn.role {
                Role::System | Role::Developer => "Instructions",
                Role::User => "Person",
                Role::Assistant => "Assistant",
                Role::Tool | Role::Function => "Result of a tool",
            };
            format!("{speaker}:\n{}", turn.text())
        });
        self.fence("conversation", &turns.collect::<Vec<_>>().join("\n\n"))
    }

    /// Returns a text between marked lines that it cannot contain.
    pub fn fence(&self, label: &str, text: &str) -> String {
        let nonce = &self.nonce;
        format!("<<<{label} {nonce}>>>\n{text}\n<<<end of {label} {nonce}>>>")
    }

    /// Returns the messages of a task for a model that does not answer the person: instructions,
    /// and material with the images of the last turn.
    pub fn task_messages(&self, instructions: &str, material: &str) -> Arc<[Message]> {
        let mut user = Message::new(Role::User, material);
        let last = self.messages.iter().rev().find(|message| message.role == Role::User);
        if let Some(Message { content: Some(Content::Parts(parts)), .. }) = last {
            let others = parts.iter().filter(|part| part.text().is_none()).cloned();
            let others: Vec<_> = others.collect();
            if !others.is_empty() {
                let text = [Part::from_text(material)];
                user.content = Some(Content::Parts(text.into_iter().chain(others).collect()));
            }
        }
        [Message::new(Role::System, instructions), user].into()
    }
}

/// Adds text to a message.
pub(crate) fn append_text(message: &mut Message, text: &str) {
    match &mut message.content {
        Some(Content::Text(all)) if all.is_empty() => text.clone_into(all),
        Some(Content::Text(all)) => *all = format!("{all}\n\n{text}"),
        Some(Content::Parts(parts)) => parts.push(Part::from_text(text)),
        None => message.content = Some(Content::Text(text.into())),
    }
}
