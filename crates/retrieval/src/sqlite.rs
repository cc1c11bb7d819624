//! The storage engine for one SQLite file. Texts, postings and vectors change in one transaction.
//!
//! Readers see the last commit while a writer writes. Vector search scans vectors of eight bits in
//! memory; the cosines of the candidates are then computed from the vectors in the file.

mod collections;
mod integrity;
mod read;
mod schema;
mod search;
mod vector_cache;
mod write;

use crate::analyzer::AnalyzerCache;
use crate::audience::Viewer;
use crate::collection::{Collection, CollectionSettings, EmbeddingModel};
use crate::document::{Document, IndexedDocument};
use crate::error::{IndexError, Result};
use crate::storage_engine::{
    ChunkHit, ContentHash, EngineFuture, PreparedDocument, SearchRequest, StorageEngine,
    StoredChunk, StoredDocument, UnembeddedChunk,
};
use crate::vector::Vector;
use futures_util::FutureExt;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use vector_cache::VectorCaches;

/// A storage engine over a SQLite file.
pub(crate) struct SqliteEngine {
    state: Arc<SqliteState>,
}

/// The state that all tasks of the engine share.
struct SqliteState {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// Read connections that are not in use.
    idle_readers: Mutex<Vec<Connection>>,
    vector_caches: VectorCaches,
    analyzers: AnalyzerCache,
}

/// The maximum number of idle read connections; each caches pages of the file.
const MAX_IDLE_READERS: usize = 8;

impl SqliteEngine {
    /// Opens the file, and creates it if it does not exist.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        schema::create_file(path)?;
        let mut writer = schema::connect(path)?;
        schema::migrate(&mut writer)?;
        let state = SqliteState {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            idle_readers: Mutex::default(),
            vector_caches: VectorCaches::default(),
            analyzers: AnalyzerCache::default(),
        };
        Ok(Self { state: Arc::new(state) })
    }

    /// Runs a write transaction on a blocking thread.
    fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>, &SqliteState) -> Result<T> + Send + 'static,
    ) -> EngineFuture<'_, T> {
        self.run_blocking(move |state| {
            let mut writer = state.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = write(&transaction, state)?;
            transaction.commit()?;
            Ok(result)
        })
    }

    /// Runs a read transaction on a blocking thread.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Transaction<'_>, &SqliteState) -> Result<T> + Send + 'static,
    ) -> EngineFuture<'_, T> {
        self.run_blocking(move |state| state.read(|transaction| read(transaction, state)))
    }

    /// Runs work on the blocking pool, where it may wait for the disk.
    fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SqliteState) -> Result<T> + Send + 'static,
    ) -> EngineFuture<'_, T> {
        let state = Arc::clone(&self.state);
        let work = tokio::task::spawn_blocking(move || work(&state));
        async move { work.await.unwrap_or_else(|error| Err(IndexError::storage(error))) }.boxed()
    }
}

impl SqliteState {
    /// Runs a read transaction.
    fn read<T>(&self, read: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let idle = self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = idle.map_or_else(|| schema::connect(&self.path), Ok)?;
        let result = read(&reader.transaction()?);
        let mut idle = self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE_READERS {
            idle.push(reader);
        }
        result
    }
}

