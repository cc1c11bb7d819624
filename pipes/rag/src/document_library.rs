//! The library of the pipe: collections and documents, and the background jobs over them.

use crate::{
    convert::{from_index_audience, to_index_audience, to_search_hit},
    document_store::DocumentStore,
    embedding_jobs::{refresh_embeddings, update_collections},
    scope::CollectionScope,
    searcher::{SearchRequest, Searcher, to_pipe_error, to_viewer},
    valves::RagValves,
    watched_folder::WatchedFolder,
};
use futures_util::{FutureExt, future::BoxFuture};
use pipe_sdk::{
    Host, PipeError, Result,
    library::{
        Collection, CollectionUpdate, DocumentSummary, IngestResult, Library, Search,
        SearchResults, Upload,
    },
};
use retrieval::{IndexError, MAX_QUERY_CHARS, Viewer, check_document_id};
use std::sync::Arc;
use tokio::sync::Mutex;

/// The documents of the pipe.
pub(crate) struct DocumentLibrary {
    store: DocumentStore,
    pub(crate) watched: Option<WatchedFolder>,
    /// The lock that running background jobs hold, so that nothing is done twice.
    running: Mutex<()>,
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
        let store = DocumentStore::new(valves, scope, searcher);
        Self { store, watched, running: Mutex::default() }
    }

    fn to_collection(&self, collection: retrieval::Collection) -> Collection {
        let retrieval::Collection { name, settings, model, .. } = collection;
        let language = serde_json::to_value(settings.language).unwrap_or_default();
        Collection {
            problem: self.find_problem(&name, settings.chunk_tokens),
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
        let embeddings = &self.store.searcher.embeddings;
        let watched = self.watched.as_ref().filter(|_| name == self.store.scope.first());
        let is_cut =
            embeddings.is_local() && chunk_tokens > self.store.valves.default_chunk_tokens(true);
        watched
            .and_then(WatchedFolder::problem)
            .or_else(|| self.store.jobs.problem(name))
            .or_else(|| {
                embeddings
                    .missing_reason()
                    .map(|reason| format!("words alone are searched: {reason}"))
            })
            .or_else(|| is_cut.then(|| self.store.valves.chunk_size_problem(chunk_tokens)))
    }
}

impl Library for DocumentLibrary {
    fn collections(&self) -> BoxFuture<'_, Result<Vec<Collection>>> {
        async {
            let all = self.store.index().await?.list_collections(&Viewer::Operator).await;
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
        async move { Ok(self.to_collection(self.store.create_collection(&name, settings).await?)) }
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
            let index = self.store.index().await?;
            if let Some(tokens) = settings.chunk_tokens {
                index.set_chunk_size(&name, tokens).await.map_err(to_pipe_error)?;
                self.store.jobs.mark_pending(&name);
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
        async move { self.store.index().await?.delete_collection(&name).await.map_err(to_pipe_error) }
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
            self.store.ensure_collection(&collection).await?;
            let mut results = Vec::new();
            for upload in uploads {
                results.push(self.store.ingest(&collection, upload).await?);
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
        async move { self.store.list_documents(&collection, &after, limit).await }.boxed()
    }

    fn remove(&self, collection: String, ids: Vec<String>) -> BoxFuture<'_, Result<usize>> {
        async move { self.store.remove_documents(&collection, ids).await }.boxed()
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
            if !self.store.scope.allows(&collection, &viewer) {
                return Err(to_pipe_error(IndexError::CollectionNotFound(collection)));
            }
            let index = self.store.index().await?;
            index.get_collection(&collection, &viewer).await.map_err(to_pipe_error)?;
            let request = SearchRequest {
                valves: &self.store.valves,
                collections: &[&collection],
                query: &query,
                viewer: &viewer,
                top_k: top_k.unwrap_or(self.store.valves.top_k),
            };
            let results = self.store.searcher.search(request, &host).await?;
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
            refresh_embeddings(&self.store, &host).await;
            if let Some(watched) = &self.watched {
                watched.sync(&self.store).await;
            }
            if let Err(error) = update_collections(&self.store, &host).await {
                tracing::warn!(error = error.kind(), "Texts wait for their vectors.");
                // An upstream may quote the texts.
                tracing::debug!(%error, "Why texts wait for their vectors.");
            }
        }
        .boxed()
    }
}
