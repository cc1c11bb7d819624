//! Stores documents in the index, each in a collection.

use crate::{
    convert::{from_index_audience, to_index_audience, to_outcome, to_summary},
    document_reader::{self, UnreadableDocument},
    file_fingerprint::{FileFingerprint, file_digest},
    job_state::JobState,
    scope::{CollectionScope, check_name},
    searcher::{Searcher, to_pipe_error},
    valves::RagValves,
};
use pipe_sdk::{
    PipeError, Result,
    library::{
        Audience, CollectionUpdate, Content, DocumentSummary, IngestResult, Outcome, Upload,
    },
};
use retrieval::{CollectionSettings, Document, DocumentState, Index, IndexError, Language, Viewer};
use std::{collections::BTreeSet, sync::Arc};

/// The index, with the rules of the valves for what is stored in it.
pub(crate) struct DocumentStore {
    pub(crate) valves: Arc<RagValves>,
    pub(crate) scope: CollectionScope,
    pub(crate) searcher: Searcher,
    pub(crate) jobs: JobState,
}

impl DocumentStore {
    pub(crate) fn new(valves: Arc<RagValves>, scope: CollectionScope, searcher: Searcher) -> Self {
        Self { valves, scope, searcher, jobs: JobState::default() }
    }

    pub(crate) async fn index(&self) -> Result<&Index> {
        self.searcher.index.get().await
    }

    /// Reads and stores one document, and creates the collection if it does not exist. A document
    /// that cannot be read or stored fails alone; an error is one of the index.
    pub(crate) async fn ingest(&self, name: &str, mut upload: Upload) -> Result<IngestResult> {
        let id = upload.id.clone();
        if let Content::File { bytes, .. } = &upload.content
            && FileFingerprint::from_metadata(&upload.metadata).is_none()
        {
            let fingerprint = FileFingerprint::new(Some(file_digest(bytes)), None);
            if self.matches_stored(name, &upload, &fingerprint).await? {
                return Ok(IngestResult { id, outcome: Outcome::Unchanged });
            }
            fingerprint.insert_into(&mut upload.metadata);
        }
        let outcome = match document_reader::read_document(upload).await {
            Ok(document) => self.store(name, document).await?,
            Err(unreadable) => {
                let UnreadableDocument { document, reason } = *unreadable;
                self.record_failure(name, document, &reason).await?;
                Outcome::Failed { reason }
            }
        };
        Ok(IngestResult { id, outcome })
    }

    /// Returns true if the document of this file is stored already, with the same title, address,
    /// audience and metadata.
    async fn matches_stored(
        &self,
        name: &str,
        upload: &Upload,
        fingerprint: &FileFingerprint,
    ) -> Result<bool> {
        let stored = match self.index().await?.find_document(name, &upload.id).await {
            Ok(Some(stored)) => stored,
            Ok(None) | Err(IndexError::CollectionNotFound(_)) => return Ok(false),
            Err(error) => return Err(to_pipe_error(error)),
        };
        let has_failed = matches!(stored.state, DocumentState::Failed { .. });
        let known = FileFingerprint::from_metadata(&stored.metadata);
        let has_same_bytes = known.is_some_and(|known| known.sha256 == fingerprint.sha256);
        let is_own = |key: &&String| !key.starts_with("pipewright.");
        let stored_metadata = stored.metadata.iter().filter(|(key, _)| is_own(key));
        Ok(!has_failed
            && has_same_bytes
            && upload.url == stored.url
            && upload.title.as_ref().is_none_or(|title| *title == stored.title)
            && upload.metadata.iter().eq(stored_metadata)
            && upload.audience == from_index_audience(stored.audience))
    }

