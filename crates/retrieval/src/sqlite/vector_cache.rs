//! Keeps the vectors of collections in memory for scanning, and follows the commits of every
//! process.

use super::collections;
use crate::error::Result;
use crate::posting::top_k;
use crate::vector::{QuantizedVectors, Vector};
use rusqlite::{Params, Transaction};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The vector caches of the collections that were searched.
#[derive(Default)]
pub(super) struct VectorCaches {
    by_collection: Mutex<HashMap<i64, Arc<RwLock<VectorCache>>>>,
}

/// The vectors of one collection.
#[derive(Default)]
struct VectorCache {
    model: String,
    /// The id of the last change that the cache includes.
    last_change: i64,
    /// The vectors by audience, so that a scan skips those that the viewer may not see.
    by_audience: HashMap<i64, AudienceVectors>,
}

/// The vectors of the chunks of one audience.
#[derive(Default)]
struct AudienceVectors {
    chunks: Vec<i64>,
    documents: Vec<i64>,
    vectors: QuantizedVectors,
}

impl VectorCaches {
    /// Removes the vectors of a collection.
    pub(super) fn remove(&self, collection: i64) {
        self.by_collection.lock().unwrap_or_else(PoisonError::into_inner).remove(&collection);
    }

    /// Returns the approximately nearest chunks to the query among those of these audiences.
    /// Returns `None` if the cache includes commits that this transaction does not see.
    pub(super) fn nearest(
        &self,
        transaction: &Transaction<'_>,
        collection: i64,
        audiences: &[i64],
        (model, query): (&str, &Vector),
        depth: usize,
    ) -> Result<Option<Vec<(i64, f32)>>> {
        let cache = Arc::clone(
            self.by_collection
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(collection)
                .or_default(),
        );
        let last = find_last_change(transaction)?;
        {
            let cache = cache.read().unwrap_or_else(PoisonError::into_inner);
            if cache.model == model && cache.last_change == last {
                return Ok(Some(cache.nearest(audiences, query, depth)));
            }
        }
        let mut cache = cache.write().unwrap_or_else(PoisonError::into_inner);
        if cache.last_change > last {
            return Ok(None);
        }
        cache.catch_up(transaction, collection, model, last)?;
        Ok(Some(cache.nearest(audiences, query, depth)))
    }
}

/// Returns the id of the last committed change, even if its row was deleted.
fn find_last_change(transaction: &Transaction<'_>) -> Result<i64> {
    let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'change'";
    Ok(transaction.prepare_cached(sql)?.query_row((), |row| row.get(0))?)
}

impl VectorCache {
    /// Returns the chunks of these audiences that are nearest to a vector, with their cosines.
    fn nearest(&self, audiences: &[i64], query: &Vector, depth: usize) -> Vec<(i64, f32)> {
        let segments = audiences.iter().filter_map(|audience| self.by_audience.get(audience));
        top_k(
            segments.flat_map(|segment| {
                segment.chunks.iter().copied().zip(segment.vectors.scan(query))
            }),
            depth,
        )
    }

    fn catch_up(
        &mut self,
        transaction: &Transaction<'_>,
        collection: i64,
        model: &str,
        last: i64,
    ) -> Result<()> {
        let first_change: i64 =
            transaction
                .query_row("SELECT coalesce(min(id), 1) FROM change", (), |row| row.get(0))?;
        if self.model == model && self.last_change >= first_change - 1 {
            self.reload_changed(transaction, collection)?;
        } else {
            *self = Self { model: model.to_owned(), ..Self::default() };
            self.load(transaction, "d.collection = ?2", (model, collection))?;
        }
        self.last_change = last;
        Ok(())
    }

    fn reload_changed(&mut self, transaction: &Transaction<'_>, collection: i64) -> Result<()> {
        let sql = "SELECT document FROM change WHERE id > ? AND collection = ?";
        let mut statement = transaction.prepare_cached(sql)?;
        let changed = statement.query_map((self.last_change, collection), |row| row.get(0))?;
        let changed: HashSet<i64> = changed.collect::<rusqlite::Result<_>>()?;
        self.by_audience.values_mut().for_each(|segment| segment.remove_documents(&changed));
        let model = self.model.clone();
        for document in changed {
            self.load(transaction, "d.id = ?2", (&model, document))?;
        }
        Ok(())
    }

    /// Loads the vectors for which a condition holds.
    fn load(
        &mut self,
        transaction: &Transaction<'_>,
        condition: &str,
        params: impl Params,
    ) -> Result<()> {
        let sql = format!(
            "SELECT d.audience, d.id, c.id, v.numbers FROM document d JOIN chunk c ON c.document = d.id
             JOIN vector v ON v.chunk = c.id AND v.model = ?1 WHERE {condition}"
        );
        let mut statement = transaction.prepare_cached(&sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            let segment = self.by_audience.entry(row.get(0)?).or_default();
            segment.documents.push(row.get(1)?);
            segment.chunks.push(row.get(2)?);
            segment.vectors.push(&Vector::from_bytes(
                row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?,
            ));
        }
        Ok(())
    }
}

impl AudienceVectors {
    fn remove_documents(&mut self, documents: &HashSet<i64>) {
        let mut at = 0;
        while let Some(document) = self.documents.get(at) {
            if documents.contains(document) {
                self.documents.swap_remove(at);
                self.chunks.swap_remove(at);
                self.vectors.swap_remove(at);
            } else {
                at += 1;
            }
        }
    }
}

/// Records that the vectors of a document have changed. Old rows are deleted; a cache that would
/// need them is loaded again.
pub(super) fn record_change(
    transaction: &Transaction<'_>,
    collection: i64,
    document: i64,
) -> Result<()> {
    let sql = "INSERT INTO change (collection, document) VALUES (?, ?)";
    transaction.prepare_cached(sql)?.execute((collection, document))?;
    let last = transaction.last_insert_rowid();
    transaction
        .prepare_cached("DELETE FROM change WHERE id <= ?")?
        .execute([last - MAX_CHANGE_ROWS])?;
    Ok(())
}

const MAX_CHANGE_ROWS: i64 = 20_000;

/// Returns the model and vector by which a collection is searched, if the query has a vector of its
/// model.
pub(super) fn query_vector<'a>(
    transaction: &Transaction<'_>,
    collection: i64,
    vector: Option<&'a (String, Vector)>,
) -> Result<Option<(&'a str, &'a Vector)>> {
    let model = collections::find_model(transaction, collection)?;
    let vector = vector.filter(|(id, vector)| {
        model.is_some_and(|model| model.id == *id && model.dimensions == vector.dimensions())
    });
    Ok(vector.map(|(id, vector)| (id.as_str(), vector)))
}
