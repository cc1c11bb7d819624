//! Conversations in SQLite.

use super::{Sqlite, file::BUSY_TIMEOUT};
use crate::{
    Result,
    conversations::{ConversationEngine, ConversationEntry, ConversationName, Record},
};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, named_params, params};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

const LOAD: &str = "SELECT owner, id, version, turns, bytes, created, updated, expires, content, encrypted \
     FROM conversation WHERE owner = ?1 AND id = ?2 AND expires > ?3";

/// Selects the version of a conversation.
const SELECT_VERSION: &str =
    "SELECT version FROM conversation WHERE owner = ?1 AND id = ?2 AND expires > ?3";

/// Saves a conversation; the time of the first save stays if it replaces one.
const SAVE: &str = "INSERT INTO conversation (owner, id, version, turns, bytes, created, updated, expires, content, encrypted) \
     VALUES (:owner, :id, :version, :turns, :bytes, :now, :now, :expires, :content, :encrypted) \
     ON CONFLICT DO UPDATE SET version = excluded.version, turns = excluded.turns, bytes = excluded.bytes, \
     created = CASE WHEN expires > :now THEN created ELSE excluded.created END, updated = excluded.updated, \
     expires = excluded.expires, content = excluded.content, encrypted = excluded.encrypted";

/// Deletes those of an owner that were saved the longest ago.
const DELETE_OLDEST: &str = "DELETE FROM conversation WHERE owner = ?1 AND id IN \
     (SELECT id FROM conversation WHERE owner = ?1 ORDER BY updated DESC, id LIMIT -1 OFFSET ?2)";

const LIST: &str = "SELECT owner, id, version, turns, bytes, created, updated, expires FROM conversation \
     WHERE expires > ?1 AND (owner, id) > (?2, ?3) AND (?4 IS NULL OR owner = ?4) ORDER BY owner, id LIMIT ?5";

const DELETE: &str =
    "DELETE FROM conversation WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR id = ?2)";

/// Deletes some at a time, so that limits need not wait.
const DELETE_EXPIRED: &str = "DELETE FROM conversation WHERE (owner, id) IN \
     (SELECT owner, id FROM conversation WHERE expires <= ?1 LIMIT 200)";

/// Conversations in SQLite.
pub(crate) struct SqliteConversations {
    database: Sqlite,
    /// `true` if the write-ahead log may hold deleted data.
    must_erase: AtomicBool,
}

impl SqliteConversations {
    pub fn new(database: Sqlite) -> Self {
        // The host may have been killed before it could erase.
        Self { database, must_erase: AtomicBool::new(true) }
    }

    /// Deletes conversations, whose content is erased from the file later.
    async fn delete_with(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<usize> + Send + 'static,
    ) -> Result<u64> {
        let deleted = self.database.write_with(move |database| work(&database.connection)).await?;
        if deleted > 0 {
            self.must_erase.store(true, Ordering::Release);
        }
        Ok(deleted as u64)
    }
}

impl ConversationEngine for SqliteConversations {
    fn load(
        &self,
        name: ConversationName,
        now: i64,
    ) -> BoxFuture<'_, Result<Option<(ConversationEntry, String, bool)>>> {
        Box::pin(self.database.run(move |database| {
            let mut statement = database.connection.prepare_cached(LOAD)?;
            let read = |row: &Row<'_>| Ok((entry(row)?, row.get(8)?, row.get(9)?));
            statement.query_row(params![name.owner, name.id, now], read).optional()
        }))
    }

    fn save(&self, record: Record) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.database.write_with(move |database| save(&mut database.connection, &record)))
    }

    fn list(
        &self,
        owner: Option<String>,
        after: ConversationName,
        limit: i64,
        now: i64,
    ) -> BoxFuture<'_, Result<Vec<ConversationEntry>>> {
        Box::pin(self.database.read(move |connection| {
            let mut statement = connection.prepare(LIST)?;
            let rows =
                statement.query_map(params![now, after.owner, after.id, owner, limit], entry)?;
            rows.collect()
        }))
    }

    fn delete(&self, owner: Option<String>, id: Option<String>) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.delete_with(move |connection| connection.execute(DELETE, params![owner, id])))
    }

    fn delete_expired(&self, now: i64) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.delete_with(move |connection| connection.execute(DELETE_EXPIRED, [now])))
    }

    /// Copies the write-ahead log into the file and empties it. The file itself holds nothing that
    /// was deleted, because of `PRAGMA secure_delete`.
    fn erase(&self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            if !self.must_erase.swap(false, Ordering::AcqRel) {
                return Ok(true);
            }
            let is_erased = self.database.run(|database| truncate_log(&database.connection)).await;
            if !matches!(is_erased, Ok(true)) {
                self.must_erase.store(true, Ordering::Release);
            }
            is_erased
        })
    }
}

/// Saves a conversation; returns `false` if another version is stored.
fn save(connection: &mut Connection, record: &Record) -> rusqlite::Result<bool> {
    let Record { entry, content, is_encrypted, expected, max_conversations } = record;
    let ConversationName { owner, id } = &entry.name;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let found: Option<i64> = transaction
            .prepare_cached(SELECT_VERSION)?
            .query_row(params![owner, id, entry.updated], |row| row.get(0))
            .optional()?;
        if found != *expected {
            return Ok(false);
        }
        transaction.prepare_cached(SAVE)?.execute(named_params! {
            ":owner": owner,
            ":id": id,
            ":version": entry.version,
            ":turns": entry.turns,
            ":bytes": entry.bytes,
            ":now": entry.updated,
            ":expires": entry.expires,
            ":content": content,
            ":encrypted": is_encrypted,
        })?;
        if expected.is_none() {
            transaction
                .prepare_cached(DELETE_OLDEST)?
                .execute(params![owner, max_conversations])?;
        }
    }
    transaction.commit()?;
    Ok(true)
}

/// Empties the write-ahead log. Returns `false` if somebody still reads from it.
fn truncate_log(connection: &Connection) -> rusqlite::Result<bool> {
    // Limits wait for this thread, so it does not wait for readers.
    connection.busy_timeout(Duration::ZERO)?;
    let busy: rusqlite::Result<i64> =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0));
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(busy? == 0)
}

/// Returns a row as an entry of the list of conversations.
fn entry(row: &Row<'_>) -> rusqlite::Result<ConversationEntry> {
    Ok(ConversationEntry {
        name: ConversationName { owner: row.get(0)?, id: row.get(1)? },
        version: row.get(2)?,
        turns: row.get(3)?,
        bytes: row.get(4)?,
        created: row.get(5)?,
        updated: row.get(6)?,
        expires: row.get(7)?,
    })
}
