//! What an admin can turn, and which combinations cannot be so.

use crate::{prompt::Template, scope::Scope};
use pipe_sdk::{Secret, ValveError, Valves, library::Audience, split_list};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// The model id that means the one in this process.
pub(crate) const LOCAL: &str = "local";

/// The most tokens of a chunk that the local model reads. What it does not read is not found by its meaning.
const LOCAL_READS: usize = 200;

/// The settings of answers from documents.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RagValves {
    /// The models that write the answers, comma-separated, by the ids that this host lists them by. Each gets a model of its own here,
    /// `rag.` and its id. None: there are no models here.
    #[schemars(title = "Generators", extend("x-models" = true))]
    pub generators: Option<String>,

    /// The model that turns texts into vectors: any embedding model of this host by its id, or `local` for the one in this process
    /// (`pipewright models fetch` brings it). When it is turned, all documents are embedded anew. Where it is missing, words alone find.
    #[schemars(title = "Embedding model", extend("x-models" = true))]
    pub embedding_model: String,

    /// The most tokens that a chunk of a document has, in collections made from now on. 128 to 240 find best; the local model never gets more
    /// than 200.
    #[schemars(title = "Chunk size in tokens", range(min = 32, max = 2048))]
    pub chunk_size: usize,

    /// How many chunks are found for a question.
    #[schemars(title = "Chunks for an answer", range(min = 1, max = 50))]
    pub top_k: usize,

    /// Search by words and by meaning. Otherwise by meaning alone.
    #[schemars(title = "Hybrid search")]
    pub hybrid_search: bool,

    /// How much the meaning weighs in a hybrid search; the words have the rest.
    #[schemars(title = "Weight of the meaning", range(min = 0.0, max = 1.0))]
    pub meaning_weight: f32,

    /// The model that puts what was found in a better order, by its id. None: it stays as it was found.
    #[schemars(title = "Reranker", extend("x-models" = true))]
    pub reranker: Option<String>,

    /// Leave out chunks below this score: the reranker's if there is one, else the cosine of chunk and question. Chunks that were found by
    /// words alone have no such score, and stay. 0: all stay.
    #[schemars(title = "Minimum score", range(min = 0.0, max = 1.0))]
    pub min_score: f32,

    /// How many tokens around each found chunk the model gets to read, the chunk included.
    #[schemars(title = "Window around a chunk in tokens", range(min = 32, max = 8000))]
    pub window_tokens: usize,

    /// Which collections chats are answered from, comma-separated; with roles, for those roles alone, as in
    /// `handbook, salaries=admin|hr`. Further limits stand in the collections and documents themselves. The first one takes in the watched folder.
    #[schemars(title = "Collections")]
    pub collections: Vec<String>,

    /// A folder whose files are taken into the first collection, and follow it: new ones, changed ones, deleted ones, as in `watched/handbook`.
    /// It counts from the data folder, and must lie in its folder `watched` or in another one that the operator names (`WATCHED_ROOTS`). Links
    /// and hidden files are left out. None: no folder is watched.
    #[schemars(title = "Watched folder", extend("x-place" = "watched"))]
    pub watched_folder: Option<String>,

    /// Who may see what the watched folder brings in: roles of Open WebUI, comma-separated, as in `admin, user`, or `everyone`. The audience of
    /// the collection holds too. None: admins alone; documents that are there already keep the audience that they have.
    #[schemars(title = "Audience of the watched folder")]
    pub watched_audience: Option<String>,

    /// The model that makes a question of its own out of one that follows others, as in "and in winter?". None: it is searched by as it is.
    #[schemars(title = "Model for follow-up questions", extend("x-models" = true))]
    pub rewrite_model: Option<String>,

    /// What the model is asked, with `{{sources}}` and `{{question}}` in their places. None: a text that asks for an answer from the sources alone, with
    /// their numbers.
    #[schemars(title = "Prompt template")]
    pub prompt_template: Option<String>,

    /// Put what is found before the chats of other models, in place of having models here.
    #[schemars(title = "Be a filter")]
    pub filter: bool,

    /// As a filter: for which models, by the ids that Open WebUI lists them by; `*` alone for all.
    #[schemars(title = "Filter: models")]
    pub pipelines: Vec<String>,

    /// As a filter: smaller ones run first.
    #[schemars(title = "Filter: priority")]
    pub priority: i64,

    /// The file that holds documents, words and vectors, as in `rag/index.db`. It counts from the data folder, and must lie in its folder `rag` or
    /// in another one that the operator names (`INDEX_ROOTS`). Its name ends in .db, .sqlite or .sqlite3.
    #[schemars(title = "Index file", extend("x-place" = "index"))]
    pub index_file: String,

    /// A PostgreSQL with pgvector that holds them in place of the file, as in `postgres://user:password@host/database`; several hosts may share it.
    #[schemars(title = "Index database", extend("x-database" = true))]
    pub index_url: Secret,

    /// The folder of the local embedding model. It counts from the data folder, and must lie in its folder `models` or in another one that the
    /// operator names (`MODEL_ROOTS`).
    #[schemars(title = "Folder of the local model", extend("x-place" = "models"))]
    pub model_folder: String,

    /// How many threads the local embedding model may keep busy.
    #[schemars(title = "Threads of the local model", range(min = 1, max = 64))]
    pub model_threads: usize,
}

impl Default for RagValves {
    fn default() -> Self {
        Self {
            generators: None,
            embedding_model: "text-embedding-3-small".into(),
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
            model_folder: "models/all-MiniLM-L6-v2-int8".into(),
            model_threads: 1,
        }
    }
}

impl RagValves {
    /// The most tokens of a chunk in a new collection.
    pub(crate) fn chunk_tokens(&self) -> usize {
        if self.embedding_model == LOCAL {
            self.chunk_size.min(LOCAL_READS)
        } else {
            self.chunk_size
        }
    }

    /// Why chunks of so many tokens are not found by all that they say, if they are not.
    pub(crate) fn half_read(&self, chunk_tokens: usize) -> Option<String> {
        (self.embedding_model == LOCAL && chunk_tokens > LOCAL_READS).then(|| {
            format!("the local model reads {LOCAL_READS} tokens of a chunk, not {chunk_tokens}: set `chunk_tokens` to {LOCAL_READS}, and bring the documents in again")
        })
    }

    pub(crate) fn watched_folder(&self) -> Option<PathBuf> {
        self.watched_folder.as_ref().map(PathBuf::from)
    }

    /// Returns who may see what the watched folder brings in, if the valve says so.
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
        let mut faults = Vec::new();
        if let Err(rule) = Scope::read(&self.collections) {
            faults.push(ValveError::new("collections", rule));
        }
        if let Some(template) = &self.prompt_template
            && let Err(rule) = Template::read(template)
        {
            faults.push(ValveError::new("prompt_template", rule));
        }
        if split_list(&self.generators).any(|id| id.starts_with("rag.")) {
            faults.push(ValveError::new("generators", "must not be models of this pipe"));
        }
        faults
    }
}
