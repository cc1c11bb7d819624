//! The search of the database, by words and by meaning.

use super::catalogue::{self, number, space, table};
use super::read::{piece, vector};
use super::{Parameter, Transaction};
use crate::engine::{Found, Wanted, candidates, ranked};
use crate::error::{Error, Result};
use crate::fusion::Scores;
use crate::posting::{Extent, Lists, Ranking, best};
use crate::search::SEARCH_LIMIT;
use crate::vector::Vector;
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

pub(super) async fn search(transaction: &Transaction<'_>, wanted: &Wanted) -> Result<Vec<Found>> {
    // The database ends what nobody waits for any longer.
    let limit = SEARCH_LIMIT.as_millis();
    transaction.batch_execute(&format!("SET LOCAL statement_timeout = {limit}")).await?;
    let audiences = catalogue::audiences(transaction, &wanted.viewer).await?;
    let words = by_words(transaction, wanted, &audiences).await?;
    let best_words = words.best(wanted.depth);
    let cosines = by_meaning(transaction, wanted, &audiences, &best_words).await?;
    let best_meaning = best(
        cosines.iter().filter(|(_, (_, near))| *near).map(|(chunk, (cosine, _))| (*chunk, *cosine)),
        wanted.depth,
    );
    let chunks = candidates(&best_words, &best_meaning);
    let sql = "SELECT id, document FROM chunk WHERE id = ANY ($1)";
    let mut documents: HashMap<i64, i64> = HashMap::new();
    for row in transaction.query_typed(sql, &[(&chunks, Type::INT8_ARRAY)]).await? {
        documents.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let document = |chunk| documents.get(&chunk).copied().unwrap_or(chunk);
    let fill = |chunk| (words.score(chunk), cosines.get(&chunk).map(|(cosine, _)| *cosine));
    let ranked = ranked(&best_words, &best_meaning, document, fill, wanted.fusion, wanted.limit);
    found(transaction, &ranked).await
}

/// The rows of the audiences that the asker belongs to; there is no way to read another.
async fn by_words(
    transaction: &Transaction<'_>,
    wanted: &Wanted,
    audiences: &[i64],
) -> Result<Ranking> {
    let mut lists = Lists::of(wanted.within.iter().map(|(_, terms)| terms.as_slice()));
    for (collection, question) in &wanted.within {
        lists.extend(extent(transaction, *collection, Some(audiences)).await?);
        let terms: Vec<&String> = question.iter().collect::<BTreeSet<_>>().into_iter().collect();
        let sql = "SELECT term, block, entries FROM posting WHERE collection = $1 AND term = ANY ($2) AND audience = ANY ($3)";
        let parameters: [Parameter<'_>; 3] =
            [(collection, Type::INT8), (&terms, Type::TEXT_ARRAY), (&audiences, Type::INT8_ARRAY)];
        for row in transaction.query_typed(sql, &parameters).await? {
            lists.push(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        }
    }
    wanted.check_time()?;
    // The sums take a while where there is much, and others are served meanwhile.
    tokio::task::spawn_blocking(move || lists.ranking()).await.map_err(Error::store)
}

/// How much of a collection these audiences may see; all of it, if none is named.
async fn extent(
    transaction: &Transaction<'_>,
    collection: i64,
    audiences: Option<&[i64]>,
) -> Result<Extent> {
    let sql = "SELECT coalesce(sum(chunks), 0)::bigint, coalesce(sum(terms), 0)::bigint FROM extent
               WHERE collection = $1 AND ($2::bigint[] IS NULL OR audience = ANY ($2))";
    let rows = transaction
        .query_typed(sql, &[(&collection, Type::INT8), (&audiences, Type::INT8_ARRAY)])
        .await?;
    let read = |row: &Row| -> Result<Extent> {
        Ok(Extent { chunks: row.try_get(0)?, terms: row.try_get(1)? })
    };
    rows.first().map_or(Ok(Extent::default()), read)
}

/// The cosines of the nearest chunks, and of those that words found; `true` if it is one of the nearest.
async fn by_meaning(
    transaction: &Transaction<'_>,
    wanted: &Wanted,
    audiences: &[i64],
    best_words: &[(i64, f32)],
) -> Result<HashMap<i64, (f32, bool)>> {
    let mut cosines: HashMap<i64, (f32, bool)> = HashMap::new();
    let Some((model, query)) = &wanted.vector else { return Ok(cosines) };
    for (collection, _) in &wanted.within {
        let held = catalogue::model(transaction, *collection).await?;
        if held.is_none_or(|held| held.id != *model || held.dimensions != query.dimensions()) {
            continue;
        }
        let Some(space) = space(transaction, *collection, model).await? else { continue };
        let near = nearest(transaction, *collection, space, audiences, query, wanted.depth).await?;
        cosines
            .extend(near.into_iter().map(|(chunk, vector)| (chunk, (query.cosine(&vector), true))));
        let others: Vec<i64> = best_words
            .iter()
            .map(|(chunk, _)| *chunk)
            .filter(|chunk| !cosines.contains_key(chunk))
            .collect();
        let sql =
            format!("SELECT chunk, numbers::real[] FROM {} WHERE chunk = ANY ($1)", table(space));
        for row in transaction.query_typed(&sql, &[(&others, Type::INT8_ARRAY)]).await? {
            let (chunk, vector) = vector(&row)?;
            cosines.insert(chunk, (query.cosine(&vector), false));
        }
    }
    Ok(cosines)
}

/// Where so few chunks may be seen, or so small a part, each is compared: a graph would be searched for long among what is hidden.
const FEW: i64 = 2_000;
const PART: i64 = 20;
const MANY: i64 = 50_000;

/// The nearest chunks of those that these audiences may see.
async fn nearest(
    transaction: &Transaction<'_>,
    collection: i64,
    space: i64,
    audiences: &[i64],
    query: &Vector,
    depth: usize,
) -> Result<Vec<(i64, Vector)>> {
    let visible = extent(transaction, collection, Some(audiences)).await?.chunks;
    let all = extent(transaction, collection, None).await?.chunks;
    let each = visible <= FEW || (visible <= MANY && visible.saturating_mul(PART) < all);
    // An order that no index has.
    let order = if each {
        "(numbers <=> $1::real[]::halfvec) + 0"
    } else {
        "numbers <=> $1::real[]::halfvec"
    };
    if !each {
        let breadth = (depth * 4).clamp(100, 1000);
        transaction
            .batch_execute(&format!(
                "SET LOCAL hnsw.ef_search = {breadth}; SET LOCAL hnsw.iterative_scan = relaxed_order; SET LOCAL hnsw.max_scan_tuples = 200000"
            ))
            .await?;
    }
    let sql = format!(
        "SELECT chunk, numbers::real[] FROM {} WHERE audience = ANY ($2) ORDER BY {order} LIMIT $3",
        table(space)
    );
    let parameters: [Parameter<'_>; 3] = [
        (&query.numbers(), Type::FLOAT4_ARRAY),
        (&audiences, Type::INT8_ARRAY),
        (&number(depth), Type::INT8),
    ];
    transaction.query_typed(&sql, &parameters).await?.iter().map(vector).collect()
}

async fn found(transaction: &Transaction<'_>, ranked: &[(i64, Scores)]) -> Result<Vec<Found>> {
    let sql = "SELECT c.place, c.heading, c.text, c.tokens, d.collection, d.id, d.name, d.title, d.url, d.metadata, c.id
               FROM chunk c JOIN document d ON d.id = c.document WHERE c.id = ANY ($1)";
    let ids: Vec<i64> = ranked.iter().map(|(chunk, _)| *chunk).collect();
    let rows = transaction.query_typed(sql, &[(&ids, Type::INT8_ARRAY)]).await?;
    let by_chunk: HashMap<i64, &Row> =
        rows.iter().map(|row| Ok((row.try_get(10)?, row))).collect::<Result<_>>()?;
    let found =
        ranked.iter().filter_map(|(chunk, scores)| Some((*chunk, *scores, by_chunk.get(chunk)?)));
    let found = found.map(|(chunk, scores, row)| {
        Ok(Found {
            chunk,
            piece: piece(row)?,
            collection: row.try_get(4)?,
            document: row.try_get(5)?,
            id: row.try_get(6)?,
            title: row.try_get(7)?,
            url: row.try_get(8)?,
            metadata: serde_json::from_str(row.try_get(9)?).map_err(Error::store)?,
            scores,
        })
    });
    found.collect()
}
