//! The valves, and the rules for their values.

use crate::{prompt::PromptTemplate, scope::CollectionScope};
use pipe_sdk::{Secret, ValveError, Valves, library::Audience, split_list};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// The embedding model that is the local one if it was fetched, else the first of the host.
pub(crate) const AUTO: &str = "auto";

/// The embedding model in this process.
pub(crate) const LOCAL: &str = "local";

/// The maximum tokens of a chunk for the local model, which ignores the rest of a longer one.
const LOCAL_MAX_TOKENS: usize = 200;

/// The settings of answers from documents.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RagValves {
    /// The models that write the answers, comma-separated, by the ids that this host lists them by.
    /// Each gets a model of its own here, `rag.` and its id. None: there are no models here.
    #[schemars(title = "Models · Answering models", extend("x-everyday" = true, "x-models" = true))]
    pub generators: Option<String>,

    /// The model that turns texts into vectors, for search by meaning: any embedding model of this
    /// host by its id; `local` for the one in this process, which `pipewright models fetch`
    /// downloads; or `auto` for the local one if it is there, else the first of this host. After a
    /// change all documents are embedded again in the background. Without a model, documents are
    /// found by words alone.
    #[schemars(title = "Models · Embedding model", extend("x-everyday" = true, "x-models" = true))]
    pub embedding_model: String,

    /// The model that reorders the found chunks by relevance: a model of this host by its id, or
    /// `local` for the one in this process, which `pipewright models fetch ms-marco-MiniLM-L-12-v2`
    /// downloads; it orders the 20 best for questions in English, and takes about a second of a
    /// processor. None: the order of the search stays.
    #[schemars(title = "Models · Reranker", extend("x-everyday" = true, "x-models" = true))]
    pub reranker: Option<String>,

    /// The model that rewrites a question that follows others, as in "and in winter?", so that it
    /// stands alone. None: it is searched together with the two questions before it.
    #[schemars(title = "Models · Model for follow-up questions", extend("x-models" = true))]
    pub rewrite_model: Option<String>,

    /// The folder of the local embedding model, or the folder that has `multilingual-e5-small` or
    /// `all-MiniLM-L6-v2-int8` in it, of which the first is preferred. The local reranker lies in
    /// its folder `ms-marco-MiniLM-L-12-v2-int8`. The path is relative to the data folder, and must
    /// lie in its folder `models` or in another one that the operator names (`MODEL_ROOTS`).
    #[schemars(title = "Models · Folder of the local models", extend("x-place" = "models"))]
    pub model_folder: String,

    /// The threads that each local model may use.
    #[schemars(title = "Models · Threads of the local models", range(min = 1, max = 64))]
    pub model_threads: usize,

    /// The collections that are searched, comma-separated; with roles, for those roles alone.
    /// Collections and documents can limit their audience further. The watched folder goes into the
    /// first one. Example: `handbook, salaries=admin|hr`.
    #[schemars(title = "Documents · Collections", extend("x-everyday" = true))]
    pub collections: Vec<String>,

    /// A folder whose files are taken into the first collection, and follow it: new ones, changed
    /// ones, deleted ones, as in `watched/handbook`. The path is relative to the data folder, and
    /// must lie in its folder `watched` or in another one that the operator names
    /// (`WATCHED_ROOTS`). Links and hidden files are left out. None: no folder is watched.
    #[schemars(title = "Documents · Watched folder", extend("x-everyday" = true, "x-place" = "watched"))]
    pub watched_folder: Option<String>,

    /// The people who may see documents of the watched folder: roles of Open WebUI,
    /// comma-separated, as in `admin, user`, or `everyone`. The audience of the collection limits
    /// them, too. None: admins alone; documents that are there already keep their audience.
    #[schemars(title = "Documents · Audience of the watched folder", extend("x-everyday" = true))]
    pub watched_audience: Option<String>,

    /// The most tokens that a chunk of a document has, in collections that set no size of their
    /// own. Sizes of 128 to 240 give the best search results; for the local model it is never more
    /// than 200. After a change documents are cut again in the background.
    #[schemars(title = "Documents · Chunk size (tokens)", range(min = 32, max = 2048))]
    pub chunk_size: usize,

    /// The file that holds documents, words and vectors, as in `rag/index.db`. The path is relative
    /// to the data folder, and must lie in its folder `rag` or in another one that the operator
    /// names (`INDEX_ROOTS`). Its name ends in .db, .sqlite or .sqlite3.
    #[schemars(title = "Documents · Index file", extend("x-place" = "index"))]
    pub index_file: String,

    /// A PostgreSQL with pgvector that holds them in place of the file, as in
    /// `postgres://user:password@host/database`; several hosts may share it.
    #[schemars(title = "Documents · Index database", extend("x-database" = true))]
    pub index_url: Secret,

    /// The chunks that are found for a question.
    #[schemars(title = "Search · Chunks for an answer", extend("x-everyday" = true), range(min = 1, max = 50))]
    pub top_k: usize,

    /// Searches by words (BM25) and by meaning (vectors). Off: by meaning alone.
    #[schemars(title = "Search · Hybrid search", extend("x-everyday" = true))]
    pub hybrid_search: bool,

    /// The weight of the meaning in a hybrid search; the words have the rest.
    #[schemars(title = "Search · Vector weight", range(min = 0.0, max = 1.0))]
    pub meaning_weight: f32,

    /// The score below which chunks are left out: the reranker's if there is one, else the cosine
    /// of chunk and question. Chunks that were found by words alone have no such score, and stay.
    /// 0: with a local model, chunks that it sees no relation to and that lack most of the
    /// question's words are left out.
    #[schemars(title = "Search · Minimum score", range(min = 0.0, max = 1.0))]
    pub min_score: f32,

    /// The tokens around each found chunk that the model reads, the chunk included.
    #[schemars(title = "Search · Window around a chunk (tokens)", range(min = 32, max = 8000))]
    pub window_tokens: usize,

    /// The prompt of the answering model, with `{{sources}}` and `{{question}}` in their places.
    /// None: a text that asks for an answer from the sources alone, with their numbers.
    #[schemars(title = "Search · Prompt template")]
    pub prompt_template: Option<String>,

    /// Adds the found chunks to chats of other models in Open WebUI, in place of offering models
    /// here.
    #[schemars(title = "Filter · Be a filter", extend("x-everyday" = true))]
    pub filter: bool,

    /// The models whose chats the filter changes, by the ids that Open WebUI lists; `*` alone for
    /// all.
    #[schemars(title = "Filter · Models")]
    pub pipelines: Vec<String>,

    /// The position among the filters: those with smaller numbers run first.
    #[schemars(title = "Filter · Priority")]
    pub priority: i64,
}

