//! Conversations in PostgreSQL, shared by replicas.

use super::{ADMIN_TIMEOUT, BACKGROUND_TIMEOUT, Parameter, Postgres, first_i64, to_store_error};
use crate::{
    Result,
    conversations::{ConversationEngine, ConversationEntry, ConversationName, Record},
};
use futures_util::future::BoxFuture;
use tokio_postgres::{Row, types::Type};

const LOAD: &str = "SELECT owner, id, version, turns, bytes, created, updated, expires, content, encrypted \
     FROM pipewright.conversation WHERE owner = $1 AND id = $2 AND expires > $3";

/// Saves a conversation of which there is none, or one that has expired.
const SAVE_FIRST: &str = "
    INSERT INTO pipewright.conversation AS known (owner, id, version, turns, bytes, created, updated, expires, content, encrypted)
    VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9)
    ON CONFLICT (owner, id) DO UPDATE SET version = excluded.version, turns = excluded.turns, bytes = excluded.bytes,
        created = excluded.created, updated = excluded.updated, expires = excluded.expires, content = excluded.content,
        encrypted = excluded.encrypted
    WHERE known.expires <= excluded.updated
    RETURNING 1::BIGINT";

const SAVE: &str = "
    UPDATE pipewright.conversation SET version = $3, turns = $4, bytes = $5, updated = $6, expires = $7, content = $8, encrypted = $9
    WHERE owner = $1 AND id = $2 AND version = $10 AND expires > $6
    RETURNING 1::BIGINT";

/// Deletes those of an owner that were saved the longest ago.
const DELETE_OLDEST: &str = "
    DELETE FROM pipewright.conversation WHERE owner = $1 AND id IN
        (SELECT id FROM pipewright.conversation WHERE owner = $1 ORDER BY updated DESC, id OFFSET $2)";

const LIST: &str = "
    SELECT owner, id, version, turns, bytes, created, updated, expires FROM pipewright.conversation
    WHERE expires > $1 AND (owner, id) > ($2, $3) AND ($4::TEXT IS NULL OR owner = $4) ORDER BY owner, id LIMIT $5";

const DELETE: &str = "
    WITH deleted AS (
        DELETE FROM pipewright.conversation WHERE ($1::TEXT IS NULL OR owner = $1) AND ($2::TEXT IS NULL OR id = $2) RETURNING 1
    )
    SELECT count(*) FROM deleted";

const DELETE_EXPIRED: &str = "
    WITH deleted AS (
        DELETE FROM pipewright.conversation WHERE (owner, id) IN
            (SELECT owner, id FROM pipewright.conversation WHERE expires <= $1 LIMIT 1000) RETURNING 1
    )
    SELECT count(*) FROM deleted";

impl ConversationEngine for Postgres {
    fn load(
        &self,
        name: ConversationName,
        now: i64,
    ) -> BoxFuture<'_, Result<Option<(ConversationEntry, String, bool)>>> {
        Box::pin(async move {
            let parameters: [Parameter<'_>; 3] =
                [(&name.owner, Type::TEXT), (&name.id, Type::TEXT), (&now, Type::INT8)];
            let rows = self.query(&self.0.conversations, ADMIN_TIMEOUT, LOAD, &parameters).await?;
            let read = |row: &Row| Ok((entry(row)?, row.try_get(8)?, row.try_get(9)?));
            rows.first().map(read).transpose().map_err(to_store_error)
        })
    }

    fn save(&self, record: Record) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let Record { entry, content, is_encrypted, expected, max_conversations } = &record;
            let ConversationName { owner, id } = &entry.name;
            let mut parameters: Vec<Parameter<'_>> = vec![
                (owner, Type::TEXT),
                (id, Type::TEXT),
                (&entry.version, Type::INT8),
                (&entry.turns, Type::INT8),
                (&entry.bytes, Type::INT8),
                (&entry.updated, Type::INT8),
                (&entry.expires, Type::INT8),
                (content, Type::TEXT),
                (is_encrypted, Type::BOOL),
            ];
            let connection = &self.0.conversations;
            let Some(expected) = expected else {
                let saved = self.query(connection, ADMIN_TIMEOUT, SAVE_FIRST, &parameters).await?;
                if saved.is_empty() {
                    return Ok(false);
                }
                let bound: [Parameter<'_>; 2] =
                    [(owner, Type::TEXT), (max_conversations, Type::INT8)];
                self.query(connection, ADMIN_TIMEOUT, DELETE_OLDEST, &bound).await?;
                return Ok(true);
            };
            parameters.push((expected, Type::INT8));
            let saved = self.query(connection, ADMIN_TIMEOUT, SAVE, &parameters).await?;
            Ok(!saved.is_empty())
        })
    }

    fn list(
        &self,
        owner: Option<String>,
        after: ConversationName,
        limit: i64,
        now: i64,
    ) -> BoxFuture<'_, Result<Vec<ConversationEntry>>> {
        Box::pin(async move {
            let parameters: [Parameter<'_>; 5] = [
                (&now, Type::INT8),
                (&after.owner, Type::TEXT),
                (&after.id, Type::TEXT),
                (&owner, Type::TEXT),
                (&limit, Type::INT8),
            ];
            let rows = self.query(&self.0.conversations, ADMIN_TIMEOUT, LIST, &parameters).await?;
            rows.iter().map(entry).collect::<Result<_, _>>().map_err(to_store_error)
        })
    }

    fn delete(&self, owner: Option<String>, id: Option<String>) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let parameters: [Parameter<'_>; 2] = [(&owner, Type::TEXT), (&id, Type::TEXT)];
            let deleted =
                self.query(&self.0.conversations, BACKGROUND_TIMEOUT, DELETE, &parameters).await?;
            first_i64(&deleted).map(i64::unsigned_abs)
        })
    }

    fn delete_expired(&self, now: i64) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let parameters: [Parameter<'_>; 1] = [(&now, Type::INT8)];
            let deleted = self
                .query(&self.0.conversations, BACKGROUND_TIMEOUT, DELETE_EXPIRED, &parameters)
                .await?;
            first_i64(&deleted).map(i64::unsigned_abs)
        })
    }

    /// Leaves the files to autovacuum: PostgreSQL has no way to overwrite a deleted row at once.
    fn erase(&self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async { Ok(true) })
    }
}

/// Returns a row as an entry of the list of conversations.
fn entry(row: &Row) -> Result<ConversationEntry, tokio_postgres::Error> {
    Ok(ConversationEntry {
        name: ConversationName { owner: row.try_get(0)?, id: row.try_get(1)? },
        version: row.try_get(2)?,
        turns: row.try_get(3)?,
        bytes: row.try_get(4)?,
        created: row.try_get(5)?,
        updated: row.try_get(6)?,
        expires: row.try_get(7)?,
    })
}
