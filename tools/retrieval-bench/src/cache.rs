//! Keeps vectors between runs, so that only the first one waits for the model.

use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use retrieval::{EmbedError, Embedder, MiniLm, Purpose};
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// An embedder that asks the model once for each text.
pub struct Cache {
    model: MiniLm,
    kept: Mutex<Connection>,
}

impl Cache {
    pub fn open(model: MiniLm, path: &Path) -> Result<Self> {
        let kept = Connection::open(path)?;
        kept.execute_batch(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = off;
             CREATE TABLE IF NOT EXISTS vector (text TEXT PRIMARY KEY, numbers BLOB NOT NULL) WITHOUT ROWID",
        )?;
        Ok(Self { model, kept: Mutex::new(kept) })
    }

    fn known(&self, text: &str) -> Result<Option<Vec<f32>>, rusqlite::Error> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut statement = kept.prepare_cached("SELECT numbers FROM vector WHERE text = ?")?;
        let numbers = |bytes: Vec<u8>| {
            bytes.as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number)).collect()
        };
        Ok(statement.query_row([text], |row| row.get(0)).optional()?.map(numbers))
    }

    fn keep(&self, text: &str, vector: &[f32]) -> Result<(), rusqlite::Error> {
        let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.prepare_cached("INSERT OR REPLACE INTO vector VALUES (?, ?)")?
            .execute((text, bytes))?;
        Ok(())
    }
}

impl Embedder for Cache {
    fn model(&self) -> &str {
        self.model.model()
    }

    fn embed(
        &self,
        texts: Vec<String>,
        purpose: Purpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, EmbedError>> {
        async move {
            let told = |error: rusqlite::Error| {
                EmbedError(format!("the cache of vectors failed: {error}"))
            };
            let mut vectors = texts
                .iter()
                .map(|text| self.known(text))
                .collect::<Result<Vec<_>, _>>()
                .map_err(told)?;
            let missing: Vec<usize> =
                (0..texts.len()).filter(|at| vectors[*at].is_none()).collect();
            for some in missing.chunks(64) {
                let made = self
                    .model
                    .embed(some.iter().map(|at| texts[*at].clone()).collect(), purpose)
                    .await?;
                for (at, vector) in some.iter().zip(made) {
                    self.keep(&texts[*at], &vector).map_err(told)?;
                    vectors[*at] = Some(vector);
                }
            }
            Ok(vectors.into_iter().flatten().collect())
        }
        .boxed()
    }
}
