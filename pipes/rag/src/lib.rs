//! Answers chats from documents: finds the passages that help, puts them before a model as numbered
//! sources, and shows where an answer comes from.
//!
//! The pipe is a manifold: each generator of the valves gets a model, `rag.` and its id. Or it is a
//! filter, which puts the sources into chats with any model. The documents are stored in an index
//! of the crate `retrieval`; [`library`](Pipe::library) manages them.

mod chat;
mod citations;
mod confined_folder;
mod convert;
mod document_library;
mod document_reader;
mod document_store;
mod embedding_jobs;
mod embedding_source;
mod escape;
mod file_fingerprint;
mod filter;
mod index_handle;
mod job_state;
mod prompt;
mod question;
mod rerank;
mod scope;
mod searcher;
mod small_talk;
mod sources;
mod valves;
mod watched_folder;

pub use confined_folder::FolderListing;
pub use document_parser::worker::run as parse;
pub use document_reader::PARSE;
pub use file_fingerprint::{FileStamp, file_digest};
pub use valves::RagValves;
pub use watched_folder::list_files;

use document_library::DocumentLibrary;
use embedding_source::EmbeddingSource;
use index_handle::IndexHandle;
use pipe_sdk::{
    Call, ChunkStream, FilterBody, FilterCall, Model, ModelResolution, Pipe, PipeError, Result,
    Serves, ValveError, library::Library, split_list,
};
use prompt::PromptTemplate;
use rerank::LocalRerankerSource;
use scope::CollectionScope;
use searcher::Searcher;
use std::{collections::BTreeSet, sync::Arc};

/// The metadata of a document that holds the digest of its file, as `{"sha256": "…"}`.
pub const FILE_METADATA: &str = file_fingerprint::FILE;

/// The pipe.
pub struct Rag {
    valves: Arc<RagValves>,
    scope: CollectionScope,
    template: PromptTemplate,
    searcher: Searcher,
    library: Arc<DocumentLibrary>,
}

impl Pipe for Rag {
    const ID: &'static str = "rag";
    const NAME: &'static str = "Answers from documents";
    type Valves = RagValves;

    async fn on_startup(valves: RagValves) -> Result<Self> {
        Self::start(valves, true).await
    }

    async fn on_valves_updated(&self, valves: RagValves) -> Result<Self> {
        if !self.searcher.index.matches(&valves) {
            return Self::start(valves, false).await;
        }
        let mut searcher = self.searcher.clone();
        if !searcher.embeddings.matches(&valves) {
            searcher.embeddings = Arc::new(EmbeddingSource::new(&valves).await);
        }
        if !searcher.local_reranker.matches(&valves) {
            searcher.local_reranker = Arc::new(LocalRerankerSource::new(&valves));
        }
        let watched = self
            .library
            .watched
            .as_ref()
            .filter(|_| valves.watched_folder == self.valves.watched_folder);
        let is_first = watched.is_some_and(|watched| watched.is_first);
        Self::new(valves, searcher, is_first)
    }

    fn serves(&self) -> Serves {
        let RagValves { filter, pipelines, priority, generators, .. } = self.valves.as_ref();
        if *filter {
            return Serves::Filter { pipelines: pipelines.clone(), priority: *priority };
        }
        let model = |id: &str| {
            Model::new(id, format!("{id} with documents"))
                .with_name_templates([format!("Documents · {{{id}}}"), format!("Docs · {{{id}}}")])
                .with_description("Answers from your documents, and shows where from.")
                .with_tag("documents")
                .with_capability("citations", true)
                .with_capability("usage", true)
        };
        let generators: BTreeSet<&str> = split_list(generators).collect();
        Serves::manifold(generators.into_iter().map(model).collect::<Vec<_>>())
    }

    /// Returns `None`: without the prefix `rag.`, the ids are those of the generators, which other
    /// pipes serve.
    fn resolve_model(&self, _id: &str) -> Option<ModelResolution> {
        None
    }

    fn health_problem(&self) -> Option<String> {
        let Searcher { index, embeddings, .. } = &self.searcher;
        index.health_problem().or_else(|| embeddings.health_problem()).map(str::to_owned)
    }

    fn library(&self) -> Option<Arc<dyn Library>> {
        Some(self.library.clone())
    }

    async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        if self.valves.filter || !split_list(&self.valves.generators).any(|id| id == call.model) {
            return Err(PipeError::ModelNotFound(call.model));
        }
        self.answer(call).await
    }

    async fn inlet(&self, call: FilterCall) -> Result<FilterBody> {
        if self.valves.filter { self.enrich(call).await } else { Ok(call.body) }
    }
}

impl Rag {
    /// Opens the index and the embedding model, and builds the pipe.
    async fn start(valves: RagValves, is_first: bool) -> Result<Self> {
        let index = Arc::new(IndexHandle::open(&valves).await?);
        let embeddings = Arc::new(EmbeddingSource::new(&valves).await);
        let local_reranker = Arc::new(LocalRerankerSource::new(&valves));
        let searcher = Searcher { index, embeddings, local_reranker, query_cache: Arc::default() };
        Self::new(valves, searcher, is_first)
    }

    /// Builds the pipe; `is_first` says that its watched folder is the one that the process started
    /// with.
    fn new(valves: RagValves, searcher: Searcher, is_first: bool) -> Result<Self> {
        let error = |valve: &str, rule| PipeError::BadValves(vec![ValveError::new(valve, rule)]);
        let scope = CollectionScope::parse(&valves.collections)
            .map_err(|rule| error("collections", rule))?;
        let template = match &valves.prompt_template {
            None => PromptTemplate::numbered(),
            Some(text) => {
                PromptTemplate::parse(text).map_err(|rule| error("prompt_template", rule))?
            }
        };
        let valves = Arc::new(valves);
        let library =
            DocumentLibrary::new(Arc::clone(&valves), scope.clone(), searcher.clone(), is_first);
        Ok(Self { valves, scope, template, searcher, library: Arc::new(library) })
    }
}

#[cfg(test)]
mod tests;
