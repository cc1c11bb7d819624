//! Conversations that the host keeps from one request to the next.

use crate::{CallContext, Message, PipeError, Result};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The store of conversations. Replicas on one database share it.
pub trait Conversations: Send + Sync {
    /// Returns a conversation and its version, unless there is none or it has expired.
    fn load(
        &self,
        key: ConversationKey,
    ) -> BoxFuture<'_, Result<Option<(Conversation, ConversationVersion)>>>;

    /// Saves a conversation in place of the one of the expected version. Returns `None` and saves
    /// nothing if another one is stored.
    fn save(
        &self,
        key: ConversationKey,
        conversation: Conversation,
        options: SaveOptions,
    ) -> BoxFuture<'_, Result<Option<ConversationVersion>>>;
}

/// The version of a stored conversation. No two saves have the same.
pub type ConversationVersion = i64;

/// The rules of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveOptions {
    /// The version that the save replaces; `None` if no conversation may be stored yet.
    pub expected: Option<ConversationVersion>,
    /// The time after which the conversation is deleted, unless it is saved again.
    pub time_to_live: Duration,
    /// The largest number of conversations of one owner. A new one beyond it deletes the one that
    /// was saved the longest ago.
    pub max_conversations: u32,
}

/// The name of a conversation: two users may give theirs the same id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConversationKey {
    /// The id of the user, or of the API key that is a user of its own; empty for requests with the
    /// host's own key that name no user.
    pub owner: String,
    /// The id that the client gave.
    pub id: String,
}

impl ConversationKey {
    /// The longest id, in bytes.
    pub const MAX_ID_BYTES: usize = 256;

    /// Returns the key for the user of this context; `field` is where the client sent the id.
    ///
    /// # Errors
    /// [`PipeError::BadRequest`] if the id is empty, too long, or holds control characters.
    pub fn new(context: &CallContext, id: &str, field: &str) -> Result<Self> {
        if id.is_empty() || id.len() > Self::MAX_ID_BYTES || id.chars().any(char::is_control) {
            let max = Self::MAX_ID_BYTES;
            let rule = format!("{field}: must have 1 to {max} bytes and no control characters");
            return Err(PipeError::bad_field(field, rule));
        }
        let owner = context.user.as_ref().map(|user| user.id.clone()).unwrap_or_default();
        Ok(Self { owner, id: id.to_owned() })
    }
}

/// The stored part of a conversation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Conversation {
    /// The instructions of the client: its leading system messages.
    pub instructions: Vec<Message>,
    /// The summary of the turns before [`turns`](Self::turns).
    pub summary: Option<Summary>,
    /// The latest turns, oldest first. Each begins with a message of the user, and holds all that
    /// follows until the next one: answers, tool calls and their results.
    pub turns: Vec<Vec<Message>>,
}

/// A summary of the first turns of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// The text.
    pub text: String,
    /// The number of turns that it covers.
    pub turns: usize,
    /// A digest of those turns, by which a history that the client sends is compared with them.
    pub digest: String,
}
