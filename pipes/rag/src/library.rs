//! The documents as those see them who keep them: collections, what goes in and out, and what is still to be done.

use crate::{
    finder::{Finder, told, viewer},
    folder::Watched,
    reading,
    scope::{Scope, check_name},
    valves::RagValves,
};
use futures_util::{FutureExt, future::BoxFuture};
use pipe_sdk::{
    Host, PipeError, Result,
    library::{
        Audience, Collection, CollectionUpdate, DocumentStatus, DocumentSummary, IngestResult,
        Library, Outcome, Search, SearchHit, SearchResults, Upload,
    },
};
use retrieval::{
    CollectionSettings, Document, DocumentState, Embedder, Index, IndexError, Language,
    MAX_QUERY_CHARS, Viewer,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

/// The documents of a pipe.
pub(crate) struct Shelves {
    pub(crate) valves: Arc<RagValves>,
    pub(crate) scope: Scope,
    pub(crate) finder: Finder,
    pub(crate) watched: Option<Watched>,
    /// Held while the rest is done, so that nothing is done twice.
    tending: tokio::sync::Mutex<()>,
    /// Collections in which texts may wait for their vectors. None: nobody has looked yet.
    waiting: Mutex<Option<BTreeSet<String>>>,
    /// Why collections are not searched by all that they could be.
    troubles: Mutex<BTreeMap<String, String>>,
}

impl Shelves {
    pub(crate) fn new(
        valves: Arc<RagValves>,
        scope: Scope,
        finder: Finder,
        is_first: bool,
    ) -> Self {
        let watched = valves
            .watched_folder()
            .map(|folder| Watched::new(folder, valves.watched_audience(), is_first));
        Self {
            valves,
            scope,
            finder,
            watched,
            tending: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
            troubles: Mutex::default(),
        }
    }

    async fn index(&self) -> Result<&Index> {
        self.finder.place.index().await
    }

    /// Stores documents, and makes the collection if need be. Their words are found at once; their vectors come later.
    pub(crate) async fn store(&self, name: &str, documents: Vec<Document>) -> Result<Vec<Outcome>> {
        self.open(name).await?;
        let outcomes =
            self.index().await?.put_documents(name, documents, None).await.map_err(told)?;
        self.wait_for(name);
        Ok(outcomes.into_iter().map(outcome).collect())
    }

    /// Notes that a document could not be read.
    pub(crate) async fn fail(&self, name: &str, document: Document, reason: &str) -> Result<()> {
        self.open(name).await?;
        self.index().await?.record_failure(name, document, reason).await.map_err(told)
    }

    /// Makes the collection unless it is there.
    async fn open(&self, name: &str) -> Result<()> {
        match self.index().await?.get_collection(name, &Viewer::Operator).await {
            Ok(_) => Ok(()),
            Err(IndexError::CollectionNotFound(_)) => {
                match self.made(name, CollectionUpdate::default()).await {
                    // Somebody else was quicker.
                    Err(PipeError::Conflict(_)) | Ok(_) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(told(error)),
        }
    }

    async fn made(&self, name: &str, rules: CollectionUpdate) -> Result<retrieval::Collection> {
        check_name(name).map_err(|rule| PipeError::bad_field("name", format!("name: {rule}")))?;
        let audience = rules.audience.unwrap_or_else(|| self.audience(name));
        let settings = CollectionSettings {
            language: language(rules.language.as_deref())?,
            chunk_tokens: rules.chunk_tokens.unwrap_or_else(|| self.valves.chunk_tokens()),
            audience: seen_by(audience),
        };
        self.index().await?.create_collection(name, settings).await.map_err(told)
    }

    /// Who may see a new collection when nobody said: those whom the valves name for it.
    fn audience(&self, name: &str) -> Audience {
        match self.scope.roles(name) {
            None => Audience::Everyone,
            Some(roles) => Audience::Only { users: BTreeSet::new(), roles: roles.clone() },
        }
    }

    fn shown(&self, collection: retrieval::Collection) -> Collection {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let retrieval::Collection { name, settings, model, .. } = collection;
        let language = serde_json::to_value(settings.language).unwrap_or_default();
        Collection {
            trouble: troubles
                .get(&name)
                .cloned()
                .or_else(|| self.finder.meaning.missing().map(str::to_owned))
                .or_else(|| self.valves.half_read(settings.chunk_tokens)),
            name,
            language: language.as_str().unwrap_or_default().to_owned(),
            chunk_tokens: settings.chunk_tokens,
            audience: seen(settings.audience),
            model: model.map(|model| model.id),
        }
    }

    fn wait_for(&self, name: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = waiting.as_mut() {
            waiting.insert(name.to_owned());
        }
    }

    /// The collections to look into; from now on others are noted.
    async fn waiting(&self) -> Result<BTreeSet<String>> {
        let noted = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.replace(BTreeSet::new())
        };
        if let Some(noted) = noted {
            return Ok(noted);
        }
        let all = self.index().await?.list_collections(&Viewer::Operator).await.map_err(told)?;
        Ok(all.into_iter().map(|collection| collection.name).collect())
    }

    /// Gives every text its vector that waits for one. What fails is tried again the next time.
    async fn embed(&self, host: &Host) -> Result<()> {
        let Some(embedder) = self.finder.meaning.embedder(host, &self.finder.memory) else {
            return Ok(());
        };
        for name in self.waiting().await? {
            let trouble = match self.index().await?.embed_collection(&name, &embedder).await {
                Ok(0) | Err(IndexError::CollectionNotFound(_)) => None,
                Ok(texts) => {
                    let model = embedder.model();
                    tracing::info!(collection = name, model, texts, "Texts were embedded.");
                    None
                }
                Err(error) => {
                    self.wait_for(&name);
                    Some(format!("words alone are searched as yet: {error}"))
                }
            };
            self.note(name, trouble);
        }
        Ok(())
    }

    fn note(&self, name: String, trouble: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(trouble) => {
                if troubles.get(&name) != Some(&trouble) {
                    tracing::warn!(
                        collection = name,
                        "A collection is not well: `/rag` tells why."
                    );
                    // An upstream may quote the texts.
                    tracing::debug!(collection = name, "{trouble}");
                    troubles.insert(name, trouble);
                }
            }
            None => _ = troubles.remove(&name),
        }
    }
}

impl Library for Shelves {
    fn collections(&self) -> BoxFuture<'_, Result<Vec<Collection>>> {
        async {
            let all =
                self.index().await?.list_collections(&Viewer::Operator).await.map_err(told)?;
            Ok(all.into_iter().map(|collection| self.shown(collection)).collect())
        }
        .boxed()
    }

    fn create(&self, name: String, rules: CollectionUpdate) -> BoxFuture<'_, Result<Collection>> {
        async move { Ok(self.shown(self.made(&name, rules).await?)) }.boxed()
    }

    fn change(&self, name: String, rules: CollectionUpdate) -> BoxFuture<'_, Result<Collection>> {
        async move {
            if rules.language.is_some() {
                let message = "language: cannot be changed; make another collection";
                return Err(PipeError::bad_field("language", message));
            }
            if let Some(tokens) = rules.chunk_tokens {
                self.index().await?.set_chunk_size(&name, tokens).await.map_err(told)?;
            }
            if let Some(audience) = rules.audience {
                self.index().await?.set_audience(&name, seen_by(audience)).await.map_err(told)?;
            }
            let changed =
                self.index().await?.get_collection(&name, &Viewer::Operator).await.map_err(told)?;
            Ok(self.shown(changed))
        }
        .boxed()
    }

    fn forget(&self, name: String) -> BoxFuture<'_, Result<()>> {
        async move { self.index().await?.delete_collection(&name).await.map_err(told) }.boxed()
    }

    fn put(
        &self,
        collection: String,
        uploads: Vec<Upload>,
    ) -> BoxFuture<'_, Result<Vec<IngestResult>>> {
        async move {
            self.open(&collection).await?;
            let mut filed = Vec::new();
            for upload in uploads {
                let id = upload.id.clone();
                let outcome = match reading::document(upload).await {
                    Ok(document) => self.store(&collection, vec![document]).await?.pop(),
                    Err(unread) => {
                        self.fail(&collection, unread.document, &unread.reason).await?;
                        Some(Outcome::Failed { reason: unread.reason })
                    }
                };
                filed.extend(outcome.map(|outcome| IngestResult { id, outcome }));
            }
            Ok(filed)
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
            let listed = self
                .index()
                .await?
                .list_documents(&collection, &Viewer::Operator, &after, limit)
                .await;
            Ok(listed.map_err(told)?.into_iter().map(kept).collect())
        }
        .boxed()
    }

    fn remove(&self, collection: String, ids: Vec<String>) -> BoxFuture<'_, Result<usize>> {
        async move { self.index().await?.remove_documents(&collection, ids).await.map_err(told) }
            .boxed()
    }

    fn search(&self, search: Search, host: Host) -> BoxFuture<'_, Result<SearchResults>> {
        async move {
            let Search { collection, query, reader, top_k } = search;
            if query.chars().count() > MAX_QUERY_CHARS {
                let rule = format!("query: must have at most {MAX_QUERY_CHARS} characters");
                return Err(PipeError::bad_field("query", rule));
            }
            let viewer = viewer(reader);
            // To say that there is none, or none for them.
            if !self.scope.lets_in(&collection, &viewer) {
                return Err(told(IndexError::CollectionNotFound(collection)));
            }
            self.index().await?.get_collection(&collection, &viewer).await.map_err(told)?;
            let top_k = top_k.unwrap_or(self.valves.top_k);
            let answer = self
                .finder
                .find(&self.valves, &[&collection], &query, &viewer, top_k, &host)
                .await?;
            let notes = answer.words_only.into_iter().chain(answer.not_reranked).collect();
            Ok(SearchResults { chunks: answer.hits.into_iter().map(finding).collect(), notes })
        }
        .boxed()
    }

    fn tend(&self, host: Host) -> BoxFuture<'_, ()> {
        async move {
            let _tending = self.tending.lock().await;
            if let Some(watched) = &self.watched {
                watched.follow(self).await;
            }
            if let Err(error) = self.embed(&host).await {
                tracing::warn!(error = error.kind(), "Texts wait for their vectors.");
                // An upstream may quote the texts.
                tracing::debug!(%error, "Why texts wait for their vectors.");
            }
        }
        .boxed()
    }
}

