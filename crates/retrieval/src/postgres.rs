//! The storage engine for a PostgreSQL database that several hosts share. Texts, postings and
//! vectors change in one transaction.
//!
//! Keyword search computes BM25 from the same bytes as the SQLite engine. Vector search uses
//! pgvector's HNSW index in half precision with iterative scans, until it has found enough chunks
//! that the viewer may see; their cosines are then computed exactly. Hosts that write to one
//! collection wait for each other.

mod collections;
mod integrity;
mod postings;
mod read;
mod schema;
mod search;
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
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Address, Connection, StoreError};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{IsolationLevel, Transaction};

/// A query parameter with its type.
type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A storage engine over a PostgreSQL database.
pub(crate) struct PostgresEngine {
    address: Address,
    analyzers: AnalyzerCache,
    /// Connections that are not in use.
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

/// The maximum number of connections.
const MAX_CONNECTIONS: usize = 8;

/// The number of attempts for a transaction that conflicts with another one.
const MAX_ATTEMPTS: usize = 4;

impl PostgresEngine {
    /// Connects to the database at this address, and creates the tables.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let address = Address::read(url).map_err(connection_error)?;
        let (analyzers, idle) = (AnalyzerCache::default(), Mutex::default());
        let database = Self { address, analyzers, idle, permits: Semaphore::new(MAX_CONNECTIONS) };
        let mut pooled = database.acquire().await?;
        let transaction = pooled.connection()?.client.transaction().await?;
        schema::migrate(&transaction).await?;
        transaction.commit().await?;
        drop(pooled);
        Ok(database)
    }

    /// Takes a connection out of the pool, or opens one.
    async fn acquire(&self) -> Result<PooledConnection<'_>> {
        let permit = self.permits.acquire().await.map_err(IndexError::storage)?;
        let take_idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some(connection) = take_idle() {
            if !connection.client.is_closed() {
                return Ok(PooledConnection {
                    database: self,
                    connection: Some(connection),
                    _permit: permit,
                });
            }
        }
        let connection = Box::pin(Connection::open(&self.address, schema::SESSION_SETTINGS))
            .await
            .map_err(connection_error)?;
        Ok(PooledConnection { database: self, connection: Some(connection), _permit: permit })
    }
}

/// A connection in use; dropping it returns it to the pool.
struct PooledConnection<'a> {
    database: &'a PostgresEngine,
    connection: Option<Connection>,
    _permit: SemaphorePermit<'a>,
}

impl PooledConnection<'_> {
    /// Returns the connection.
    fn connection(&mut self) -> Result<&mut Connection> {
        self.connection.as_mut().ok_or_else(|| IndexError::storage("the connection is gone"))
    }
}

impl Drop for PooledConnection<'_> {
    fn drop(&mut self) {
        let connection = self.connection.take().filter(|connection| !connection.client.is_closed());
        self.database.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(connection);
    }
}

/// Errors in the address are shown to the user; all others are for the log.
fn connection_error(error: StoreError) -> IndexError {
    match error {
        StoreError::InvalidUrl(_) => IndexError::InvalidInput(error.to_string()),
        error => IndexError::storage(error),
    }
}

impl From<tokio_postgres::Error> for IndexError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::storage(error)
    }
}

/// Returns true if a retry may succeed: another transaction conflicted, dropped the vectors that
/// were read, or the connection was lost.
fn is_transient(error: &IndexError) -> bool {
    let IndexError::Storage(source) = error else { return false };
    let Some(error) = source.downcast_ref::<tokio_postgres::Error>() else { return false };
    let retryable = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::UNDEFINED_TABLE,
    ];
    error.is_closed() || error.code().is_some_and(|code| retryable.contains(code))
}

/// Runs the work in one transaction: `read` sees one snapshot of the database, `write` the latest
/// commits.
macro_rules! in_transaction {
    (read $engine:ident, $transaction:ident => $work:expr) => {
        in_transaction!($engine, IsolationLevel::RepeatableRead, true, $transaction => $work)
    };
    (write $engine:ident, $transaction:ident => $work:expr) => {
        in_transaction!($engine, IsolationLevel::ReadCommitted, false, $transaction => $work)
    };
    ($engine:ident, $isolation:expr, $read_only:expr, $transaction:ident => $work:expr) => {
        Box::pin(async move {
            let mut attempts = 0;
            loop {
                attempts += 1;
                let attempt = async {
                    let mut pooled = $engine.acquire().await?;
                    let begin = pooled.connection()?.client.build_transaction().isolation_level($isolation).read_only($read_only);
                    let transaction = begin.start().await?;
                    let $transaction = &transaction;
                    let result = $work.await?;
                    transaction.commit().await?;
                    Ok::<_, IndexError>(result)
                };
                match attempt.await {
                    Err(error) if attempts < MAX_ATTEMPTS && is_transient(&error) => {}
                    result => return result,
                }
            }
        })
    };
}

