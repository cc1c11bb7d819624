//! Caches vectors between runs, so that only the first run waits for the model.

use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use retrieval::{Embedder, EmbeddingPurpose, InferenceError, MiniLm};
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// An embedder that runs the model once for each text.
pub struct CachedEmbedder {
    model: MiniLm,
    cache: Mutex<Connection>,
}

impl CachedEmbedder {
    pub fn open(model: MiniLm, path: &Path) -> Result<Self> {
        let cache = Connection::open(path)?;
        cache.execute_batch(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = off;
             CREATE TABLE IF NOT EXISTS vector (text TEXT PRIMARY KEY, numbers BLOB NOT NULL) WITHOUT ROWID",
        )?;
        Ok(Self { model, cache: Mutex::new(cache) })
    }

    fn find_vector(&self, text: &str) -> Result<Option<Vec<f32>>, rusqlite::Error> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let mut statement = cache.prepare_cached("SELECT numbers FROM vector WHERE text = ?")?;
        let numbers = |bytes: Vec<u8>| {
            bytes.as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number)).collect()
        };
        Ok(statement.query_row([text], |row| row.get(0)).optional()?.map(numbers))
    }

    fn store_vector(&self, text: &str, vector: &[f32]) -> Result<(), rusqlite::Error> {
        let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache
            .prepare_cached("INSERT OR REPLACE INTO vector VALUES (?, ?)")?
            .execute((text, bytes))?;
        Ok(())
    }
}

impl Embedder for CachedEmbedder {
    fn model(&self) -> &str {
        self.model.model()
    }

    fn embed(
        &self,
        texts: Vec<String>,
        purpose: EmbeddingPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, InferenceError>> {
        async move {
            let cache_error = |error: rusqlite::Error| {
                InferenceError(format!("the cache of vectors failed: {error}"))
            };
            let mut vectors = texts
                .iter()
                .map(|text| self.find_vector(text))
                .collect::<Result<Vec<_>, _>>()
                .map_err(cache_error)?;
            let missing: Vec<usize> =
                (0..texts.len()).filter(|at| vectors[*at].is_none()).collect();
            for batch in missing.chunks(64) {
                let new_vectors = self
                    .model
                    .embed(batch.iter().map(|at| texts[*at].clone()).collect(), purpose)
                    .await?;
                for (at, vector) in batch.iter().zip(new_vectors) {
                    self.store_vector(&texts[*at], &vector).map_err(cache_error)?;
                    vectors[*at] = Some(vector);
                }
            }
            Ok(vectors.into_iter().flatten().collect())
        }
        .boxed()
    }
}
