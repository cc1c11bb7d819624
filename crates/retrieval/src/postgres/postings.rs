//! Writes posting lists to PostgreSQL.

use super::{Parameter, Transaction};
use crate::error::Result;
use crate::posting::{CorpusStats, PostingEdit, PostingEdits, PostingKey};
use std::collections::HashMap;
use tokio_postgres::types::Type;

/// Applies changes to the posting lists and statistics of a collection.
pub(super) async fn apply_edits(
    transaction: &Transaction<'_>,
    collection: i64,
    edits: &PostingEdits,
) -> Result<()> {
    let stored = load_blocks(transaction, collection, edits).await?;
    let apply = |(key, edit): (&PostingKey, &PostingEdit)| {
        (key.clone(), edit.apply(stored.get(key).map(Vec::as_slice).unwrap_or_default()))
    };
    let (emptied, changed): (Vec<_>, Vec<_>) =
        edits.rows.iter().map(apply).partition(|(_, entries)| entries.is_empty());
    let (terms, audiences, blocks) = key_columns(emptied.iter().map(|(key, _)| key));
    let sql = "DELETE FROM posting p USING unnest($2, $3, $4) AS gone (term, audience, block)
               WHERE p.collection = $1 AND p.term = gone.term AND p.audience = gone.audience AND p.block = gone.block";
    let parameters: [Parameter<'_>; 4] = [
        (&collection, Type::INT8),
        (&terms, Type::TEXT_ARRAY),
        (&audiences, Type::INT8_ARRAY),
        (&blocks, Type::INT8_ARRAY),
    ];
    transaction.query_typed(sql, &parameters).await?;
    let (terms, audiences, blocks) = key_columns(changed.iter().map(|(key, _)| key));
    let entries: Vec<&[u8]> = changed.iter().map(|(_, entries)| entries.as_slice()).collect();
    let sql = "INSERT INTO posting (collection, term, audience, block, entries)
               SELECT $1, term, audience, block, entries FROM unnest($2, $3, $4, $5) AS kept (term, audience, block, entries)
               ON CONFLICT (collection, term, audience, block) DO UPDATE SET entries = excluded.entries";
    let parameters: [Parameter<'_>; 5] = [
        (&collection, Type::INT8),
        (&terms, Type::TEXT_ARRAY),
        (&audiences, Type::INT8_ARRAY),
        (&blocks, Type::INT8_ARRAY),
        (&entries, Type::BYTEA_ARRAY),
    ];
    transaction.query_typed(sql, &parameters).await?;
    for (audience, CorpusStats { chunk_count, terms }) in &edits.stats {
        let sql = "INSERT INTO extent (collection, audience, chunks, terms) VALUES ($1, $2, $3, $4) ON CONFLICT (collection, audience)
                   DO UPDATE SET chunks = extent.chunks + excluded.chunks, terms = extent.terms + excluded.terms";
        let parameters: [Parameter<'_>; 4] = [
            (&collection, Type::INT8),
            (audience, Type::INT8),
            (chunk_count, Type::INT8),
            (terms, Type::INT8),
        ];
        transaction.query_typed(sql, &parameters).await?;
    }
    Ok(())
}

/// Reads the rows that are to be changed.
async fn load_blocks(
    transaction: &Transaction<'_>,
    collection: i64,
    edits: &PostingEdits,
) -> Result<HashMap<PostingKey, Vec<u8>>> {
    let (terms, audiences, blocks) = key_columns(edits.rows.keys());
    let sql = "SELECT p.term, p.audience, p.block, p.entries FROM unnest($2, $3, $4) AS wanted (term, audience, block)
               JOIN posting p ON p.collection = $1 AND p.term = wanted.term AND p.audience = wanted.audience AND p.block = wanted.block";
    let parameters: [Parameter<'_>; 4] = [
        (&collection, Type::INT8),
        (&terms, Type::TEXT_ARRAY),
        (&audiences, Type::INT8_ARRAY),
        (&blocks, Type::INT8_ARRAY),
    ];
    let rows = transaction.query_typed(sql, &parameters).await?;
    let blocks = rows.iter().map(|row| {
        Ok((
            PostingKey { term: row.try_get(0)?, audience: row.try_get(1)?, block: row.try_get(2)? },
            row.try_get(3)?,
        ))
    });
    blocks.collect()
}

fn key_columns<'a>(
    keys: impl Iterator<Item = &'a PostingKey>,
) -> (Vec<&'a str>, Vec<i64>, Vec<i64>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        columns.0.push(key.term.as_str());
        columns.1.push(key.audience);
        columns.2.push(key.block);
    }
    columns
}
