//! The search of the file, by words and by meaning.

use super::catalogue;
use super::mirror::{self, Mirrors};
use super::read::{json, of_bytes, piece};
use crate::engine::{Found, Wanted, candidates, ranked};
use crate::error::Result;
use crate::fusion::Scores;
use crate::posting::{Extent, Lists, Ranking, best};
use crate::vector::Vector;
use rusqlite::{OptionalExtension, Transaction};
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
                wanted.check_time()?;
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
        wanted.check_time()?;
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
