//! Keyword and vector search in PostgreSQL.

use super::collections::{self, find_vector_table, to_bigint, vector_table_name};
use super::read::{chunk_from_row, vector_from_row};
use super::{Parameter, Transaction};
use crate::audience::Viewer;
use crate::error::{IndexError, Result};
use crate::fusion::Scores;
use crate::posting::{Bm25Scores, CorpusStats, PostingLists, top_k};
use crate::storage_engine::{
    ChunkHit, SEARCH_TIMEOUT, SearchRequest, merge_candidates, rank_candidates,
};
use crate::vector::Vector;
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Searches by words, by vector, or by both.
pub(super) async fn search(
    transaction: &Transaction<'_>,
    request: &SearchRequest,
) -> Result<Vec<ChunkHit>> {
    // The database cancels a search whose caller no longer waits.
    let timeout_ms = SEARCH_TIMEOUT.as_millis();
    transaction.batch_execute(&format!("SET LOCAL statement_timeout = {timeout_ms}")).await?;
    let audiences = collections::find_audiences(transaction, &request.viewer).await?;
    let bm25 = score_keywords(transaction, request, &audiences).await?;
    let by_keyword = bm25.top_chunks(request.depth);
    let cosines = find_nearest(transaction, request, &audiences, &by_keyword).await?;
    let by_vector = top_k(
        cosines.iter().filter(|(_, (_, near))| *near).map(|(chunk, (cosine, _))| (*chunk, *cosine)),
        request.depth,
    );
    let chunks = merge_candidates(&by_keyword, &by_vector);
    let sql = "SELECT id, document FROM chunk WHERE id = ANY ($1)";
    let mut documents: HashMap<i64, i64> = HashMap::new();
    for row in transaction.query_typed(sql, &[(&chunks, Type::INT8_ARRAY)]).await? {
        documents.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let document_of = |chunk| documents.get(&chunk).copied().unwrap_or(chunk);
    let scores_of = |chunk| (bm25.score(chunk), cosines.get(&chunk).map(|(cosine, _)| *cosine));
    let ranked = rank_candidates(&by_keyword, &by_vector, document_of, scores_of, request);
    load_hits(transaction, &ranked).await
}

/// Returns those of these terms that occur in chunks which the viewer may see.
pub(super) async fn find_terms(
    transaction: &Transaction<'_>,
    collection: i64,
    viewer: &Viewer,
    terms: &[String],
) -> Result<Vec<String>> {
    let audiences = collections::find_audiences(transaction, viewer).await?;
    let sql = "SELECT given.term FROM unnest($2) WITH ORDINALITY AS given (term, place)
               WHERE EXISTS (SELECT 1 FROM posting p WHERE p.collection = $1 AND p.term = given.term AND p.audience = ANY ($3))
               ORDER BY given.place";
    let parameters: [Parameter<'_>; 3] =
        [(&collection, Type::INT8), (&terms, Type::TEXT_ARRAY), (&audiences, Type::INT8_ARRAY)];
    let rows = transaction.query_typed(sql, &parameters).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?)
}

/// Scores chunks by BM25. Reads only the posting rows of the viewer's audiences.
async fn score_keywords(
    transaction: &Transaction<'_>,
    request: &SearchRequest,
    audiences: &[i64],
) -> Result<Bm25Scores> {
    let mut lists =
        PostingLists::new(request.collections.iter().map(|(_, terms)| terms.as_slice()));
    for (collection, terms) in &request.collections {
        lists.add_visible(corpus_stats(transaction, *collection, Some(audiences)).await?);
        let terms: Vec<&String> =
            terms.iter().flatten().collect::<BTreeSet<_>>().into_iter().collect();
        let sql = "SELECT term, block, entries FROM posting WHERE collection = $1 AND term = ANY ($2) AND audience = ANY ($3)";
        let parameters: [Parameter<'_>; 3] =
            [(collection, Type::INT8), (&terms, Type::TEXT_ARRAY), (&audiences, Type::INT8_ARRAY)];
        for row in transaction.query_typed(sql, &parameters).await? {
            lists.push_block(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        }
    }
    request.check_time()?;
    // Scoring takes processor time, so it runs on the blocking pool.
    tokio::task::spawn_blocking(move || lists.score()).await.map_err(IndexError::storage)
}

/// Returns the statistics of these audiences in a collection, or of all if `audiences` is `None`.
async fn corpus_stats(
    transaction: &Transaction<'_>,
    collection: i64,
    audiences: Option<&[i64]>,
) -> Result<CorpusStats> {
    let sql = "SELECT coalesce(sum(chunks), 0)::bigint, coalesce(sum(terms), 0)::bigint FROM extent
               WHERE collection = $1 AND ($2::bigint[] IS NULL OR audience = ANY ($2))";
    let rows = transaction
        .query_typed(sql, &[(&collection, Type::INT8), (&audiences, Type::INT8_ARRAY)])
        .await?;
    let stats_from_row = |row: &Row| -> Result<CorpusStats> {
        Ok(CorpusStats { chunk_count: row.try_get(0)?, terms: row.try_get(1)? })
    };
    rows.first().map_or(Ok(CorpusStats::default()), stats_from_row)
}

/// Returns the cosines of the nearest chunks and of the keyword candidates; the flag is `true` for
/// a nearest chunk.
async fn find_nearest(
    transaction: &Transaction<'_>,
    request: &SearchRequest,
    audiences: &[i64],
    by_keyword: &[(i64, f32)],
) -> Result<HashMap<i64, (f32, bool)>> {
    let mut cosines: HashMap<i64, (f32, bool)> = HashMap::new();
    let Some((model, query)) = &request.vector else { return Ok(cosines) };
    for (collection, _) in &request.collections {
        let stored_model = collections::find_model(transaction, *collection).await?;
        if stored_model
            .is_none_or(|stored| stored.id != *model || stored.dimensions != query.dimensions())
        {
            continue;
        }
        let Some(vector_table) = find_vector_table(transaction, *collection, model).await? else {
            continue;
        };
        let near = nearest(transaction, *collection, vector_table, audiences, query, request.depth)
            .await?;
        cosines
            .extend(near.into_iter().map(|(chunk, vector)| (chunk, (query.cosine(&vector), true))));
        let others: Vec<i64> = by_keyword
            .iter()
            .map(|(chunk, _)| *chunk)
            .filter(|chunk| !cosines.contains_key(chunk))
            .collect();
        let sql = format!(
            "SELECT chunk, numbers::real[] FROM {} WHERE chunk = ANY ($1)",
            vector_table_name(vector_table)
        );
        for row in transaction.query_typed(&sql, &[(&others, Type::INT8_ARRAY)]).await? {
            let (chunk, vector) = vector_from_row(&row)?;
            cosines.insert(chunk, (query.cosine(&vector), false));
        }
    }
    Ok(cosines)
}

/// Up to this many visible chunks, or for a small fraction of a collection, the scan is exact: an
/// HNSW search would mostly visit hidden chunks.
const EXACT_SCAN_CHUNKS: i64 = 2_000;
const EXACT_SCAN_FRACTION: i64 = 20;
const EXACT_SCAN_MAX_CHUNKS: i64 = 50_000;

/// Returns the nearest chunks of these audiences.
async fn nearest(
    transaction: &Transaction<'_>,
    collection: i64,
    vector_table: i64,
    audiences: &[i64],
    query: &Vector,
    depth: usize,
) -> Result<Vec<(i64, Vector)>> {
    let visible = corpus_stats(transaction, collection, Some(audiences)).await?.chunk_count;
    let all = corpus_stats(transaction, collection, None).await?.chunk_count;
    let exact = visible <= EXACT_SCAN_CHUNKS
        || (visible <= EXACT_SCAN_MAX_CHUNKS && visible.saturating_mul(EXACT_SCAN_FRACTION) < all);
    // No index has this order, so the planner scans every row.
    let order = if exact {
        "(numbers <=> $1::real[]::halfvec) + 0"
    } else {
        "numbers <=> $1::real[]::halfvec"
    };
    if !exact {
        let ef_search = (depth * 4).clamp(100, 1000);
        transaction
            .batch_execute(&format!(
                "SET LOCAL hnsw.ef_search = {ef_search}; SET LOCAL hnsw.iterative_scan = relaxed_order; SET LOCAL hnsw.max_scan_tuples = 200000"
            ))
            .await?;
    }
    let sql = format!(
        "SELECT chunk, numbers::real[] FROM {} WHERE audience = ANY ($2) ORDER BY {order} LIMIT $3",
        vector_table_name(vector_table)
    );
    let parameters: [Parameter<'_>; 3] = [
        (&query.numbers(), Type::FLOAT4_ARRAY),
        (&audiences, Type::INT8_ARRAY),
        (&to_bigint(depth), Type::INT8),
    ];
    transaction.query_typed(&sql, &parameters).await?.iter().map(vector_from_row).collect()
}

async fn load_hits(
    transaction: &Transaction<'_>,
    ranked: &[(i64, Scores)],
) -> Result<Vec<ChunkHit>> {
    let sql = "SELECT c.place, c.heading, c.text, c.tokens, c.page, d.collection, d.id, d.name, d.title, d.url, d.metadata, c.id
               FROM chunk c JOIN document d ON d.id = c.document WHERE c.id = ANY ($1)";
    let ids: Vec<i64> = ranked.iter().map(|(chunk, _)| *chunk).collect();
    let rows = transaction.query_typed(sql, &[(&ids, Type::INT8_ARRAY)]).await?;
    let by_chunk: HashMap<i64, &Row> =
        rows.iter().map(|row| Ok((row.try_get(11)?, row))).collect::<Result<_>>()?;
    let found =
        ranked.iter().filter_map(|(chunk, scores)| Some((*chunk, *scores, by_chunk.get(chunk)?)));
    let found = found.map(|(chunk, scores, row)| {
        Ok(ChunkHit {
            chunk_id: chunk,
            chunk: chunk_from_row(row)?,
            collection: row.try_get(5)?,
            document: row.try_get(6)?,
            id: row.try_get(7)?,
            title: row.try_get(8)?,
            url: row.try_get(9)?,
            metadata: serde_json::from_str(row.try_get(10)?).map_err(IndexError::storage)?,
            scores,
        })
    });
    found.collect()
}
