//! What is read of the file: the search, and what is listed.

use super::catalogue::{self, principals};
use super::mirror::{self, Mirrors};
use crate::audience::Viewer;
use crate::chunk::searched;
use crate::document::{Listed, State};
use crate::engine::{Found, Hash, Known, Piece, Unembedded, Wanted, candidates, ranked};
use crate::error::{Error, Result};
use crate::fusion::Scores;
use crate::posting::{Extent, Lists, Ranking, best};
use crate::vector::Vector;
use rusqlite::{OptionalExtension, Row, Transaction};
use serde::de::DeserializeOwned;
use std::collections::{BTreeSet, HashMap};

/// So many times more are taken from the scan than wanted, for it is not exact.
const SPARE: usize = 3;

/// `None` if the question must be asked again, with a newer transaction.
pub(super) fn search(
    transaction: &Transaction<'_>,
    mirrors: &Mirrors,
    wanted: &Wanted,
) -> Result<Option<Vec<Found>>> {
    let audiences = catalogue::audiences(transaction, &wanted.viewer)?;
    let words = by_words(transaction, wanted, &audiences)?;
    let Some((near, model)) = by_meaning(transaction, mirrors, wanted, &audiences)? else {
        return Ok(None);
    };
    let best_words = words.best(wanted.depth);
    let mut cosines = HashMap::new();
    if let Some((query, model)) = wanted.vector.as_ref().map(|(_, vector)| vector).zip(model) {
        for chunk in near.iter().copied().chain(best_words.iter().map(|(chunk, _)| *chunk)) {
            if let Some(vector) = vector(transaction, chunk, model)? {
                cosines.insert(chunk, query.cosine(&vector));
            }
        }
    }
    let best_meaning = best(
        near.into_iter().filter_map(|chunk| Some((chunk, *cosines.get(&chunk)?))),
        wanted.depth,
    );
    let mut documents = HashMap::new();
    let mut of_chunk = transaction.prepare_cached("SELECT document FROM chunk WHERE id = ?")?;
    for chunk in candidates(&best_words, &best_meaning) {
        documents.insert(chunk, of_chunk.query_row([chunk], |row| row.get(0))?);
    }
    let document = |chunk| documents.get(&chunk).copied().unwrap_or(chunk);
    let fill = |chunk| (words.score(chunk), cosines.get(&chunk).copied());
    let ranked = ranked(&best_words, &best_meaning, document, fill, wanted.fusion, wanted.limit);
    ranked
        .into_iter()
        .map(|(chunk, scores)| found(transaction, chunk, scores))
        .collect::<Result<_>>()
        .map(Some)
}

/// The rows of the audiences that the asker belongs to; there is no way to read another.
fn by_words(transaction: &Transaction<'_>, wanted: &Wanted, audiences: &[i64]) -> Result<Ranking> {
    let mut lists = Lists::of(wanted.within.iter().map(|(_, terms)| terms.as_slice()));
    let mut size = transaction
        .prepare_cached("SELECT chunks, terms FROM extent WHERE collection = ? AND audience = ?")?;
    let mut list = transaction.prepare_cached(
        "SELECT block, entries FROM posting WHERE collection = ? AND term = ? AND audience = ?",
    )?;
    for (collection, question) in &wanted.within {
        let terms: BTreeSet<&String> = question.iter().collect();
        for audience in audiences {
            let part = size
                .query_row((collection, audience), |row| {
                    Ok(Extent { chunks: row.get(0)?, terms: row.get(1)? })
                })
                .optional()?;
            let Some(part) = part else { continue };
            lists.extend(part);
            for term in &terms {
                let mut rows = list.query((collection, term, audience))?;
                while let Some(row) = rows.next()? {
                    lists.push(term, row.get(0)?, row.get(1)?);
                }
            }
        }
    }
    Ok(lists.ranking())
}

/// Chunks that are about the nearest, and the model by whose vectors.
fn by_meaning<'a>(
    transaction: &Transaction<'_>,
    mirrors: &Mirrors,
    wanted: &'a Wanted,
    audiences: &[i64],
) -> Result<Option<(Vec<i64>, Option<&'a str>)>> {
    let (mut near, mut by) = (Vec::new(), None);
    for (collection, _) in &wanted.within {
        let Some(query) = mirror::query(transaction, *collection, wanted.vector.as_ref())? else {
            continue;
        };
        let depth = wanted.depth * SPARE;
        let Some(nearest) = mirrors.nearest(transaction, *collection, audiences, query, depth)?
        else {
            return Ok(None);
        };
        near.extend(nearest.into_iter().map(|(chunk, _)| chunk));
        by = Some(query.0);
    }
    Ok(Some((near, by)))
}

fn vector(transaction: &Transaction<'_>, chunk: i64, model: &str) -> Result<Option<Vector>> {
    let mut statement =
        transaction.prepare_cached("SELECT numbers FROM vector WHERE chunk = ? AND model = ?")?;
    Ok(statement.query_row((chunk, model), of_bytes).optional()?)
}

fn of_bytes(row: &Row<'_>) -> rusqlite::Result<Vector> {
    Ok(Vector::from_bytes(row.get_ref(0)?.as_blob()?))
}

fn found(transaction: &Transaction<'_>, chunk: i64, scores: Scores) -> Result<Found> {
    let sql = "SELECT c.place, c.heading, c.text, c.tokens, d.collection, d.id, d.name, d.title, d.url, d.metadata
               FROM chunk c JOIN document d ON d.id = c.document WHERE c.id = ?";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query([chunk])?;
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Found {
        chunk,
        piece: piece(row)?,
        collection: row.get(4)?,
        document: row.get(5)?,
        id: row.get(6)?,
        title: row.get(7)?,
        url: row.get(8)?,
        metadata: json(row, 9)?,
        scores,
    })
}

fn piece(row: &Row<'_>) -> rusqlite::Result<Piece> {
    Ok(Piece { place: row.get(0)?, heading: row.get(1)?, text: row.get(2)?, tokens: row.get(3)? })
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
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
