//! Reads chunks, vectors and listings from SQLite.

use super::collections::principals_json;
use crate::audience::Viewer;
use crate::chunk::searchable_text;
use crate::document::{DocumentState, IndexedDocument};
use crate::error::{IndexError, Result};
use crate::storage_engine::{ContentHash, StoredChunk, StoredDocument, UnembeddedChunk};
use crate::vector::Vector;
use rusqlite::{OptionalExtension, Row, Transaction};
use serde::de::DeserializeOwned;
use std::collections::HashMap;

pub(super) fn vector_from_row(row: &Row<'_>) -> rusqlite::Result<Vector> {
    Ok(Vector::from_bytes(row.get_ref(0)?.as_blob()?))
}

pub(super) fn chunk_from_row(row: &Row<'_>) -> rusqlite::Result<StoredChunk> {
    Ok(StoredChunk {
        position: row.get(0)?,
        heading: row.get(1)?,
        text: row.get(2)?,
        tokens: row.get(3)?,
        page: row.get(4)?,
    })
}

pub(super) fn parse_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
        .map_err(IndexError::storage)
}

pub(super) fn load_chunks(
    transaction: &Transaction<'_>,
    document: i64,
    first: i64,
    last: i64,
) -> Result<Vec<StoredChunk>> {
    let sql = "SELECT place, heading, text, tokens, page FROM chunk WHERE document = ? AND place BETWEEN ? AND ? ORDER BY place";
    let mut statement = transaction.prepare_cached(sql)?;
    let chunks = statement.query_map((document, first, last), chunk_from_row)?;
    Ok(chunks.collect::<rusqlite::Result<_>>()?)
}

/// SQL that is true if a document lacks vectors of its collection's model.
const LACKS_VECTORS: &str = "(c.model IS NOT NULL AND EXISTS (
    SELECT 1 FROM chunk k WHERE k.document = d.id AND NOT EXISTS (SELECT 1 FROM vector v WHERE v.chunk = k.id AND v.model = c.model)))";

pub(super) fn find_documents(
    transaction: &Transaction<'_>,
    collection: i64,
    ids: &[String],
) -> Result<HashMap<String, StoredDocument>> {
    let sql = format!(
        "SELECT d.fingerprint, d.failure IS NOT NULL, {LACKS_VECTORS}, d.id FROM document d JOIN collection c ON c.id = d.collection WHERE c.id = ? AND d.name = ?"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut documents = HashMap::new();
    for id in ids {
        let row = statement
            .query_row((collection, id), |row| {
                Ok(StoredDocument {
                    fingerprint: row.get(0)?,
                    failed: row.get(1)?,
                    lacks_vectors: row.get(2)?,
                    row: row.get(3)?,
                })
            })
            .optional()?;
        documents.extend(row.map(|row| (id.clone(), row)));
    }
    Ok(documents)
}

pub(super) fn find_vectors(
    transaction: &Transaction<'_>,
    model: &str,
    hashes: &[ContentHash],
) -> Result<HashMap<ContentHash, Vector>> {
    let sql = "SELECT v.numbers FROM chunk c JOIN vector v ON v.chunk = c.id AND v.model = ? WHERE c.hash = ? LIMIT 1";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut vectors = HashMap::new();
    for hash in hashes {
        vectors.extend(
            statement
                .query_row((model, hash), vector_from_row)
                .optional()?
                .map(|vector| (*hash, vector)),
        );
    }
    Ok(vectors)
}

pub(super) fn list_documents(
    transaction: &Transaction<'_>,
    collection: i64,
    viewer: &Viewer,
    after: &str,
    limit: usize,
) -> Result<Vec<IndexedDocument>> {
    let sql = format!(
        "{DOCUMENT_COLUMNS}, {LACKS_VECTORS} {DOCUMENT_TABLES}
         WHERE c.id = ?2 AND d.name > ?3
           AND (?1 IS NULL OR d.audience IN (SELECT audience FROM member WHERE principal IN (SELECT value FROM json_each(?1))))
         ORDER BY d.name LIMIT ?4"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query((principals_json(viewer)?, collection, after, limit))?;
    let mut documents = Vec::new();
    while let Some(row) = rows.next()? {
        documents.push(document_from_row(row)?);
    }
    Ok(documents)
}

const DOCUMENT_COLUMNS: &str =
    "SELECT d.name, d.title, d.url, a.rule, d.metadata, d.chunks, d.stored_at, d.failure";
const DOCUMENT_TABLES: &str =
    "FROM document d JOIN collection c ON c.id = d.collection JOIN audience a ON a.id = d.audience";

pub(super) fn load_document(
    transaction: &Transaction<'_>,
    collection: i64,
    id: &str,
) -> Result<Option<IndexedDocument>> {
    let sql = format!(
        "{DOCUMENT_COLUMNS}, {LACKS_VECTORS} {DOCUMENT_TABLES} WHERE c.id = ? AND d.name = ?"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query((collection, id))?;
    rows.next()?.map(document_from_row).transpose()
}

fn document_from_row(row: &Row<'_>) -> Result<IndexedDocument> {
    Ok(IndexedDocument {
        id: row.get(0)?,
        title: row.get(1)?,
        url: row.get(2)?,
        audience: parse_json(row, 3)?,
        metadata: parse_json(row, 4)?,
        chunk_count: row.get(5)?,
        stored_at: row.get(6)?,
        state: DocumentState::new(row.get(7)?, row.get(8)?),
    })
}

pub(super) fn find_unembedded(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &str,
    after: i64,
    limit: usize,
) -> Result<Vec<UnembeddedChunk>> {
    let lacks = "NOT EXISTS (SELECT 1 FROM vector v WHERE v.chunk = c.id AND v.model = ?2)";
    let sql = format!(
        "SELECT c.document, c.id, c.heading, c.text, c.hash FROM chunk c WHERE {lacks} AND c.document IN
             (SELECT d.id FROM document d WHERE d.collection = ?1 AND d.id > ?3
              AND EXISTS (SELECT 1 FROM chunk c WHERE c.document = d.id AND {lacks}) ORDER BY d.id LIMIT ?4)
         ORDER BY c.document, c.place"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let chunk_from_row = |row: &Row<'_>| {
        let (heading, text): (String, String) = (row.get(2)?, row.get(3)?);
        Ok(UnembeddedChunk {
            document: row.get(0)?,
            chunk: row.get(1)?,
            hash: row.get(4)?,
            text: searchable_text(&heading, &text),
        })
    };
    let chunks = statement.query_map((collection, model, after, limit), chunk_from_row)?;
    Ok(chunks.collect::<rusqlite::Result<_>>()?)
}
