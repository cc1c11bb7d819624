//! Writes documents, postings and vectors to SQLite.

use super::{collections, vector_cache};
use crate::analyzer::{Analyzer, TermList};
use crate::chunk::searchable_text;
use crate::collection::{Collection, EmbeddingModel};
use crate::document::Document;
use crate::error::{IndexError, Result};
use crate::posting::PostingEdits;
use crate::storage_engine::{PreparedDocument, unix_now};
use crate::vector::Vector;
use rusqlite::{OptionalExtension, Transaction, params};

/// Makes the first model the collection's; refuses another one.
pub(super) fn adopt_first_model(
    transaction: &Transaction<'_>,
    collection: &Collection,
    model: Option<&EmbeddingModel>,
) -> Result<()> {
    let Some(model) = model else { return Ok(()) };
    match collections::find_model(transaction, collection.id)? {
        Some(stored) if stored != *model => Err(IndexError::ModelMismatch {
            collection: collection.name.clone(),
            stored: stored.to_string(),
            given: model.to_string(),
        }),
        Some(_) => Ok(()),
        None => {
            let sql = "UPDATE collection SET model = ?, dimensions = ? WHERE id = ?";
            transaction.execute(sql, (&model.id, model.dimensions, collection.id))?;
            Ok(())
        }
    }
}

/// Postings are written once this many rows are pending, which bounds the memory for a large
/// document.
const MAX_PENDING_ROWS: usize = 50_000;

pub(super) fn put_documents(
    transaction: &Transaction<'_>,
    analyzer: &Analyzer,
    collection: i64,
    model: Option<&EmbeddingModel>,
    documents: &[PreparedDocument],
) -> Result<()> {
    for PreparedDocument { document, replaces, .. } in documents {
        let stored = find_document(transaction, collection, &document.id)?.map(|(row, _)| row);
        if replaces.is_some() && *replaces != stored {
            return Ok(());
        }
    }
    let mut edits = PostingEdits::default();
    for prepared in documents {
        delete_document(transaction, analyzer, collection, &prepared.document.id, &mut edits)?;
        let audience = collections::ensure_audience(transaction, &prepared.document.audience)?;
        let document = insert_document(transaction, collection, audience, prepared)?;
        for (position, chunk) in prepared.chunks.iter().enumerate() {
            let sql = "INSERT INTO chunk (document, place, heading, text, tokens, hash, page) VALUES (?, ?, ?, ?, ?, ?, ?)";
            let values = params![
                document,
                position,
                chunk.heading,
                chunk.text,
                chunk.tokens,
                chunk.hash,
                chunk.page
            ];
            transaction.prepare_cached(sql)?.execute(values)?;
            let id = transaction.last_insert_rowid();
            if let Some((vector, model)) = chunk.vector.as_ref().zip(model) {
                insert_vector(transaction, id, &model.id, vector)?;
            }
            edits.add(audience, id, chunk.terms.iter());
            if edits.rows.len() > MAX_PENDING_ROWS {
                apply_edits(transaction, collection, &std::mem::take(&mut edits))?;
            }
        }
        vector_cache::record_change(transaction, collection, document)?;
    }
    apply_edits(transaction, collection, &edits)
}

fn insert_document(
    transaction: &Transaction<'_>,
    collection: i64,
    audience: i64,
    prepared: &PreparedDocument,
) -> Result<i64> {
    let document = &prepared.document;
    let sql = "INSERT INTO document (collection, name, title, url, metadata, audience, fingerprint, chunks, stored_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    transaction.prepare_cached(sql)?.execute(params![
        collection,
        document.id,
        document.title,
        document.url,
        collections::to_json(&document.metadata)?,
        audience,
        prepared.fingerprint,
        prepared.chunks.len(),
        unix_now(),
    ])?;
    Ok(transaction.last_insert_rowid())
}

pub(super) fn record_failure(
    transaction: &Transaction<'_>,
    analyzer: &Analyzer,
    collection: i64,
    document: &Document,
    reason: &str,
) -> Result<()> {
    let sql = "INSERT INTO document (collection, name, title, url, metadata, audience, fingerprint, chunks, stored_at, failure)
               VALUES (?, ?, ?, ?, ?, ?, zeroblob(16), 0, ?, ?) ON CONFLICT DO UPDATE SET failure = excluded.failure,
               metadata = CASE excluded.metadata WHEN '{}' THEN metadata ELSE excluded.metadata END";
    let audience = collections::ensure_audience(transaction, &document.audience)?;
    let Document { id, title, url, metadata, .. } = document;
    set_audience(transaction, analyzer, collection, id, audience)?;
    transaction.execute(
        sql,
        params![
            collection,
            id,
            title,
            url,
            collections::to_json(metadata)?,
            audience,
            unix_now(),
            reason
        ],
    )?;
    Ok(())
}

pub(super) fn remove_documents(
    transaction: &Transaction<'_>,
    analyzer: &Analyzer,
    collection: i64,
    ids: &[String],
) -> Result<usize> {
    let mut edits = PostingEdits::default();
    let mut removed = 0;
    for id in ids {
        removed += usize::from(delete_document(transaction, analyzer, collection, id, &mut edits)?);
    }
    apply_edits(transaction, collection, &edits)?;
    Ok(removed)
}

