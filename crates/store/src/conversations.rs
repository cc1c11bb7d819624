//! Conversations: texts that pipes keep of chats, by owner and id, until they expire.

use crate::{Result, StoreError, cipher::Cipher, clock::unix_millis};
use futures_util::future::BoxFuture;
use std::{sync::Arc, time::Duration};
use tokio::{
    task::spawn_blocking,
    time::{interval, sleep},
};

/// The interval at which expired conversations are deleted.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);

/// The pause before another attempt to erase deleted conversations from the disk.
const ERASE_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// The number of attempts while a request waits. Afterwards, the cleanup erases them.
const MAX_ERASE_ATTEMPTS: usize = 20;

/// The purpose of the key.
const PURPOSE: &str = "pipewright conversations";

/// The store of conversations.
pub struct Conversations {
    engine: Arc<dyn ConversationEngine>,
    cipher: Option<Cipher>,
}

/// The version of a conversation. No two saves have the same.
pub type ConversationVersion = i64;

/// The name of a conversation: two owners may give theirs the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationName {
    /// The owner.
    pub owner: String,
    /// The id that the owner gave.
    pub id: String,
}

/// A conversation to be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationSave {
    /// The name.
    pub name: ConversationName,
    /// The content.
    pub content: String,
    /// The number of its turns, for lists.
    pub turns: i64,
    /// The version that it replaces; `None` if there may be none yet.
    pub expected: Option<ConversationVersion>,
    /// The time for which it is kept.
    pub time_to_live: Duration,
    /// The largest number of conversations of the owner. A new one beyond it deletes those that
    /// were saved the longest ago.
    pub max_conversations: u32,
}

/// A stored conversation, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationEntry {
    /// The name.
    pub name: ConversationName,
    /// The version.
    pub version: ConversationVersion,
    /// The number of its turns.
    pub turns: i64,
    /// The size of its content, in bytes.
    pub bytes: i64,
    /// The time of the first save, in milliseconds since 1970.
    pub created: i64,
    /// The time of the last save.
    pub updated: i64,
    /// The time at which it is deleted.
    pub expires: i64,
}

/// A record that an engine saves.
pub(crate) struct Record {
    pub entry: ConversationEntry,
    pub content: String,
    pub is_encrypted: bool,
    pub expected: Option<ConversationVersion>,
    pub max_conversations: i64,
}

/// A database of conversations. Times are in milliseconds since 1970.
pub(crate) trait ConversationEngine: Send + Sync {
    /// Returns a conversation that has not expired, its content, and whether that is encrypted.
    fn load(
        &self,
        name: ConversationName,
        now: i64,
    ) -> BoxFuture<'_, Result<Option<(ConversationEntry, String, bool)>>>;

    /// Saves a conversation unless another version is stored. Returns whether it was saved.
    fn save(&self, record: Record) -> BoxFuture<'_, Result<bool>>;

    /// Returns conversations by owner and id, after this one.
    fn list(
        &self,
        owner: Option<String>,
        after: ConversationName,
        limit: i64,
        now: i64,
    ) -> BoxFuture<'_, Result<Vec<ConversationEntry>>>;

    /// Deletes the conversations of this owner and this id, or of all, and returns their number.
    fn delete(&self, owner: Option<String>, id: Option<String>) -> BoxFuture<'_, Result<u64>>;

    /// Deletes some conversations that have expired, and returns their number.
    fn delete_expired(&self, now: i64) -> BoxFuture<'_, Result<u64>>;

    /// Erases what was deleted from the disk. Returns `false` if that has to be tried again.
    fn erase(&self) -> BoxFuture<'_, Result<bool>>;
}

impl Conversations {
    pub(crate) fn new(
        engine: Arc<dyn ConversationEngine>,
        secret_key: Option<&str>,
    ) -> Result<Self> {
        let cipher = secret_key.map(|secret| Cipher::from_secret(secret, PURPOSE)).transpose()?;
        Ok(Self { engine, cipher })
    }