fn language(name: Option<&str>) -> Result<Language> {
    let Some(name) = name else { return Ok(Language::default()) };
    serde_json::from_value(name.to_lowercase().into()).map_err(|_| {
        let message =
            "language: must be one whose words are known, as in `english` or `german`, or `other`";
        PipeError::bad_field("language", message)
    })
}

fn outcome(outcome: retrieval::PutOutcome) -> Outcome {
    match outcome {
        retrieval::PutOutcome::Unchanged => Outcome::Unchanged,
        retrieval::PutOutcome::Stored { chunks, .. } => Outcome::Stored { chunks },
    }
}

pub(crate) fn seen_by(audience: Audience) -> retrieval::IndexAudience {
    match audience {
        Audience::Everyone => retrieval::IndexAudience::Everyone,
        Audience::Only { users, roles } => retrieval::IndexAudience::Only { users, roles },
    }
}

fn seen(audience: retrieval::IndexAudience) -> Audience {
    match audience {
        retrieval::IndexAudience::Everyone => Audience::Everyone,
        retrieval::IndexAudience::Only { users, roles } => Audience::Only { users, roles },
    }
}

fn kept(listed: retrieval::IndexedDocument) -> DocumentSummary {
    let retrieval::IndexedDocument { id, title, url, audience, metadata, chunks, stored_at, state } =
        listed;
    let state = match state {
        DocumentState::Ready => DocumentStatus::Ready,
        DocumentState::WordsOnly => DocumentStatus::WordsOnly,
        DocumentState::Failed { reason } => DocumentStatus::Failed { reason },
    };
    DocumentSummary { id, title, url, audience: seen(audience), metadata, chunks, stored_at, state }
}

fn finding(hit: retrieval::SearchHit) -> SearchHit {
    let scores = hit.scores;
    SearchHit {
        chunk: hit.chunk,
        document: hit.document,
        title: hit.title,
        url: hit.url,
        heading: hit.heading,
        text: hit.text,
        tokens: hit.tokens,
        page: hit.page,
        score: scores.total,
        words: scores.bm25,
        words_rank: scores.bm25_rank,
        meaning: scores.cosine,
        meaning_rank: scores.cosine_rank,
        reranked: scores.rerank,
        matched: hit.matched_words,
    }
}