/// Changes the audience of a document, if it exists.
fn set_audience(
    transaction: &Transaction<'_>,
    analyzer: &Analyzer,
    collection: i64,
    id: &str,
    audience: i64,
) -> Result<()> {
    let Some((document, old_audience)) = find_document(transaction, collection, id)? else {
        return Ok(());
    };
    if old_audience == audience {
        return Ok(());
    }
    let mut edits = PostingEdits::default();
    for_each_chunk(transaction, analyzer, document, |chunk, terms| {
        edits.remove(old_audience, chunk, terms.iter());
        edits.add(audience, chunk, terms.iter());
    })?;
    apply_edits(transaction, collection, &edits)?;
    transaction.execute("UPDATE document SET audience = ? WHERE id = ?", (audience, document))?;
    vector_cache::record_change(transaction, collection, document)
}

/// Deletes a document with its chunks and vectors, and adds the removal of its postings to `edits`;
/// returns whether it existed.
fn delete_document(
    transaction: &Transaction<'_>,
    analyzer: &Analyzer,
    collection: i64,
    id: &str,
    edits: &mut PostingEdits,
) -> Result<bool> {
    let Some((document, audience)) = find_document(transaction, collection, id)? else {
        return Ok(false);
    };
    for_each_chunk(transaction, analyzer, document, |chunk, terms| {
        edits.remove(audience, chunk, terms.iter());
    })?;
    transaction.prepare_cached("DELETE FROM document WHERE id = ?")?.execute([document])?;
    vector_cache::record_change(transaction, collection, document)?;
    Ok(true)
}

/// Returns the ids of a document and of its audience.
fn find_document(
    transaction: &Transaction<'_>,
    collection: i64,
    id: &str,
) -> Result<Option<(i64, i64)>> {
    let sql = "SELECT id, audience FROM document WHERE collection = ? AND name = ?";
    let mut find = transaction.prepare_cached(sql)?;
    Ok(find.query_row((collection, id), |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Calls `visit` for each chunk of a document, with its terms.
fn for_each_chunk(
    transaction: &Transaction<'_>,
    analyzer: &Analyzer,
    document: i64,
    mut visit: impl FnMut(i64, &TermList),
) -> Result<()> {
    let mut statement =
        transaction.prepare_cached("SELECT id, heading, text FROM chunk WHERE document = ?")?;
    let mut rows = statement.query([document])?;
    while let Some(row) = rows.next()? {
        let (heading, text): (String, String) = (row.get(1)?, row.get(2)?);
        visit(row.get(0)?, &TermList::new(&analyzer.terms(&searchable_text(&heading, &text))));
    }
    Ok(())
}

fn apply_edits(transaction: &Transaction<'_>, collection: i64, edits: &PostingEdits) -> Result<()> {
    let mut read = transaction.prepare_cached("SELECT entries FROM posting WHERE collection = ? AND term = ? AND audience = ? AND block = ?")?;
    let mut write = transaction.prepare_cached("INSERT OR REPLACE INTO posting (collection, term, audience, block, entries) VALUES (?, ?, ?, ?, ?)")?;
    let mut delete = transaction.prepare_cached(
        "DELETE FROM posting WHERE collection = ? AND term = ? AND audience = ? AND block = ?",
    )?;
    for (key, edit) in &edits.rows {
        let row_key = (collection, &key.term, key.audience, key.block);
        let stored: Option<Vec<u8>> = read.query_row(row_key, |row| row.get(0)).optional()?;
        let entries = edit.apply(&stored.unwrap_or_default());
        if entries.is_empty() {
            delete.execute(row_key)?;
        } else {
            write.execute((collection, &key.term, key.audience, key.block, entries))?;
        }
    }
    let mut add_stats = transaction.prepare_cached(
        "INSERT INTO extent (collection, audience, chunks, terms) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET chunks = chunks + excluded.chunks, terms = terms + excluded.terms",
    )?;
    for (audience, stats) in &edits.stats {
        add_stats.execute((collection, audience, stats.chunk_count, stats.terms))?;
    }
    Ok(())
}

/// Adds vectors to chunks that still exist.
pub(super) fn add_vectors(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &str,
    vectors: &[(i64, Vector)],
) -> Result<()> {
    let mut find = transaction.prepare_cached("SELECT document FROM chunk WHERE id = ?")?;
    let mut last_document = None;
    for (chunk, vector) in vectors {
        let document: Option<i64> = find.query_row([chunk], |row| row.get(0)).optional()?;
        let Some(document) = document else { continue };
        insert_vector(transaction, *chunk, model, vector)?;
        if last_document.replace(document) != Some(document) {
            vector_cache::record_change(transaction, collection, document)?;
        }
    }
    Ok(())
}

fn insert_vector(
    transaction: &Transaction<'_>,
    chunk: i64,
    model: &str,
    vector: &Vector,
) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO vector (chunk, model, numbers) VALUES (?, ?, ?)";
    transaction.prepare_cached(sql)?.execute((chunk, model, vector.to_bytes()))?;
    Ok(())
}

/// Sets the collection's embedding model, as the last step of embedding the collection again.
/// Searches use the new vectors from then on.
pub(super) fn adopt_model(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &EmbeddingModel,
) -> Result<bool> {
    if !super::read::find_unembedded(transaction, collection, &model.id, 0, 1)?.is_empty() {
        return Ok(false);
    }
    let sql = "UPDATE collection SET model = ?, dimensions = ? WHERE id = ?";
    transaction.execute(sql, (&model.id, model.dimensions, collection))?;
    let sql = "DELETE FROM vector WHERE model <> ? AND chunk IN
                  (SELECT c.id FROM chunk c JOIN document d ON d.id = c.document WHERE d.collection = ?)";
    transaction.execute(sql, (&model.id, collection))?;
    Ok(true)
}
