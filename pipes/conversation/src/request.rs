//! A request: the conversation that it belongs to, and what the client sent of it.

use crate::turns;
use pipe_sdk::{
    Body, Call, CallContext, ChatRef, ConversationKey, Hints, Message, PipeError, Result,
};
use serde_json::{Map, Value};

/// The field that names a conversation, in the body or in its `metadata`.
const FIELD: &str = "conversation_id";

/// The header that names a conversation.
const HEADER: &str = "x-pipewright-conversation-id";

/// The beginning of the ids of Open WebUI's temporary chats
/// (`docs/reference/open-webui.md`, "Inlet and outlet bodies"), which nobody expects to be stored.
const TEMPORARY: &str = "local:";

/// The way in which a client uses a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConversationUse {
    /// The client sends its whole history with each request, and no conversation is kept here.
    Stateless,
    /// The client sends its whole history with each request, as Open WebUI does.
    History(ConversationKey),
    /// The client sends new messages only, or a history that replaces the stored one.
    Continued(ConversationKey),
    /// The client uses the Responses API: each response is stored under an id of its own.
    Response {
        /// The stored response that is continued.
        previous: Option<ConversationKey>,
        /// The id of the new one, if it is to be stored.
        next: Option<ConversationKey>,
    },
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub kind: ConversationUse,
    /// The leading system messages that the client sent.
    pub instructions: Vec<Message>,
    /// The instructions that hold for this request alone.
    pub own_instructions: Vec<Message>,
    /// All other messages that the client sent.
    pub messages: Vec<Message>,
}

impl Request {
    /// Takes the conversation's id and the messages out of a call.
    pub fn take(call: &mut Call) -> Result<Self> {
        let context = call.host.context().clone();
        let kind = ConversationUse::take(&mut call.body, &call.hints, &call.chat, &context)?;
        let mut messages = std::mem::take(&mut call.body.messages);
        let has_own = call.chat.response.as_ref().is_some_and(|response| response.has_instructions);
        let rest = messages.split_off(usize::from(has_own).min(messages.len()));
        let (instructions, rest) = turns::split_instructions(rest);
        Ok(Self { kind, instructions, own_instructions: messages, messages: rest })
    }

    /// Returns the request of a chat that Open WebUI sends through a filter.
    pub fn from_filter(
        chat_id: Option<&str>,
        messages: Vec<Message>,
        context: &CallContext,
    ) -> Result<Self> {
        let key = history_key(chat_id, context)?;
        let kind = key.map_or(ConversationUse::Stateless, ConversationUse::History);
        let (instructions, messages) = turns::split_instructions(messages);
        Ok(Self { kind, instructions, own_instructions: Vec::new(), messages })
    }
}

impl ConversationUse {
    /// Takes the id of the conversation out of a request, and returns the kind that it names.
    fn take(body: &mut Body, hints: &Hints, chat: &ChatRef, context: &CallContext) -> Result<Self> {
        let named = take_id(&mut body.rest, hints)?;
        if let Some(response) = &chat.response {
            let key = |id: &Option<String>, field: &str| {
                id.as_deref().map(|id| ConversationKey::new(context, id, field)).transpose()
            };
            let previous = key(&response.previous_id, "previous_response_id")?;
            let next = key(&response.id, "id")?;
            if previous.is_some() || next.is_some() {
                return Ok(Self::Response { previous, next });
            }
        }
        if let Some((id, field)) = named {
            return Ok(Self::Continued(ConversationKey::new(context, &id, &field)?));
        }
        let key = history_key(chat.chat_id.as_deref(), context)?;
        Ok(key.map_or(Self::Stateless, Self::History))
    }

    /// Returns the key of the conversation that the request continues.
    pub fn load_key(&self) -> Option<&ConversationKey> {
        match self {
            Self::Stateless => None,
            Self::History(key) | Self::Continued(key) => Some(key),
            Self::Response { previous, .. } => previous.as_ref(),
        }
    }

    /// Returns the key under which the conversation is saved.
    pub fn save_key(&self) -> Option<&ConversationKey> {
        match self {
            Self::Response { next, .. } => next.as_ref(),
            other => other.load_key(),
        }
    }
}

fn history_key(chat_id: Option<&str>, context: &CallContext) -> Result<Option<ConversationKey>> {
    let chat_id = chat_id.filter(|id| !id.starts_with(TEMPORARY));
    chat_id.map(|id| ConversationKey::new(context, id, "chat_id")).transpose()
}

/// Takes the id of the conversation out of the body, where no upstream should see it, and returns
/// it with the name of its field.
fn take_id(fields: &mut Map<String, Value>, hints: &Hints) -> Result<Option<(String, String)>> {
    let in_body = fields.shift_remove(FIELD);
    let in_metadata = match fields.get_mut("metadata") {
        Some(Value::Object(metadata)) => metadata.shift_remove(FIELD),
        _ => None,
    };
    let in_header = hints.get(HEADER).map(|id| Value::String(id.to_owned()));
    let places = [
        (in_body, FIELD.to_owned()),
        (in_metadata, format!("metadata.{FIELD}")),
        (in_header, HEADER.to_owned()),
    ];
    for (value, field) in places {
        match value {
            None | Some(Value::Null) => {}
            Some(Value::String(id)) => return Ok(Some((id, field))),
            Some(_) => {
                let rule = format!("{field}: must be a text");
                return Err(PipeError::bad_field(field, rule));
            }
        }
    }
    Ok(None)
}
