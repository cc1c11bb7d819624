//! Posting lists in the database, changed row by row.

use super::{Parameter, Transaction};
use crate::error::Result;
use crate::posting::{Edit, Edits, Extent, Row};
use std::collections::HashMap;
use tokio_postgres::types::Type;

/// Writes what changes in the posting lists and extents of a collection.
pub(super) async fn apply(
    transaction: &Transaction<'_>,
    collection: i64,
    edits: &Edits,
) -> Result<()> {
    let held = held(transaction, collection, edits).await?;
    let applied = |(row, edit): (&Row, &Edit)| {
        (row.clone(), edit.apply(held.get(row).map(Vec::as_slice).unwrap_or_default()))
    };
    let (gone, kept): (Vec<_>, Vec<_>) =
        edits.rows.iter().map(applied).partition(|(_, entries)| entries.is_empty());
    let (terms, audiences, blocks) = columns(gone.iter().map(|(row, _)| row));
    let sql = "DELETE FROM posting p USING unnest($2, $3, $4) AS gone (term, audience, block)
               WHERE p.collection = $1 AND p.term = gone.term AND p.audience = gone.audience AND p.block = gone.block";
    let parameters: [Parameter<'_>; 4] = [
        (&collection, Type::INT8),
        (&terms, Type::TEXT_ARRAY),
        (&audiences, Type::INT8_ARRAY),
        (&blocks, Type::INT8_ARRAY),
    ];
    transaction.query_typed(sql, &parameters).await?;
    let (terms, audiences, blocks) = columns(kept.iter().map(|(row, _)| row));
    let entries: Vec<&[u8]> = kept.iter().map(|(_, entries)| entries.as_slice()).collect();
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
    for (audience, Extent { chunks, terms }) in &edits.extents {
        let sql = "INSERT INTO extent (collection, audience, chunks, terms) VALUES ($1, $2, $3, $4) ON CONFLICT (collection, audience)
                   DO UPDATE SET chunks = extent.chunks + excluded.chunks, terms = extent.terms + excluded.terms";
        let parameters: [Parameter<'_>; 4] = [
            (&collection, Type::INT8),
            (audience, Type::INT8),
            (chunks, Type::INT8),
            (terms, Type::INT8),
        ];
        transaction.query_typed(sql, &parameters).await?;
    }
    Ok(())
}

/// The rows that are to be edited, as they are.
async fn held(
    transaction: &Transaction<'_>,
    collection: i64,
    edits: &Edits,
) -> Result<HashMap<Row, Vec<u8>>> {
    let (terms, audiences, blocks) = columns(edits.rows.keys());
    let sql = "SELECT p.term, p.audience, p.block, p.entries FROM unnest($2, $3, $4) AS wanted (term, audience, block)
               JOIN posting p ON p.collection = $1 AND p.term = wanted.term AND p.audience = wanted.audience AND p.block = wanted.block";
    let parameters: [Parameter<'_>; 4] = [
        (&collection, Type::INT8),
        (&terms, Type::TEXT_ARRAY),
        (&audiences, Type::INT8_ARRAY),
        (&blocks, Type::INT8_ARRAY),
    ];
    let rows = transaction.query_typed(sql, &parameters).await?;
    let held = rows.iter().map(|row| {
        Ok((
            Row { term: row.try_get(0)?, audience: row.try_get(1)?, block: row.try_get(2)? },
            row.try_get(3)?,
        ))
    });
    held.collect()
}

fn columns<'a>(rows: impl Iterator<Item = &'a Row>) -> (Vec<&'a str>, Vec<i64>, Vec<i64>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        columns.0.push(row.term.as_str());
        columns.1.push(row.audience);
        columns.2.push(row.block);
    }
    columns
}
