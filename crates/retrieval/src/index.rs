//! The index, which stores collections of documents and searches them.

use crate::analyzer::AnalyzerCache;
use crate::audience::{IndexAudience, Viewer};
use crate::collection::{Collection, CollectionSettings};
use crate::document::{Document, IndexedDocument, PutOutcome};
use crate::embedder::Embedder;
use crate::embedding::{attach_vectors, embed_collection, model_mismatch_error};
use crate::error::{IndexError, Result};
use crate::postgres::PostgresEngine;
use crate::prepare::{check_text_size, fingerprint, prepare, validate_document};
use crate::sqlite::SqliteEngine;
use crate::storage_engine::{PreparedDocument, StorageEngine, StoredDocument};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// An index of document collections with keyword and vector search. Clones share one index.
#[derive(Clone)]
pub struct Index {
    pub(crate) engine: Arc<dyn StorageEngine>,
    pub(crate) analyzers: Arc<AnalyzerCache>,
    /// Limits the concurrent large [`put_documents`](Index::put_documents) calls.
    large_puts: Arc<Semaphore>,
}

/// Calls with more bytes of text than this are limited to [`MAX_LARGE_PUTS`] at a time, which
/// bounds the memory.
const LARGE_PUT_BYTES: usize = 1 << 20;
const MAX_LARGE_PUTS: usize = 2;