impl Default for RagValves {
    fn default() -> Self {
        Self {
            generators: None,
            embedding_model: AUTO.into(),
            chunk_size: 512,
            top_k: 3,
            hybrid_search: true,
            meaning_weight: 0.75,
            reranker: None,
            min_score: 0.0,
            window_tokens: 500,
            collections: vec!["documents".into()],
            watched_folder: None,
            watched_audience: None,
            rewrite_model: None,
            prompt_template: None,
            filter: false,
            pipelines: vec!["*".into()],
            priority: 0,
            index_file: "rag/index.db".into(),
            index_url: Secret::default(),
            model_folder: "models".into(),
            model_threads: 1,
        }
    }
}

impl RagValves {
    /// Returns the chunk size of collections that set none; `is_local` if the local model reads
    /// them.
    pub(crate) fn default_chunk_tokens(&self, is_local: bool) -> usize {
        if is_local { self.chunk_size.min(LOCAL_MAX_TOKENS) } else { self.chunk_size }
    }

    /// Returns the problem of chunks of this size with the local model.
    pub(crate) fn chunk_size_problem(&self, chunk_tokens: usize) -> String {
        format!(
            "the local model reads {LOCAL_MAX_TOKENS} tokens of a chunk, not {chunk_tokens}: set `chunk_tokens` to {LOCAL_MAX_TOKENS}"
        )
    }

    pub(crate) fn watched_folder(&self) -> Option<PathBuf> {
        self.watched_folder.as_ref().map(PathBuf::from)
    }

    /// Returns the audience of documents from the watched folder, if the valve has one.
    pub(crate) fn watched_audience(&self) -> Option<Audience> {
        let roles: BTreeSet<String> =
            split_list(&self.watched_audience).map(str::to_owned).collect();
        if roles.is_empty() {
            return None;
        }
        if roles.contains("everyone") || roles.contains("*") {
            return Some(Audience::Everyone);
        }
        Some(Audience::Only { users: BTreeSet::new(), roles })
    }
}

impl Valves for RagValves {
    fn validate(&self) -> Vec<ValveError> {
        let mut errors = Vec::new();
        if let Err(rule) = CollectionScope::parse(&self.collections) {
            errors.push(ValveError::new("collections", rule));
        }
        if let Some(template) = &self.prompt_template
            && let Err(rule) = PromptTemplate::parse(template)
        {
            errors.push(ValveError::new("prompt_template", rule));
        }
        if split_list(&self.generators).any(|id| id.starts_with("rag.")) {
            errors.push(ValveError::new("generators", "must not be models of this pipe"));
        }
        errors
    }
}
