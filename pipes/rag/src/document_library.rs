//! The library of the pipe: collections and documents, and the background jobs over them.

use crate::{
    convert::{from_index_audience, to_index_audience, to_outcome, to_search_hit, to_summary},
    document_reader::{self, UnreadableDocument},
    file_fingerprint::{FileFingerprint, file_digest},
    scope::{CollectionScope, check_name},
    searcher::{SearchRequest, Searcher, to_pipe_error, to_viewer},
    valves::RagValves,
    watched_folder::WatchedFolder,
};
use futures_util::{FutureExt, future::BoxFuture};
use pipe_sdk::{
    Host, PipeError, Result,
    library::{
        Audience, Collection, CollectionUpdate, Content, DocumentSummary, IngestResult, Library,
        Outcome, Search, SearchResults, Upload,
    },
};
use retrieval::{
    CollectionSettings, Document, DocumentState, Embedder, Index, IndexError, Language,
    MAX_QUERY_CHARS, Viewer, check_document_id,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The documents of the pipe.
pub(crate) struct DocumentLibrary {
    pub(crate) valves: Arc<RagValves>,
    pub(crate) scope: CollectionScope,
    pub(crate) searcher: Searcher,
    pub(crate) watched: Option<WatchedFolder>,
    /// Held while background jobs run, so that nothing is done twice.
    running: tokio::sync::Mutex<()>,
    jobs: Mutex<JobState>,
}

/// The state of the background jobs.
#[derive(Default)]
struct JobState {
    /// The collections to look at in the next pass; `None` for all of them.
    pending: Option<BTreeSet<String>>,
    /// The embedding model of the last pass.
    model: Option<String>,
    /// The reasons why collections are not embedded or cut as they should be.
    problems: BTreeMap<String, String>,
}

impl DocumentLibrary {
    pub(crate) fn new(
        valves: Arc<RagValves>,
        scope: CollectionScope,
        searcher: Searcher,
        is_first: bool,
    ) -> Self {
        let watched = valves
            .watched_folder()
            .map(|folder| WatchedFolder::new(folder, valves.watched_audience(), is_first));
        let (running, jobs) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { valves, scope, searcher, watched, running, jobs }
    }

    async fn index(&self) -> Result<&Index> {
        self.searcher.index.get().await
    }

    fn jobs(&self) -> MutexGuard<'_, JobState> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.mark_pending(name);
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
    async fn ensure_collection(&self, name: &str) -> Result<()> {
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

    async fn create_collection(
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
    fn default_chunk_tokens(&self) -> usize {
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

    fn to_collection(&self, collection: retrieval::Collection) -> Collection {
        let retrieval::Collection { name, settings, model, .. } = collection;
        let language = serde_json::to_value(settings.language).unwrap_or_default();
        Collection {
            trouble: self.find_problem(&name, settings.chunk_tokens),
            name,
            language: language.as_str().unwrap_or_default().to_owned(),
            chunk_tokens: settings.chunk_tokens,
            audience: from_index_audience(settings.audience),
            model: model.map(|model| model.id),
        }
    }

    /// Returns the reason why a collection is not up to date, or is not searched by all that it
    /// could be.
    fn find_problem(&self, name: &str, chunk_tokens: usize) -> Option<String> {
        let embeddings = &self.searcher.embeddings;
        let watched = self.watched.as_ref().filter(|_| name == self.scope.first());
        let is_cut = embeddings.is_local() && chunk_tokens > self.valves.default_chunk_tokens(true);
        watched
            .and_then(WatchedFolder::problem)
            .or_else(|| self.jobs().problems.get(name).cloned())
            .or_else(|| {
                embeddings
                    .missing_reason()
                    .map(|reason| format!("words alone are searched: {reason}"))
            })
            .or_else(|| is_cut.then(|| self.valves.chunk_size_problem(chunk_tokens)))
    }

    /// Lets the embedding model follow what is available.
    async fn refresh_embeddings(&self, host: &Host) {
        let all = match self.index().await {
            Ok(index) => index.list_collections(&Viewer::Operator).await.map_err(to_pipe_error),
            Err(error) => Err(error),
        };
        // Without the index nothing is embedded, so the choice can wait.
        if let Ok(all) = all {
            let all: Vec<_> = all.iter().collect();
            self.searcher.embeddings.refresh(host, &all).await;
        }
    }

    fn mark_pending(&self, name: &str) {
        if let Some(pending) = self.jobs().pending.as_mut() {
            pending.insert(name.to_owned());
        }
    }

    /// Returns the collections to look at, and clears the list.
    async fn take_pending(&self) -> Result<BTreeSet<String>> {
        if let Some(pending) = self.jobs().pending.replace(BTreeSet::new()) {
            return Ok(pending);
        }
        let all = self.index().await?.list_collections(&Viewer::Operator).await;
        Ok(all.map_err(to_pipe_error)?.into_iter().map(|collection| collection.name).collect())
    }

    /// Embeds new chunks, and cuts collections whose chunk size has changed. What fails is tried
    /// again in the next pass.
    async fn update_collections(&self, host: &Host) -> Result<()> {
        let Searcher { embeddings, query_cache, .. } = &self.searcher;
        let embedder = embeddings.embedder(host, query_cache);
        let embedder = embedder.as_ref().map(|embedder| embedder as &dyn Embedder);
        {
            let mut jobs = self.jobs();
            let model = embedder.map(|embedder| embedder.model().to_owned());
            if jobs.model != model {
                (jobs.model, jobs.pending) = (model, None);
            }
        }
        for name in self.take_pending().await? {
            let problem = match self.update_collection(&name, embedder).await {
                Ok(()) | Err(IndexError::CollectionNotFound(_)) => None,
                Err(error) => {
                    self.mark_pending(&name);
                    Some(format!("words alone are searched as yet: {error}"))
                }
            };
            self.set_problem(name, problem);
        }
        Ok(())
    }

    /// Embeds a collection, then cuts it anew if its chunk size has changed. Meanwhile searches use
    /// what was there before.
    async fn update_collection(
        &self,
        name: &str,
        embedder: Option<&dyn Embedder>,
    ) -> Result<(), IndexError> {
        let index = self.index().await.map_err(|error| IndexError::Storage(error.into()))?;
        index.follow_chunk_size(name, self.default_chunk_tokens()).await?;
        if let Some(embedder) = embedder {
            let texts = index.embed_collection(name, embedder).await?;
            if texts > 0 {
                let model = embedder.model();
                tracing::info!(collection = name, model, texts, "Texts were embedded.");
            }
        }
        let documents = index.rechunk_collection(name, embedder).await?;
        if documents > 0 {
            tracing::info!(collection = name, documents, "Documents were cut anew.");
        }
        Ok(())
    }

    fn set_problem(&self, name: String, problem: Option<String>) {
        let mut jobs = self.jobs();
        let Some(problem) = problem else {
            jobs.problems.remove(&name);
            return;
        };
        if jobs.problems.get(&name) != Some(&problem) {
            tracing::warn!(collection = name, "A collection has a problem: `/rag` tells which.");
            // An upstream may quote the texts.
            tracing::debug!(collection = name, "{problem}");
            jobs.problems.insert(name, problem);
        }
    }
}

impl Library for DocumentLibrary {
    fn collections(&self) -> BoxFuture<'_, Result<Vec<Collection>>> {
        async {
            let all = self.index().await?.list_collections(&Viewer::Operator).await;
            let all = all.map_err(to_pipe_error)?.into_iter();
            Ok(all.map(|collection| self.to_collection(collection)).collect())
        }
        .boxed()
    }

    fn create(
        &self,
        name: String,
        settings: CollectionUpdate,
    ) -> BoxFuture<'_, Result<Collection>> {
        async move { Ok(self.to_collection(self.create_collection(&name, settings).await?)) }
            .boxed()
    }

    fn update(
        &self,
        name: String,
        settings: CollectionUpdate,
    ) -> BoxFuture<'_, Result<Collection>> {
        async move {
            if settings.language.is_some() {
                let message = "language: cannot be changed; make another collection";
                return Err(PipeError::bad_field("language", message));
            }
            let index = self.index().await?;
            if let Some(tokens) = settings.chunk_tokens {
                index.set_chunk_size(&name, tokens).await.map_err(to_pipe_error)?;
                self.mark_pending(&name);
            }
            if let Some(audience) = settings.audience {
                let audience = to_index_audience(audience);
                index.set_audience(&name, audience).await.map_err(to_pipe_error)?;
            }
            let updated = index.get_collection(&name, &Viewer::Operator).await;
            Ok(self.to_collection(updated.map_err(to_pipe_error)?))
        }
        .boxed()
    }

    fn delete(&self, name: String) -> BoxFuture<'_, Result<()>> {
        async move { self.index().await?.delete_collection(&name).await.map_err(to_pipe_error) }
            .boxed()
    }

    fn put_documents(
        &self,
        collection: String,
        uploads: Vec<Upload>,
    ) -> BoxFuture<'_, Result<Vec<IngestResult>>> {
        async move {
            // An invalid id cannot be listed as failed, so nothing is stored then.
            for upload in &uploads {
                check_document_id(&upload.id).map_err(to_pipe_error)?;
            }
            self.ensure_collection(&collection).await?;
            let mut results = Vec::new();
            for upload in uploads {
                results.push(self.ingest(&collection, upload).await?);
            }
            Ok(results)
        }
        .boxed()
    }

    fn documents(
        &self,
        collection: String,
        after: String,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DocumentSummary>>> {
        async move {
            let index = self.index().await?;
            let viewer = Viewer::Operator;
            let settings = index.get_collection(&collection, &viewer).await;
            let has_model = settings.map_err(to_pipe_error)?.model.is_some();
            let has_vectors = has_model && self.searcher.embeddings.missing_reason().is_none();
            let listed = index.list_documents(&collection, &viewer, &after, limit).await;
            let listed = listed.map_err(to_pipe_error)?.into_iter();
            Ok(listed.map(|document| to_summary(document, has_vectors)).collect())
        }
        .boxed()
    }

    fn remove(&self, collection: String, ids: Vec<String>) -> BoxFuture<'_, Result<usize>> {
        async move {
            let index = self.index().await?;
            index.remove_documents(&collection, ids).await.map_err(to_pipe_error)
        }
        .boxed()
    }

    fn search(&self, search: Search, host: Host) -> BoxFuture<'_, Result<SearchResults>> {
        async move {
            let Search { collection, query, reader, top_k } = search;
            if query.chars().count() > MAX_QUERY_CHARS {
                let rule = format!("query: must have at most {MAX_QUERY_CHARS} characters");
                return Err(PipeError::bad_field("query", rule));
            }
            let viewer = to_viewer(reader);
            // A collection that the viewer may not see counts as not found.
            if !self.scope.allows(&collection, &viewer) {
                return Err(to_pipe_error(IndexError::CollectionNotFound(collection)));
            }
            let index = self.index().await?;
            index.get_collection(&collection, &viewer).await.map_err(to_pipe_error)?;
            let request = SearchRequest {
                valves: &self.valves,
                collections: &[&collection],
                query: &query,
                viewer: &viewer,
                top_k: top_k.unwrap_or(self.valves.top_k),
            };
            let results = self.searcher.search(request, &host).await?;
            let notes = results.words_only.into_iter().chain(results.not_reranked).collect();
            Ok(SearchResults {
                chunks: results.hits.into_iter().map(to_search_hit).collect(),
                notes,
            })
        }
        .boxed()
    }

    fn run_background_jobs(&self, host: Host) -> BoxFuture<'_, ()> {
        async move {
            let _running = self.running.lock().await;
            self.refresh_embeddings(&host).await;
            if let Some(watched) = &self.watched {
                watched.sync(self).await;
            }
            if let Err(error) = self.update_collections(&host).await {
                tracing::warn!(error = error.kind(), "Texts wait for their vectors.");
                // An upstream may quote the texts.
                tracing::debug!(%error, "Why texts wait for their vectors.");
            }
        }
        .boxed()
    }
}

fn parse_language(name: Option<&str>) -> Result<Language> {
    let Some(name) = name else { return Ok(Language::default()) };
    serde_json::from_value(name.to_lowercase().into()).map_err(|_| {
        let message = "language: must be `auto`, `other`, or one of those in docs/rag.md, as in `english` or `german`";
        PipeError::bad_field("language", message)
    })
}
