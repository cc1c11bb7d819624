//! The conversations that pipes keep, in the store.

use futures_util::future::BoxFuture;
use pipe_sdk::{
    Conversation, ConversationKey, ConversationVersion, Conversations, PipeError, Result,
    SaveOptions,
};
use std::{sync::Arc, time::Duration};
use store::{ConversationName, ConversationSave, Store, StoreError};
use tokio::task::spawn_blocking;

/// Conversations that are kept in the store.
pub struct StoreConversations {
    store: Arc<Store>,
}

impl StoreConversations {
    /// Returns the conversations of this store.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }
}

impl Conversations for StoreConversations {
    fn load(
        &self,
        key: ConversationKey,
    ) -> BoxFuture<'_, Result<Option<(Conversation, ConversationVersion)>>> {
        Box::pin(async move {
            let loaded = self.store.conversations().load(store_name(key)).await;
            let Some((entry, content)) = loaded.map_err(|error| unavailable_error(&error))? else {
                return Ok(None);
            };
            Ok(Some((parse(content).await?, entry.version)))
        })
    }

    fn save(
        &self,
        key: ConversationKey,
        conversation: Conversation,
        options: SaveOptions,
    ) -> BoxFuture<'_, Result<Option<ConversationVersion>>> {
        Box::pin(async move {
            let turns = i64::try_from(conversation.turns.len()).unwrap_or(i64::MAX);
            // A conversation has megabytes if it has images.
            let content = spawn_blocking(move || serde_json::to_string(&conversation));
            let content =
                content.await.map_err(PipeError::internal)?.map_err(PipeError::internal)?;
            let save = ConversationSave {
                name: store_name(key),
                content,
                turns,
                expected: options.expected,
                time_to_live: options.time_to_live,
                max_conversations: options.max_conversations,
            };
            let saved = self.store.conversations().save(save).await;
            saved.map_err(|error| unavailable_error(&error))
        })
    }
}

/// Reads the content of a stored conversation.
pub async fn parse(content: String) -> Result<Conversation> {
    let parsed = spawn_blocking(move || serde_json::from_str(&content));
    // The error of a parser may quote the text.
    let unreadable = |error: serde_json::Error| {
        PipeError::internal(format!("a stored conversation is unreadable: {:?}", error.classify()))
    };
    parsed.await.map_err(PipeError::internal)?.map_err(unreadable)
}

fn store_name(ConversationKey { owner, id }: ConversationKey) -> ConversationName {
    ConversationName { owner, id }
}

/// Returns the error for conversations that cannot be loaded or saved.
pub fn unavailable_error(error: &StoreError) -> PipeError {
    tracing::warn!(%error, "A conversation could not be loaded or saved.");
    match error {
        StoreError::Refused(reason) => PipeError::Internal(reason.clone().into()),
        _ => {
            let message =
                "conversations cannot be used because the database is away: try again soon".into();
            PipeError::Unavailable { message, retry_after: Some(Duration::from_secs(5)) }
        }
    }
}