impl Index {
    /// Opens the index in this file, and creates the file if it does not exist. Symbolic links are
    /// not followed.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let engine = tokio::task::spawn_blocking(move || SqliteEngine::open(&path))
            .await
            .map_err(IndexError::storage)??;
        Ok(Self::new(Arc::new(engine)))
    }

    /// Connects to the index in a PostgreSQL database (`postgres://…`, with pgvector 0.8 or later),
    /// which several hosts may share. Creates its tables, in a schema of their own, if they do not
    /// exist.
    pub async fn connect(url: &str) -> Result<Self> {
        Ok(Self::new(Arc::new(PostgresEngine::open(url).await?)))
    }

    fn new(engine: Arc<dyn StorageEngine>) -> Self {
        Self {
            engine,
            analyzers: Arc::default(),
            large_puts: Arc::new(Semaphore::new(MAX_LARGE_PUTS)),
        }
    }

    /// Creates a collection.
    pub async fn create_collection(
        &self,
        name: &str,
        settings: CollectionSettings,
    ) -> Result<Collection> {
        if !(1..=100).contains(&name.chars().count()) {
            return Err(IndexError::InvalidInput(
                "a collection's name has 1 to 100 characters".to_owned(),
            ));
        }
        self.engine.create_collection(name.to_owned(), check_settings(settings)?).await
    }

    /// Returns the collections that the viewer may see, ordered by name.
    pub async fn list_collections(&self, viewer: &Viewer) -> Result<Vec<Collection>> {
        self.engine.list_collections(viewer.clone()).await
    }

    /// Returns the collection of this name. A collection that the viewer may not see counts as not
    /// found.
    pub async fn get_collection(&self, name: &str, viewer: &Viewer) -> Result<Collection> {
        let collection = self.engine.find_collection(name.to_owned(), viewer.clone()).await?;
        collection.ok_or_else(|| IndexError::CollectionNotFound(name.to_owned()))
    }

    /// Changes the users who may see a collection.
    pub async fn set_audience(&self, name: &str, audience: IndexAudience) -> Result<()> {
        let collection = self.get_collection(name, &Viewer::Operator).await?;
        self.engine
            .update_settings(collection.id, CollectionSettings { audience, ..collection.settings })
            .await
    }

    /// Deletes a collection with its documents.
    pub async fn delete_collection(&self, name: &str) -> Result<()> {
        let collection = self.get_collection(name, &Viewer::Operator).await?;
        self.engine.delete_collection(collection.id).await
    }

    /// Sets the maximum tokens of a chunk for documents that are stored from now on. Stored
    /// documents keep their chunks until they are stored again, or until
    /// [`rechunk_collection`](Self::rechunk_collection) is called.
    pub async fn set_chunk_size(&self, name: &str, chunk_tokens: usize) -> Result<()> {
        let collection = self.get_collection(name, &Viewer::Operator).await?;
        self.update_chunk_size(collection, chunk_tokens, false).await
    }

    /// Sets the maximum tokens of a chunk for a collection that
    /// [follows the default](CollectionSettings::follows_default); changes no other one.
    pub async fn follow_chunk_size(&self, name: &str, chunk_tokens: usize) -> Result<()> {
        let collection = self.get_collection(name, &Viewer::Operator).await?;
        let settings = &collection.settings;
        if !settings.follows_default || settings.chunk_tokens == chunk_tokens {
            return Ok(());
        }
        self.update_chunk_size(collection, chunk_tokens, true).await
    }

    async fn update_chunk_size(
        &self,
        collection: Collection,
        chunk_tokens: usize,
        follows_default: bool,
    ) -> Result<()> {
        let settings = collection.settings;
        let needs_rechunk = settings.needs_rechunk || settings.chunk_tokens != chunk_tokens;
        let settings =
            CollectionSettings { chunk_tokens, follows_default, needs_rechunk, ..settings };
        self.engine.update_settings(collection.id, check_settings(settings)?).await
    }

    /// Stores documents in one transaction; each replaces the stored one of its id. A search sees
    /// all of the old or all of the new documents. They are durable when this returns. Texts that
    /// the model has embedded before are not embedded again. Without an embedder, only keyword
    /// search finds the documents until [`embed_collection`](Self::embed_collection) is called. A
    /// text may have 16 MiB.
    pub async fn put_documents(
        &self,
        name: &str,
        documents: Vec<Document>,
        embedder: Option<&dyn Embedder>,
    ) -> Result<Vec<PutOutcome>> {
        documents.iter().try_for_each(check_text_size)?;
        let bytes: usize = documents.iter().map(|document| document.text.len()).sum();
        let _permit = match bytes > LARGE_PUT_BYTES {
            true => Some(self.large_puts.acquire().await.map_err(IndexError::storage)?),
            false => None,
        };
        let collection = self.get_collection(name, &Viewer::Operator).await?;
        if let Some((stored_model, embedder)) = collection
            .model
            .as_ref()
            .zip(embedder)
            .filter(|(stored_model, embedder)| stored_model.id != embedder.model())
        {
            return Err(model_mismatch_error(
                name,
                stored_model,
                &format!("`{}`", embedder.model()),
            ));
        }
        let mut outcomes = vec![PutOutcome::Unchanged; documents.len()];
        let (input_indexes, mut prepared) =
            self.prepare_changed(&collection, documents, embedder.is_some()).await?;
        let (model, embedded) =
            attach_vectors(&*self.engine, &collection, &mut prepared, embedder).await?;
        for ((index, prepared), embedded) in input_indexes.into_iter().zip(&prepared).zip(embedded)
        {
            outcomes[index] = PutOutcome::Stored { chunks: prepared.chunks.len(), embedded };
        }
        if !prepared.is_empty() {
            self.engine.put_documents(collection, model, prepared).await?;
        }
        Ok(outcomes)
    }

    /// Prepares the documents that differ from the stored ones, and returns them with their indexes
    /// in the input. Of several with one id, the last counts.
    async fn prepare_changed(
        &self,
        collection: &Collection,
        documents: Vec<Document>,
        has_embedder: bool,
    ) -> Result<(Vec<usize>, Vec<PreparedDocument>)> {
        let ids = documents.iter().map(|document| document.id.clone()).collect();
        let stored = self.engine.find_documents(collection.id, ids).await?;
        let settings = collection.settings.clone();
        let analyzer = self.analyzers.get(settings.language);
        let lacks_model = collection.model.is_none();
        let needs_update = move |document: &StoredDocument| {
            document.failed || (has_embedder && (document.lacks_vectors || lacks_model))
        };
        let prepare = move || {
            let mut changed: Vec<(usize, PreparedDocument)> = Vec::new();
            for (at, document) in documents.into_iter().enumerate() {
                let fingerprint = fingerprint(&document, &settings);
                changed.retain(|(_, earlier)| earlier.document.id != document.id);
                let current = stored.get(&document.id).filter(|document| !needs_update(document));
                if current.is_none_or(|current| current.fingerprint != fingerprint) {
                    changed.push((at, prepare(document, fingerprint, &settings, &analyzer)?));
                }
            }
            Ok(changed.into_iter().unzip())
        };
        // Splitting and hashing take processor time, so they run on the blocking pool.
        tokio::task::spawn_blocking(prepare).await.map_err(IndexError::storage)?
    }

    /// Embeds every chunk of a collection that has no vector of this embedder's model, then makes
    /// that model the collection's. Returns the number of embedded texts. Until then, searches use
    /// the old vectors. Each batch is committed: after a crash, the next call continues there.
    pub async fn embed_collection(&self, name: &str, embedder: &dyn Embedder) -> Result<usize> {
        let collection = self.get_collection(name, &Viewer::Operator).await?;
        embed_collection(&*self.engine, collection, embedder).await
    }

    /// Records that a document could not be read, so that listings show the reason. A stored
    /// earlier version stays searchable, for the audience of the new one. The next
    /// [`put_documents`](Self::put_documents) of the document clears the failure. The text of
    /// `document` is ignored.
    pub async fn record_failure(&self, name: &str, document: Document, reason: &str) -> Result<()> {
        let collection = self.get_collection(name, &Viewer::Operator).await?;
        self.engine
            .record_failure(collection, validate_document(document)?, reason.replace('\0', " "))
            .await
    }

    /// Removes documents from a collection, and returns the number of those that existed.
    pub async fn remove_documents(&self, name: &str, ids: Vec<String>) -> Result<usize> {
        let collection = self.get_collection(name, &Viewer::Operator).await?;
        self.engine.remove_documents(collection, ids).await
    }

    /// Returns a document of a collection.
    pub async fn find_document(&self, name: &str, id: &str) -> Result<Option<IndexedDocument>> {
        let collection = self.get_collection(name, &Viewer::Operator).await?;
        self.engine.load_document(collection.id, id.to_owned()).await
    }

    /// Returns up to `limit` documents of a collection that the viewer may see, ordered by id,
    /// after this one ("" for the first page).
    pub async fn list_documents(
        &self,
        name: &str,
        viewer: &Viewer,
        after: &str,
        limit: usize,
    ) -> Result<Vec<IndexedDocument>> {
        let collection = self.get_collection(name, viewer).await?;
        self.engine.list_documents(collection.id, viewer.clone(), after.to_owned(), limit).await
    }

    /// Checks the whole index, and returns a description of each inconsistency; an empty list if it
    /// is sound. Reads all data.
    pub async fn find_inconsistencies(&self) -> Result<Vec<String>> {
        self.engine.find_inconsistencies().await
    }
}

fn check_settings(settings: CollectionSettings) -> Result<CollectionSettings> {
    if !(32..=2048).contains(&settings.chunk_tokens) {
        return Err(IndexError::InvalidInput(format!(
            "`chunk_tokens` is {}: it must be between 32 and 2048",
            settings.chunk_tokens
        )));
    }
    Ok(settings)
}
