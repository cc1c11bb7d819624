//! Checks that the rows of the SQLite file are consistent.

use super::{SqliteState, collections};
use crate::audience::Viewer;
use crate::collection::Collection;
use crate::error::Result;
use crate::integrity::{DocumentCounts, IntegrityCheck};
use crate::posting::{CorpusStats, PostingKey};
use rusqlite::{Params, Row, Transaction};

/// Returns a description of each inconsistency. Reads the whole file.
pub(super) fn find_inconsistencies(
    transaction: &Transaction<'_>,
    state: &SqliteState,
) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    transaction.pragma_query(None, "integrity_check", |row| {
        let result: String = row.get(0)?;
        problems.extend((result != "ok").then_some(result));
        Ok(())
    })?;
    transaction.pragma_query(None, "foreign_key_check", |row| {
        problems.push(format!("a row of `{}` belongs to nothing", row.get::<_, String>(0)?));
        Ok(())
    })?;
    for collection in collections::list(transaction, &Viewer::Operator)? {
        problems.extend(check_collection(transaction, state, &collection)?);
    }
    Ok(problems)
}

fn check_collection(
    transaction: &Transaction<'_>,
    state: &SqliteState,
    collection: &Collection,
) -> Result<Vec<String>> {
    let mut check =
        IntegrityCheck::new(&collection.name, state.analyzers.get(collection.settings.language));
    let documents = "SELECT d.name, d.chunks, count(c.id), coalesce(max(c.place), -1),
            count((SELECT 1 FROM vector v WHERE v.chunk = c.id AND v.model = k.model AND length(v.numbers) <> 2 * k.dimensions))
        FROM document d JOIN collection k ON k.id = d.collection LEFT JOIN chunk c ON c.document = d.id WHERE k.id = ? GROUP BY d.id";
    for_each_row(transaction, documents, [collection.id], |row| {
        let (name, expected_chunks, stored_chunks) = (row.get(0)?, row.get(1)?, row.get(2)?);
        check.add_document(DocumentCounts {
            name,
            expected_chunks,
            stored_chunks,
            last_position: row.get(3)?,
            mismatched_vectors: row.get(4)?,
        });
        Ok(())
    })?;
    let chunks = "SELECT d.audience, c.id, c.heading, c.text FROM document d JOIN chunk c ON c.document = d.id WHERE d.collection = ? ORDER BY c.id";
    for_each_row(transaction, chunks, [collection.id], |row| {
        let (heading, text): (String, String) = (row.get(2)?, row.get(3)?);
        check.add_chunk(row.get(0)?, row.get(1)?, &heading, &text);
        Ok(())
    })?;
    for_each_row(
        transaction,
        "SELECT term, audience, block, entries FROM posting WHERE collection = ?",
        [collection.id],
        |row| {
            check.add_posting(
                PostingKey { term: row.get(0)?, audience: row.get(1)?, block: row.get(2)? },
                row.get(3)?,
            );
            Ok(())
        },
    )?;
    for_each_row(
        transaction,
        "SELECT audience, chunks, terms FROM extent WHERE collection = ?",
        [collection.id],
        |row| {
            check.add_stats(
                row.get(0)?,
                CorpusStats { chunk_count: row.get(1)?, terms: row.get(2)? },
            );
            Ok(())
        },
    )?;
    Ok(check.finish())
}

fn for_each_row(
    transaction: &Transaction<'_>,
    sql: &str,
    params: impl Params,
    mut visit: impl FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let mut statement = transaction.prepare(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        visit(row)?;
    }
    Ok(())
}
