//! The documents that a pipe answers from: their management, their access rules, and search.

use crate::{Host, Result, User};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The documents that a pipe answers from. A pipe offers them by
/// [`Pipe::library`](crate::Pipe::library); the host serves them to the admin.
pub trait Library: Send + Sync {
    /// Lists all collections, ordered by name.
    fn collections(&self) -> BoxFuture<'_, Result<Vec<Collection>>>;

    /// Creates a collection.
    fn create(&self, name: String, settings: CollectionUpdate)
    -> BoxFuture<'_, Result<Collection>>;

    /// Changes those settings of a collection that are given.
    fn update(&self, name: String, settings: CollectionUpdate)
    -> BoxFuture<'_, Result<Collection>>;

    /// Deletes a collection with its documents.
    fn delete(&self, name: String) -> BoxFuture<'_, Result<()>>;

    /// Stores documents; each replaces the one of its id. Creates the collection if it does not
    /// exist. A document that cannot be read or stored fails alone.
    fn put_documents(
        &self,
        collection: String,
        documents: Vec<Upload>,
    ) -> BoxFuture<'_, Result<Vec<IngestResult>>>;

    /// Lists up to `limit` documents of a collection, ordered by id, after this one ("" for the
    /// first page).
    fn documents(
        &self,
        collection: String,
        after: String,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DocumentSummary>>>;

    /// Removes documents, and returns the number of those that existed.
    fn remove(&self, collection: String, ids: Vec<String>) -> BoxFuture<'_, Result<usize>>;

    /// Searches a collection; `host` provides the models.
    fn search(&self, search: Search, host: Host) -> BoxFuture<'_, Result<SearchResults>>;

    /// Runs the background jobs: follows watched folders, and embeds texts. It ends when nothing is
    /// left to do; the host calls it every few seconds, and after documents were stored.
    fn run_background_jobs(&self, host: Host) -> BoxFuture<'_, ()>;
}

/// A collection: documents that are searched together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Collection {
    /// The name.
    pub name: String,
    /// The language of the texts.
    pub language: String,
    /// The maximum tokens of a chunk.
    pub chunk_tokens: usize,
    /// The users who may see it.
    pub audience: Audience,
    /// The model of its vectors; `None` if it is searched by words alone.
    pub model: Option<String>,
    /// The reason why it is not up to date, or is not searched by all that it could be.
    #[serde(rename = "trouble")]
    pub problem: Option<String>,
}

/// Settings of a collection. Those that are not given stay, or are those of the pipe's valves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectionUpdate {
    /// The language of the texts, as in `english`, or `auto` to detect it; it cannot be changed
    /// later.
    pub language: Option<String>,
    /// The maximum tokens of a chunk. After a change, stored documents are cut again in the
    /// background.
    pub chunk_tokens: Option<usize>,
    /// The users who may see it.
    pub audience: Option<Audience>,
}

/// The users who may see a collection or a document. A user needs access to both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Audience {
    /// Every user, known or not.
    #[default]
    Everyone,
    /// Only these users.
    Only {
        /// Ids of users.
        #[serde(default)]
        users: BTreeSet<String>,
        /// Roles; a user who has one of them has access.
        #[serde(default)]
        roles: BTreeSet<String>,
    },
}

/// The user on whose behalf is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// An unknown user, who sees what everyone may see.
    Anonymous,
    /// A user.
    User(User),
    /// The admin of the library, who sees everything.
    Admin,
}

impl Reader {
    /// Returns the reader for a user; anonymous without an id.
    pub fn from_user(user: Option<&User>) -> Self {
        match user {
            Some(user) if !user.id.is_empty() => Self::User(user.clone()),
            Some(_) | None => Self::Anonymous,
        }
    }
}

/// A document to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// The id within the collection.
    pub id: String,
    /// The title; without one, that of the text, or the id.
    pub title: Option<String>,
    /// The address at which it can be read.
    pub url: Option<String>,
    /// The users who may see it, if they may see the collection.
    pub audience: Audience,
    /// Arbitrary metadata.
    pub metadata: Map<String, Value>,
    /// The content.
    pub content: Content,
}

/// The content of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Text; Markdown is understood.
    Text(String),
    /// A file of a supported format.
    File {
        /// The name, whose extension decides the format.
        name: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// The result of storing one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IngestResult {
    /// The id within the collection.
    pub id: String,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The outcome of storing one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The same document was stored already.
    Unchanged,
    /// The document is stored, and keyword search finds it.
    Stored {
        /// The number of its chunks.
        chunks: usize,
    },
    /// The document could not be read or stored.
    Failed {
        /// The reason.
        reason: String,
    },
}

/// A stored document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DocumentSummary {
    /// The id within the collection.
    pub id: String,
    /// The title.
    pub title: String,
    /// The address of the original.
    pub url: Option<String>,
    /// The users who may see it.
    pub audience: Audience,
    /// Arbitrary metadata.
    pub metadata: Map<String, Value>,
    /// The number of its chunks.
    pub chunks: usize,
    /// The time of storing, in seconds since 1970.
    pub stored_at: i64,
    /// The status.
    #[serde(flatten)]
    pub state: DocumentStatus,
}

/// The way in which searches find a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DocumentStatus {
    /// The document is found by words and by meaning.
    Ready,
    /// The document is found by words only: it has no vectors yet, or there is no embedding model.
    WordsOnly,
    /// The last version could not be read. An earlier version, if there is one, is still found.
    Failed {
        /// The reason.
        reason: String,
    },
}

/// A search in the library.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// The collection.
    pub collection: String,
    /// The text of the question.
    pub query: String,
    /// The user on whose behalf is searched.
    pub reader: Reader,
    /// The maximum number of chunks; by default, as many as a chat gets.
    pub top_k: Option<usize>,
}

/// The results of a search, the best first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SearchResults {
    /// The chunks.
    pub chunks: Vec<SearchHit>,
    /// The reasons why a model was not used that should have been, for the admin.
    pub notes: Vec<String>,
}

/// A chunk that was found, with its scores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SearchHit {
    /// The id of the chunk.
    pub chunk: i64,
    /// The document's id.
    pub document: String,
    /// The document's title.
    pub title: String,
    /// The address at which the document can be read.
    pub url: Option<String>,
    /// The title and headings above it.
    pub heading: String,
    /// The text.
    pub text: String,
    /// The estimated number of tokens.
    pub tokens: usize,
    /// The page on which it begins, from 1, for documents with pages.
    pub page: Option<u32>,
    /// The score by which it is ranked.
    pub score: f32,
    /// The BM25 score.
    #[serde(rename = "words")]
    pub bm25_score: f32,
    /// The rank in keyword search, from 1.
    pub words_rank: Option<u32>,
    /// The cosine of its vector and that of the question.
    pub meaning: Option<f32>,
    /// The rank in vector search, from 1.
    pub meaning_rank: Option<u32>,
    /// The score of the reranker.
    pub reranked: Option<f32>,
    /// The words of the question that occur in it in any form.
    pub matched: Vec<String>,
}