impl StorageEngine for PostgresEngine {
    fn create_collection(
        &self,
        name: String,
        settings: CollectionSettings,
    ) -> EngineFuture<'_, Collection> {
        in_transaction!(write self, transaction => collections::create(transaction, &name, &settings))
    }

    fn list_collections(&self, viewer: Viewer) -> EngineFuture<'_, Vec<Collection>> {
        in_transaction!(read self, transaction => collections::list(transaction, &viewer))
    }

    fn find_collection(
        &self,
        name: String,
        viewer: Viewer,
    ) -> EngineFuture<'_, Option<Collection>> {
        in_transaction!(read self, transaction => collections::find(transaction, &name, &viewer))
    }

    fn update_settings(
        &self,
        collection: i64,
        settings: CollectionSettings,
    ) -> EngineFuture<'_, ()> {
        in_transaction!(write self, transaction => collections::update_settings(transaction, collection, &settings))
    }

    fn delete_collection(&self, collection: i64) -> EngineFuture<'_, ()> {
        in_transaction!(write self, transaction => collections::delete(transaction, collection))
    }

    fn find_documents(
        &self,
        collection: i64,
        ids: Vec<String>,
    ) -> EngineFuture<'_, HashMap<String, StoredDocument>> {
        in_transaction!(read self, transaction => read::find_documents(transaction, collection, &ids))
    }

    fn find_vectors(
        &self,
        model: String,
        hashes: Vec<ContentHash>,
    ) -> EngineFuture<'_, HashMap<ContentHash, Vector>> {
        in_transaction!(read self, transaction => read::find_vectors(transaction, &model, &hashes))
    }

    fn put_documents(
        &self,
        collection: Collection,
        model: Option<EmbeddingModel>,
        documents: Vec<PreparedDocument>,
    ) -> EngineFuture<'_, ()> {
        let analyzer = self.analyzers.get(collection.settings.language);
        let documents = Arc::new(documents);
        in_transaction!(write self, transaction => write::put_documents(transaction, &analyzer, &collection, model.as_ref(), &documents))
    }

    fn record_failure(
        &self,
        collection: Collection,
        document: Document,
        reason: String,
    ) -> EngineFuture<'_, ()> {
        let analyzer = self.analyzers.get(collection.settings.language);
        in_transaction!(write self, transaction => write::record_failure(transaction, &analyzer, collection.id, &document, &reason))
    }

    fn remove_documents(
        &self,
        collection: Collection,
        ids: Vec<String>,
    ) -> EngineFuture<'_, usize> {
        let analyzer = self.analyzers.get(collection.settings.language);
        in_transaction!(write self, transaction => write::remove_documents(transaction, &analyzer, collection.id, &ids))
    }

    fn load_document(
        &self,
        collection: i64,
        id: String,
    ) -> EngineFuture<'_, Option<IndexedDocument>> {
        in_transaction!(read self, transaction => read::load_document(transaction, collection, &id))
    }

    fn list_documents(
        &self,
        collection: i64,
        viewer: Viewer,
        after: String,
        limit: usize,
    ) -> EngineFuture<'_, Vec<IndexedDocument>> {
        in_transaction!(read self, transaction => read::list_documents(transaction, collection, &viewer, &after, limit))
    }

    fn find_terms(
        &self,
        collection: i64,
        viewer: Viewer,
        terms: Vec<String>,
    ) -> EngineFuture<'_, Vec<String>> {
        in_transaction!(read self, transaction => search::find_terms(transaction, collection, &viewer, &terms))
    }

    fn search(&self, request: SearchRequest) -> EngineFuture<'_, Vec<ChunkHit>> {
        in_transaction!(read self, transaction => search::search(transaction, &request))
    }

    fn load_chunks(
        &self,
        document: i64,
        first: i64,
        last: i64,
    ) -> EngineFuture<'_, Vec<StoredChunk>> {
        in_transaction!(read self, transaction => read::load_chunks(transaction, document, first, last))
    }

    fn find_unembedded(
        &self,
        collection: i64,
        model: String,
        after: i64,
        limit: usize,
    ) -> EngineFuture<'_, Vec<UnembeddedChunk>> {
        in_transaction!(read self, transaction => read::find_unembedded(transaction, collection, &model, after, limit))
    }

    fn add_vectors(
        &self,
        collection: i64,
        model: String,
        vectors: Vec<(i64, Vector)>,
    ) -> EngineFuture<'_, ()> {
        in_transaction!(write self, transaction => write::add_vectors(transaction, collection, &model, &vectors))
    }

    fn adopt_model(&self, collection: i64, model: EmbeddingModel) -> EngineFuture<'_, bool> {
        in_transaction!(write self, transaction => write::adopt_model(transaction, collection, &model))
    }

    fn find_inconsistencies(&self) -> EngineFuture<'_, Vec<String>> {
        in_transaction!(read self, transaction => integrity::find_inconsistencies(transaction, &self.analyzers))
    }
}
