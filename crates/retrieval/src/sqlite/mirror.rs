//! The vectors of a collection in memory, where they are scanned; follows what is committed by whatever process.

use super::catalogue;
use crate::error::Result;
use crate::posting::best;
use crate::vector::{Codes, Vector};
use rusqlite::{Params, Transaction};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The mirrors of the collections that were searched.
#[derive(Default)]
pub(super) struct Mirrors {
    by_collection: Mutex<HashMap<i64, Arc<RwLock<Mirror>>>>,
}

#[derive(Default)]
struct Mirror {
    model: String,
    /// The last change that it has followed.
    seen: i64,
    /// One for each audience: what the asker may not see is not scanned.
    segments: HashMap<i64, Segment>,
}

#[derive(Default)]
struct Segment {
    chunks: Vec<i64>,
    documents: Vec<i64>,
    codes: Codes,
}

impl Mirrors {
    pub(super) fn forget(&self, collection: i64) {
        self.by_collection.lock().unwrap_or_else(PoisonError::into_inner).remove(&collection);
    }

    /// The chunks that are about the nearest to the query, of those that these audiences may see. `None` if the mirror has
    /// followed commits that this transaction does not see.
    pub(super) fn nearest(
        &self,
        transaction: &Transaction<'_>,
        collection: i64,
        audiences: &[i64],
        (model, query): (&str, &Vector),
        depth: usize,
    ) -> Result<Option<Vec<(i64, f32)>>> {
        let mirror = Arc::clone(
            self.by_collection
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(collection)
                .or_default(),
        );
        let last = last_change(transaction)?;
        {
            let mirror = mirror.read().unwrap_or_else(PoisonError::into_inner);
            if mirror.model == model && mirror.seen == last {
                return Ok(Some(mirror.nearest(audiences, query, depth)));
            }
        }
        let mut mirror = mirror.write().unwrap_or_else(PoisonError::into_inner);
        if mirror.seen > last {
            return Ok(None);
        }
        mirror.follow(transaction, collection, model, last)?;
        Ok(Some(mirror.nearest(audiences, query, depth)))
    }
}

/// The number of the last change that was committed, be its row still there or not.
fn last_change(transaction: &Transaction<'_>) -> Result<i64> {
    let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'change'";
    Ok(transaction.prepare_cached(sql)?.query_row((), |row| row.get(0))?)
}

impl Mirror {
    fn nearest(&self, audiences: &[i64], query: &Vector, depth: usize) -> Vec<(i64, f32)> {
        let segments = audiences.iter().filter_map(|audience| self.segments.get(audience));
        best(
            segments
                .flat_map(|segment| segment.chunks.iter().copied().zip(segment.codes.scan(query))),
            depth,
        )
    }

    fn follow(
        &mut self,
        transaction: &Transaction<'_>,
        collection: i64,
        model: &str,
        last: i64,
    ) -> Result<()> {
        let kept: i64 =
            transaction
                .query_row("SELECT coalesce(min(id), 1) FROM change", (), |row| row.get(0))?;
        if self.model == model && self.seen >= kept - 1 {
            self.replace(transaction, collection)?;
        } else {
            *self = Self { model: model.to_owned(), ..Self::default() };
            self.load(transaction, "d.collection = ?2", (model, collection))?;
        }
        self.seen = last;
        Ok(())
    }

    fn replace(&mut self, transaction: &Transaction<'_>, collection: i64) -> Result<()> {
        let sql = "SELECT document FROM change WHERE id > ? AND collection = ?";
        let mut statement = transaction.prepare_cached(sql)?;
        let changed = statement.query_map((self.seen, collection), |row| row.get(0))?;
        let changed: HashSet<i64> = changed.collect::<rusqlite::Result<_>>()?;
        self.segments.values_mut().for_each(|segment| segment.drop(&changed));
        let model = self.model.clone();
        for document in changed {
            self.load(transaction, "d.id = ?2", (&model, document))?;
        }
        Ok(())
    }

    fn load(
        &mut self,
        transaction: &Transaction<'_>,
        which: &str,
        params: impl Params,
    ) -> Result<()> {
        let sql = format!(
            "SELECT d.audience, d.id, c.id, v.numbers FROM document d JOIN chunk c ON c.document = d.id
             JOIN vector v ON v.chunk = c.id AND v.model = ?1 WHERE {which}"
        );
        let mut statement = transaction.prepare_cached(&sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            let segment = self.segments.entry(row.get(0)?).or_default();
            segment.documents.push(row.get(1)?);
            segment.chunks.push(row.get(2)?);
            segment.codes.push(&Vector::from_bytes(
                row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?,
            ));
        }
        Ok(())
    }
}

impl Segment {
    fn drop(&mut self, documents: &HashSet<i64>) {
        let mut at = 0;
        while let Some(document) = self.documents.get(at) {
            if documents.contains(document) {
                self.documents.swap_remove(at);
                self.chunks.swap_remove(at);
                self.codes.swap_remove(at);
            } else {
                at += 1;
            }
        }
    }
}

/// Says that the vectors of a document are others now. Old rows go; a mirror that needs them is read anew.
pub(super) fn changed(transaction: &Transaction<'_>, collection: i64, document: i64) -> Result<()> {
    let sql = "INSERT INTO change (collection, document) VALUES (?, ?)";
    transaction.prepare_cached(sql)?.execute((collection, document))?;
    let last = transaction.last_insert_rowid();
    transaction.prepare_cached("DELETE FROM change WHERE id <= ?")?.execute([last - KEPT])?;
    Ok(())
}

const KEPT: i64 = 20_000;

/// The model that a collection is searched with, if the question has a vector of it.
pub(super) fn query<'a>(
    transaction: &Transaction<'_>,
    collection: i64,
    vector: Option<&'a (String, Vector)>,
) -> Result<Option<(&'a str, &'a Vector)>> {
    let model = catalogue::model(transaction, collection)?;
    let vector = vector.filter(|(id, vector)| {
        model.is_some_and(|model| model.id == *id && model.dimensions == vector.dimensions())
    });
    Ok(vector.map(|(id, vector)| (id.as_str(), vector)))
}
