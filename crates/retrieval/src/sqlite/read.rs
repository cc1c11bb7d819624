//! What is read of the file beside the search: chunks, vectors, and what is listed.

use super::catalogue::principals;
use crate::audience::Viewer;
use crate::chunk::searched;
use crate::document::{Listed, State};
use crate::engine::{Hash, Known, Piece, Unembedded};
use crate::error::{Error, Result};
use crate::vector::Vector;
use rusqlite::{OptionalExtension, Row, Transaction};
use serde::de::DeserializeOwned;
use std::collections::HashMap;

pub(super) fn of_bytes(row: &Row<'_>) -> rusqlite::Result<Vector> {
    Ok(Vector::from_bytes(row.get_ref(0)?.as_blob()?))
}

pub(super) fn piece(row: &Row<'_>) -> rusqlite::Result<Piece> {
    Ok(Piece { place: row.get(0)?, heading: row.get(1)?, text: row.get(2)?, tokens: row.get(3)? })
}

pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
        .map_err(Error::store)
}

pub(super) fn chunks(
    transaction: &Transaction<'_>,
    document: i64,
    first: i64,
    last: i64,
) -> Result<Vec<Piece>> {
    let sql = "SELECT place, heading, text, tokens FROM chunk WHERE document = ? AND place BETWEEN ? AND ? ORDER BY place";
    let mut statement = transaction.prepare_cached(sql)?;
    let pieces = statement.query_map((document, first, last), piece)?;
    Ok(pieces.collect::<rusqlite::Result<_>>()?)
}

/// Whether a document lacks vectors of its collection's model.
const WAITS: &str = "(c.model IS NOT NULL AND EXISTS (
    SELECT 1 FROM chunk k WHERE k.document = d.id AND NOT EXISTS (SELECT 1 FROM vector v WHERE v.chunk = k.id AND v.model = c.model)))";

pub(super) fn known(
    transaction: &Transaction<'_>,
    collection: i64,
    ids: &[String],
) -> Result<HashMap<String, Known>> {
    let sql = format!(
        "SELECT d.fingerprint, d.failure IS NOT NULL, {WAITS} FROM document d JOIN collection c ON c.id = d.collection WHERE c.id = ? AND d.name = ?"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut known = HashMap::new();
    for id in ids {
        let row = statement
            .query_row((collection, id), |row| {
                Ok(Known { fingerprint: row.get(0)?, failed: row.get(1)?, waits: row.get(2)? })
            })
            .optional()?;
        known.extend(row.map(|row| (id.clone(), row)));
    }
    Ok(known)
}

pub(super) fn vectors(
    transaction: &Transaction<'_>,
    model: &str,
    hashes: &[Hash],
) -> Result<HashMap<Hash, Vector>> {
    let sql = "SELECT v.numbers FROM chunk c JOIN vector v ON v.chunk = c.id AND v.model = ? WHERE c.hash = ? LIMIT 1";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut vectors = HashMap::new();
    for hash in hashes {
        vectors.extend(
            statement.query_row((model, hash), of_bytes).optional()?.map(|vector| (*hash, vector)),
        );
    }
    Ok(vectors)
}

pub(super) fn documents(
    transaction: &Transaction<'_>,
    collection: i64,
    viewer: &Viewer,
    after: &str,
    limit: usize,
) -> Result<Vec<Listed>> {
    let sql = format!(
        "SELECT d.name, d.title, d.url, a.rule, d.metadata, d.chunks, d.stored_at, d.failure, {WAITS}
         FROM document d JOIN collection c ON c.id = d.collection JOIN audience a ON a.id = d.audience
         WHERE c.id = ?2 AND d.name > ?3
           AND (?1 IS NULL OR d.audience IN (SELECT audience FROM member WHERE principal IN (SELECT value FROM json_each(?1))))
         ORDER BY d.name LIMIT ?4"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query((principals(viewer)?, collection, after, limit))?;
    let mut documents = Vec::new();
    while let Some(row) = rows.next()? {
        documents.push(Listed {
            id: row.get(0)?,
            title: row.get(1)?,
            url: row.get(2)?,
            audience: json(row, 3)?,
            metadata: json(row, 4)?,
            chunks: row.get(5)?,
            stored_at: row.get(6)?,
            state: State::of(row.get(7)?, row.get(8)?),
        });
    }
    Ok(documents)
}

pub(super) fn unembedded(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &str,
    after: i64,
    limit: usize,
) -> Result<Vec<Unembedded>> {
    let lacks = "NOT EXISTS (SELECT 1 FROM vector v WHERE v.chunk = c.id AND v.model = ?2)";
    let sql = format!(
        "SELECT c.document, c.id, c.heading, c.text, c.hash FROM chunk c WHERE {lacks} AND c.document IN
             (SELECT d.id FROM document d WHERE d.collection = ?1 AND d.id > ?3
              AND EXISTS (SELECT 1 FROM chunk c WHERE c.document = d.id AND {lacks}) ORDER BY d.id LIMIT ?4)
         ORDER BY c.document, c.place"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let chunk = |row: &Row<'_>| {
        let (heading, text): (String, String) = (row.get(2)?, row.get(3)?);
        Ok(Unembedded {
            document: row.get(0)?,
            chunk: row.get(1)?,
            hash: row.get(4)?,
            text: searched(&heading, &text),
        })
    };
    let chunks = statement.query_map((collection, model, after, limit), chunk)?;
    Ok(chunks.collect::<rusqlite::Result<_>>()?)
}
