//! Keyword and vector search in SQLite.

use super::collections;
use super::read::{chunk_from_row, parse_json, vector_from_row};
use super::vector_cache::{self, VectorCaches};
use crate::audience::Viewer;
use crate::error::Result;
use crate::fusion::Scores;
use crate::posting::{Bm25Scores, CorpusStats, PostingLists, top_k};
use crate::storage_engine::{ChunkHit, SearchRequest, merge_candidates, rank_candidates};
use crate::vector::Vector;
use rusqlite::{OptionalExtension, Transaction};
use std::collections::{BTreeSet, HashMap};

/// The scan is approximate, so it returns this many times the candidates.
const OVERSAMPLING: usize = 3;

/// Searches; returns `None` if the search must be repeated with a newer transaction.
pub(super) fn search(
    transaction: &Transaction<'_>,
    caches: &VectorCaches,
    request: &SearchRequest,
) -> Result<Option<Vec<ChunkHit>>> {
    let audiences = collections::find_audiences(transaction, &request.viewer)?;
    let bm25 = score_keywords(transaction, request, &audiences)?;
    let Some((near, model)) = find_nearest(transaction, caches, request, &audiences)? else {
        return Ok(None);
    };
    let by_keyword = bm25.top_chunks(request.depth);
    let mut cosines = HashMap::new();
    if let Some((query, model)) = request.vector.as_ref().map(|(_, vector)| vector).zip(model) {
        for chunk in near.iter().copied().chain(by_keyword.iter().map(|(chunk, _)| *chunk)) {
            if let Some(vector) = load_vector(transaction, chunk, model)? {
                cosines.insert(chunk, query.cosine(&vector));
            }
        }
    }
    let by_vector = top_k(
        near.into_iter().filter_map(|chunk| Some((chunk, *cosines.get(&chunk)?))),
        request.depth,
    );
    let mut documents = HashMap::new();
    let mut document_query =
        transaction.prepare_cached("SELECT document FROM chunk WHERE id = ?")?;
    for chunk in merge_candidates(&by_keyword, &by_vector) {
        documents.insert(chunk, document_query.query_row([chunk], |row| row.get(0))?);
    }
    let document_of = |chunk| documents.get(&chunk).copied().unwrap_or(chunk);
    let scores_of = |chunk| (bm25.score(chunk), cosines.get(&chunk).copied());
    let ranked = rank_candidates(&by_keyword, &by_vector, document_of, scores_of, request);
    ranked
        .into_iter()
        .map(|(chunk, scores)| load_hits(transaction, chunk, scores))
        .collect::<Result<_>>()
        .map(Some)
}

/// Returns those of these terms that occur in chunks which the viewer may see.
pub(super) fn find_terms(
    transaction: &Transaction<'_>,
    collection: i64,
    viewer: &Viewer,
    terms: Vec<String>,
) -> Result<Vec<String>> {
    let audiences = collections::find_audiences(transaction, viewer)?;
    let mut statement = transaction.prepare_cached(
        "SELECT 1 FROM posting WHERE collection = ? AND term = ? AND audience = ? LIMIT 1",
    )?;
    let mut found = Vec::new();
    for term in terms {
        for audience in &audiences {
            if statement.exists((collection, &term, audience))? {
                found.push(term);
                break;
            }
        }
    }
    Ok(found)
}

/// Scores chunks by BM25. Reads only the posting rows of the viewer's audiences.
fn score_keywords(
    transaction: &Transaction<'_>,
    request: &SearchRequest,
    audiences: &[i64],
) -> Result<Bm25Scores> {
    let mut lists =
        PostingLists::new(request.collections.iter().map(|(_, terms)| terms.as_slice()));
    let mut stats_query = transaction
        .prepare_cached("SELECT chunks, terms FROM extent WHERE collection = ? AND audience = ?")?;
    let mut postings_query = transaction.prepare_cached(
        "SELECT block, entries FROM posting WHERE collection = ? AND term = ? AND audience = ?",
    )?;
    for (collection, terms) in &request.collections {
        let terms: BTreeSet<&String> = terms.iter().flatten().collect();
        for audience in audiences {
            let stats = stats_query
                .query_row((collection, audience), |row| {
                    Ok(CorpusStats { chunk_count: row.get(0)?, terms: row.get(1)? })
                })
                .optional()?;
            let Some(stats) = stats else { continue };
            lists.add_visible(stats);
            for term in &terms {
                request.check_time()?;
                let mut rows = postings_query.query((collection, term, audience))?;
                while let Some(row) = rows.next()? {
                    lists.push_block(term, row.get(0)?, row.get(1)?);
                }
            }
        }
    }
    Ok(lists.score())
}

/// Returns the approximately nearest chunks, and the model of their vectors.
fn find_nearest<'a>(
    transaction: &Transaction<'_>,
    caches: &VectorCaches,
    request: &'a SearchRequest,
    audiences: &[i64],
) -> Result<Option<(Vec<i64>, Option<&'a str>)>> {
    let (mut near, mut model) = (Vec::new(), None);
    for (collection, _) in &request.collections {
        request.check_time()?;
        let Some(query) =
            vector_cache::query_vector(transaction, *collection, request.vector.as_ref())?
        else {
            continue;
        };
        let depth = request.depth * OVERSAMPLING;
        let Some(nearest) = caches.nearest(transaction, *collection, audiences, query, depth)?
        else {
            return Ok(None);
        };
        near.extend(nearest.into_iter().map(|(chunk, _)| chunk));
        model = Some(query.0);
    }
    Ok(Some((near, model)))
}

fn load_vector(transaction: &Transaction<'_>, chunk: i64, model: &str) -> Result<Option<Vector>> {
    let mut statement =
        transaction.prepare_cached("SELECT numbers FROM vector WHERE chunk = ? AND model = ?")?;
    Ok(statement.query_row((chunk, model), vector_from_row).optional()?)
}

fn load_hits(transaction: &Transaction<'_>, chunk: i64, scores: Scores) -> Result<ChunkHit> {
    let sql = "SELECT c.place, c.heading, c.text, c.tokens, c.page, d.collection, d.id, d.name, d.title, d.url, d.metadata
               FROM chunk c JOIN document d ON d.id = c.document WHERE c.id = ?";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query([chunk])?;
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(ChunkHit {
        chunk_id: chunk,
        chunk: chunk_from_row(row)?,
        collection: row.get(5)?,
        document: row.get(6)?,
        id: row.get(7)?,
        title: row.get(8)?,
        url: row.get(9)?,
        metadata: parse_json(row, 10)?,
        scores,
    })
}