    /// Stores a document. Keyword search finds it at once; it is embedded later. One that the index
    /// refuses is recorded as failed.
    async fn store(&self, name: &str, document: Document) -> Result<Outcome> {
        self.ensure_collection(name).await?;
        let Document { id, title, url, audience, metadata, .. } = &document;
        let without_text = Document {
            id: id.clone(),
            title: title.clone(),
            text: String::new(),
            url: url.clone(),
            audience: audience.clone(),
            metadata: metadata.clone(),
            pages: Vec::new(),
        };
        let stored = self.index().await?.put_documents(name, vec![document], None).await;
        self.jobs.mark_pending(name);
        match stored {
            Ok(outcomes) => Ok(outcomes.into_iter().next().map_or(Outcome::Unchanged, to_outcome)),
            Err(IndexError::InvalidInput(reason)) => {
                self.record_failure(name, without_text, &reason).await?;
                Ok(Outcome::Failed { reason })
            }
            Err(error) => Err(to_pipe_error(error)),
        }
    }

    /// Records why a document could not be read, so that listings show it.
    pub(crate) async fn record_failure(
        &self,
        name: &str,
        document: Document,
        reason: &str,
    ) -> Result<()> {
        self.ensure_collection(name).await?;
        let index = self.index().await?;
        index.record_failure(name, document, reason).await.map_err(to_pipe_error)
    }

    /// Creates the collection unless it exists.
    pub(crate) async fn ensure_collection(&self, name: &str) -> Result<()> {
        match self.index().await?.get_collection(name, &Viewer::Operator).await {
            Ok(_) => Ok(()),
            Err(IndexError::CollectionNotFound(_)) => {
                match self.create_collection(name, CollectionUpdate::default()).await {
                    // Another request may have created it meanwhile.
                    Err(PipeError::Conflict(_)) | Ok(_) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(to_pipe_error(error)),
        }
    }

    pub(crate) async fn create_collection(
        &self,
        name: &str,
        settings: CollectionUpdate,
    ) -> Result<retrieval::Collection> {
        check_name(name).map_err(|rule| PipeError::bad_field("name", format!("name: {rule}")))?;
        let audience = settings.audience.unwrap_or_else(|| self.default_audience(name));
        let settings = CollectionSettings {
            language: parse_language(settings.language.as_deref())?,
            chunk_tokens: settings.chunk_tokens.unwrap_or_else(|| self.default_chunk_tokens()),
            audience: to_index_audience(audience),
            follows_default: settings.chunk_tokens.is_none(),
            needs_rechunk: false,
        };
        self.index().await?.create_collection(name, settings).await.map_err(to_pipe_error)
    }

    /// Returns the chunk size of collections that do not set one.
    pub(crate) fn default_chunk_tokens(&self) -> usize {
        self.valves.default_chunk_tokens(self.searcher.embeddings.is_local())
    }

    /// Returns the audience of collections that do not set one: the roles that the valves name for
    /// it.
    fn default_audience(&self, name: &str) -> Audience {
        match self.scope.roles(name) {
            None => Audience::Everyone,
            Some(roles) => Audience::Only { users: BTreeSet::new(), roles: roles.clone() },
        }
    }

    /// Returns up to `limit` documents of a collection, ordered by id, after this one.
    pub(crate) async fn list_documents(
        &self,
        collection: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<DocumentSummary>> {
        let index = self.index().await?;
        let viewer = Viewer::Operator;
        let settings = index.get_collection(collection, &viewer).await;
        let has_model = settings.map_err(to_pipe_error)?.model.is_some();
        let has_vectors = has_model && self.searcher.embeddings.missing_reason().is_none();
        let listed = index.list_documents(collection, &viewer, after, limit).await;
        let listed = listed.map_err(to_pipe_error)?.into_iter();
        Ok(listed.map(|document| to_summary(document, has_vectors)).collect())
    }

    /// Removes documents from a collection, and returns the number of those that existed.
    pub(crate) async fn remove_documents(
        &self,
        collection: &str,
        ids: Vec<String>,
    ) -> Result<usize> {
        let index = self.index().await?;
        index.remove_documents(collection, ids).await.map_err(to_pipe_error)
    }
}

fn parse_language(name: Option<&str>) -> Result<Language> {
    let Some(name) = name else { return Ok(Language::default()) };
    serde_json::from_value(name.to_lowercase().into()).map_err(|_| {
        let message = "language: must be `auto`, `other`, or one of those in docs/rag.md, as in `english` or `german`";
        PipeError::bad_field("language", message)
    })
}
