//! Caches vectors between runs, so that only the first run waits for the model.

use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use retrieval::{Embedder, EmbeddingPurpose, InferenceError, LocalModel};
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// An embedder that runs the model once for each text.
pub struct CachedEmbedder {
    model: LocalModel,
    cache: Mutex<Connection>,
}

impl CachedEmbedder {
    /// Opens the cache in a SQLite file.
    pub fn open(model: LocalModel, path: &Path) -> Result<Self> {
        let cache = Connection::open(path)?;
        cache.execute_batch(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = off;
             CREATE TABLE IF NOT EXISTS embedding (
                 model TEXT NOT NULL, is_query INTEGER NOT NULL, text TEXT NOT NULL, numbers BLOB NOT NULL,
                 PRIMARY KEY (model, is_query, text)
             ) WITHOUT ROWID",
        )?;
        Ok(Self { model, cache: Mutex::new(cache) })
    }

    fn find_vector(
        &self,
        text: &str,
        purpose: EmbeddingPurpose,
    ) -> Result<Option<Vec<f32>>, rusqlite::Error> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = "SELECT numbers FROM embedding WHERE model = ? AND is_query = ? AND text = ?";
        let mut statement = cache.prepare_cached(sql)?;
        let numbers = |bytes: Vec<u8>| {
            bytes.as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number)).collect()
        };
        Ok(statement.query_row(self.key(text, purpose), |row| row.get(0)).optional()?.map(numbers))
    }

    /// Returns the columns that identify a vector.
    fn key<'a>(&'a self, text: &'a str, purpose: EmbeddingPurpose) -> (&'a str, bool, &'a str) {
        (self.model.model(), purpose == EmbeddingPurpose::Query, text)
    }

    fn store_vector(
        &self,
        text: &str,
        purpose: EmbeddingPurpose,
        vector: &[f32],
    ) -> Result<(), rusqlite::Error> {
        let (model, is_query, text) = self.key(text, purpose);
        let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache
            .prepare_cached("INSERT OR REPLACE INTO embedding VALUES (?, ?, ?, ?)")?
            .execute((model, is_query, text, bytes))?;
        Ok(())
    }
}

impl Embedder for CachedEmbedder {
    fn model(&self) -> &str {
        self.model.model()
    }

    fn least_cosine(&self) -> f32 {
        self.model.least_cosine()
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
                .map(|text| self.find_vector(text, purpose))
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
                    self.store_vector(&texts[*at], purpose, &vector).map_err(cache_error)?;
                    vectors[*at] = Some(vector);
                }
            }
            Ok(vectors.into_iter().flatten().collect())
        }
        .boxed()
    }
}
