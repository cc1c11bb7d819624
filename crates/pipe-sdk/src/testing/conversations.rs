//! Conversations in memory.

use crate::{
    Conversation, ConversationKey, ConversationVersion, Conversations, Result, SaveOptions,
};
use futures_util::future::{BoxFuture, ready};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Conversations in memory. They do not expire, and there may be any number of them.
#[derive(Default)]
pub struct InMemoryConversations {
    stored: Mutex<HashMap<ConversationKey, (Conversation, ConversationVersion)>>,
}

impl Conversations for InMemoryConversations {
    fn load(
        &self,
        key: ConversationKey,
    ) -> BoxFuture<'_, Result<Option<(Conversation, ConversationVersion)>>> {
        let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        Box::pin(ready(Ok(stored.get(&key).cloned())))
    }

    fn save(
        &self,
        key: ConversationKey,
        conversation: Conversation,
        options: SaveOptions,
    ) -> BoxFuture<'_, Result<Option<ConversationVersion>>> {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        let found = stored.get(&key).map(|(_, version)| *version);
        if found != options.expected {
            return Box::pin(ready(Ok(None)));
        }
        let version = found.unwrap_or_default() + 1;
        stored.insert(key, (conversation, version));
        Box::pin(ready(Ok(Some(version))))
    }
}