    /// Returns a conversation and its content, unless there is none or it has expired.
    ///
    /// # Errors
    /// Returns an error if the database is unavailable, or the content was encrypted with another
    /// key.
    pub async fn load(
        &self,
        name: ConversationName,
    ) -> Result<Option<(ConversationEntry, String)>> {
        let loaded = self.engine.load(name.clone(), unix_millis()).await?;
        let Some((entry, content, is_encrypted)) = loaded else { return Ok(None) };
        if !is_encrypted {
            return Ok(Some((entry, content)));
        }
        let Some(cipher) = self.cipher.clone() else {
            let reason = "the conversation is encrypted: set the PIPEWRIGHT_SECRET_KEY that it was encrypted with";
            return Err(StoreError::Refused(reason.into()));
        };
        let content = run_blocking(move || {
            cipher.decrypt(&name.context(), &content).ok_or_else(|| {
                let reason = "the conversation was encrypted with another PIPEWRIGHT_SECRET_KEY";
                StoreError::Refused(reason.into())
            })
        });
        Ok(Some((entry, content.await?)))
    }

    /// Saves a conversation. Returns `None` if another version than the expected one is stored.
    ///
    /// # Errors
    /// Returns an error if the database does not store it.
    pub async fn save(&self, save: ConversationSave) -> Result<Option<ConversationVersion>> {
        let ConversationSave { name, content, turns, expected, time_to_live, max_conversations } =
            save;
        let (bytes, now) = (content.len() as i64, unix_millis());
        let content = match self.cipher.clone() {
            None => content,
            Some(cipher) => {
                let context = name.context();
                run_blocking(move || cipher.encrypt(&context, &content)).await?
            }
        };
        let time_to_live = i64::try_from(time_to_live.as_millis()).unwrap_or(i64::MAX);
        // Random, so that a deleted conversation and a new one of the same name are distinguished.
        let version = fastrand::i64(1..i64::MAX);
        let record = Record {
            entry: ConversationEntry {
                name,
                version,
                turns,
                bytes,
                created: now,
                updated: now,
                expires: now.saturating_add(time_to_live),
            },
            content,
            is_encrypted: self.cipher.is_some(),
            expected,
            max_conversations: max_conversations.into(),
        };
        Ok(self.engine.save(record).await?.then_some(version))
    }

    /// Returns up to `limit` conversations of this owner, or of all, by owner and id.
    ///
    /// # Errors
    /// Returns an error if the database is unavailable.
    pub async fn list(
        &self,
        owner: Option<String>,
        after: ConversationName,
        limit: u32,
    ) -> Result<Vec<ConversationEntry>> {
        self.engine.list(owner, after, limit.into(), unix_millis()).await
    }

    /// Deletes the conversations of this owner and this id, or of all, also from the disk as far as
    /// the database can. Returns their number.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub async fn delete(&self, owner: Option<String>, id: Option<String>) -> Result<u64> {
        let deleted = self.engine.delete(owner, id).await?;
        for _ in 0..MAX_ERASE_ATTEMPTS {
            if self.engine.erase().await? {
                break;
            }
            sleep(ERASE_RETRY_INTERVAL).await;
        }
        Ok(deleted)
    }

    /// Deletes what has expired.
    async fn clean_up(&self) -> Result<()> {
        while self.engine.delete_expired(unix_millis()).await? > 0 {}
        self.engine.erase().await.map(|_| ())
    }
}

impl ConversationName {
    /// Returns the context of its encryption. The length keeps owner and id apart.
    fn context(&self) -> String {
        format!("{}:{}{}", self.owner.len(), self.owner, self.id)
    }
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work).await.map_err(|error| StoreError::Unavailable(error.to_string()))?
}

/// Deletes expired conversations from time to time.
pub(crate) async fn run_cleanup(conversations: Arc<Conversations>) {
    let mut timer = interval(CLEANUP_INTERVAL);
    loop {
        timer.tick().await;
        if let Err(error) = conversations.clean_up().await {
            tracing::warn!(%error, "Expired conversations could not be deleted.");
        }
    }
}