impl StorageEngine for SqliteEngine {
    fn create_collection(
        &self,
        name: String,
        settings: CollectionSettings,
    ) -> EngineFuture<'_, Collection> {
        self.write(move |transaction, _| collections::create(transaction, &name, &settings))
    }

    fn list_collections(&self, viewer: Viewer) -> EngineFuture<'_, Vec<Collection>> {
        self.read(move |transaction, _| collections::list(transaction, &viewer))
    }

    fn find_collection(
        &self,
        name: String,
        viewer: Viewer,
    ) -> EngineFuture<'_, Option<Collection>> {
        self.read(move |transaction, _| collections::find(transaction, &name, &viewer))
    }

    fn update_settings(
        &self,
        collection: i64,
        settings: CollectionSettings,
    ) -> EngineFuture<'_, ()> {
        self.write(move |transaction, _| {
            collections::update_settings(transaction, collection, &settings)
        })
    }

    fn delete_collection(&self, collection: i64) -> EngineFuture<'_, ()> {
        self.write(move |transaction, state| {
            state.vector_caches.remove(collection);
            collections::delete(transaction, collection)
        })
    }

    fn find_documents(
        &self,
        collection: i64,
        ids: Vec<String>,
    ) -> EngineFuture<'_, HashMap<String, StoredDocument>> {
        self.read(move |transaction, _| read::find_documents(transaction, collection, &ids))
    }

    fn find_vectors(
        &self,
        model: String,
        hashes: Vec<ContentHash>,
    ) -> EngineFuture<'_, HashMap<ContentHash, Vector>> {
        self.read(move |transaction, _| read::find_vectors(transaction, &model, &hashes))
    }

    fn put_documents(
        &self,
        collection: Collection,
        model: Option<EmbeddingModel>,
        documents: Vec<PreparedDocument>,
    ) -> EngineFuture<'_, ()> {
        self.write(move |transaction, state| {
            write::adopt_first_model(transaction, &collection, model.as_ref())?;
            write::put_documents(
                transaction,
                &state.analyzers.get(collection.settings.language),
                collection.id,
                model.as_ref(),
                &documents,
            )
        })
    }

    fn record_failure(
        &self,
        collection: Collection,
        document: Document,
        reason: String,
    ) -> EngineFuture<'_, ()> {
        self.write(move |transaction, state| {
            write::record_failure(
                transaction,
                &state.analyzers.get(collection.settings.language),
                collection.id,
                &document,
                &reason,
            )
        })
    }

    fn remove_documents(
        &self,
        collection: Collection,
        ids: Vec<String>,
    ) -> EngineFuture<'_, usize> {
        self.write(move |transaction, state| {
            write::remove_documents(
                transaction,
                &state.analyzers.get(collection.settings.language),
                collection.id,
                &ids,
            )
        })
    }

    fn load_document(
        &self,
        collection: i64,
        id: String,
    ) -> EngineFuture<'_, Option<IndexedDocument>> {
        self.read(move |transaction, _| read::load_document(transaction, collection, &id))
    }

    fn list_documents(
        &self,
        collection: i64,
        viewer: Viewer,
        after: String,
        limit: usize,
    ) -> EngineFuture<'_, Vec<IndexedDocument>> {
        self.read(move |transaction, _| {
            read::list_documents(transaction, collection, &viewer, &after, limit)
        })
    }

    fn find_terms(
        &self,
        collection: i64,
        viewer: Viewer,
        terms: Vec<String>,
    ) -> EngineFuture<'_, Vec<String>> {
        self.read(move |transaction, _| search::find_terms(transaction, collection, &viewer, terms))
    }

    fn search(&self, request: SearchRequest) -> EngineFuture<'_, Vec<ChunkHit>> {
        self.run_blocking(move |state| {
            // The cache may be of a later commit than the transaction; the next transaction is at
            // least as new.
            loop {
                if let Some(hits) = state.read(|transaction| {
                    search::search(transaction, &state.vector_caches, &request)
                })? {
                    return Ok(hits);
                }
            }
        })
    }

    fn load_chunks(
        &self,
        document: i64,
        first: i64,
        last: i64,
    ) -> EngineFuture<'_, Vec<StoredChunk>> {
        self.read(move |transaction, _| read::load_chunks(transaction, document, first, last))
    }

    fn find_unembedded(
        &self,
        collection: i64,
        model: String,
        after: i64,
        limit: usize,
    ) -> EngineFuture<'_, Vec<UnembeddedChunk>> {
        self.read(move |transaction, _| {
            read::find_unembedded(transaction, collection, &model, after, limit)
        })
    }

    fn add_vectors(
        &self,
        collection: i64,
        model: String,
        vectors: Vec<(i64, Vector)>,
    ) -> EngineFuture<'_, ()> {
        self.write(move |transaction, _| {
            write::add_vectors(transaction, collection, &model, &vectors)
        })
    }

    fn adopt_model(&self, collection: i64, model: EmbeddingModel) -> EngineFuture<'_, bool> {
        self.write(move |transaction, _| write::adopt_model(transaction, collection, &model))
    }

    fn find_inconsistencies(&self) -> EngineFuture<'_, Vec<String>> {
        self.read(integrity::find_inconsistencies)
    }
}
