//! The documents that a pipe answers from, as those see them who keep them: what goes in, who may see it, what is found.

use crate::{Host, Result, User};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The documents that a pipe answers from. The host shows them to whoever keeps them; a pipe that has some says so by
/// [`Pipe::library`](crate::Pipe::library).
pub trait Library: Send + Sync {
    /// All collections, by name.
    fn collections(&self) -> BoxFuture<'_, Result<Vec<Collection>>>;

    /// Makes a collection.
    fn create(&self, name: String, rules: CollectionUpdate) -> BoxFuture<'_, Result<Collection>>;

    /// Changes the rules of a collection, those that are told.
    fn change(&self, name: String, rules: CollectionUpdate) -> BoxFuture<'_, Result<Collection>>;

    /// Forgets a collection and all that is in it.
    fn forget(&self, name: String) -> BoxFuture<'_, Result<()>>;

    /// Takes documents in, each in the place of the one of its id, and makes the collection if there is none of this name. One that cannot
    /// be read fails alone.
    fn put(
        &self,
        collection: String,
        documents: Vec<Upload>,
    ) -> BoxFuture<'_, Result<Vec<IngestResult>>>;

    /// Up to `limit` documents of a collection, by id, after this one ("" for the first).
    fn documents(
        &self,
        collection: String,
        after: String,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DocumentSummary>>>;

    /// Takes documents out, and says how many there were.
    fn remove(&self, collection: String, ids: Vec<String>) -> BoxFuture<'_, Result<usize>>;

    /// What is found for a question, and why; `host` is the way to models.
    fn search(&self, search: Search, host: Host) -> BoxFuture<'_, Result<SearchResults>>;

    /// Does what is to be done beside answering: brings in what is new in watched folders, and turns texts into vectors. It ends when
    /// there is nothing left to do; the host calls it again now and then, and after documents came in.
    fn tend(&self, host: Host) -> BoxFuture<'_, ()>;
}

/// A collection: documents that are searched together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Collection {
    /// Its name.
    pub name: String,
    /// The language of its texts.
    pub language: String,
    /// The most tokens that a chunk may have.
    pub chunk_tokens: usize,
    /// Who may see it.
    pub audience: Audience,
    /// Whose vectors it holds; none if its words alone are searched.
    pub model: Option<String>,
    /// Why it is not searched by all that it could be.
    pub trouble: Option<String>,
}

/// What can be settled for a collection. What is not told stays, or is as the pipe's valves say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectionUpdate {
    /// The language of its texts, as in `english`; it cannot be changed later.
    pub language: Option<String>,
    /// The most tokens that a chunk may have; counts for documents that come from now on.
    pub chunk_tokens: Option<usize>,
    /// Who may see it.
    pub audience: Option<Audience>,
}

/// Who may see a collection or a document. Both must let somebody in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Audience {
    /// Whoever asks, known or not.
    #[default]
    Everyone,
    /// These, and nobody else.
    Only {
        /// Ids of users.
        #[serde(default)]
        users: BTreeSet<String>,
        /// Roles; whoever has one of them is let in.
        #[serde(default)]
        roles: BTreeSet<String>,
    },
}

/// Who looks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Nobody that is known: sees what everyone may see.
    Anonymous,
    /// This person.
    User(User),
    /// Whoever keeps the library: sees everything.
    Admin,
}

impl Reader {
    /// This person, if it is known who asks.
    pub fn from_user(user: Option<&User>) -> Self {
        match user {
            Some(user) if !user.id.is_empty() => Self::User(user.clone()),
            Some(_) | None => Self::Anonymous,
        }
    }
}

/// A document that comes in.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// Its id within the collection.
    pub id: String,
    /// Its title; without one, the text's own, or the id.
    pub title: Option<String>,
    /// Where it can be read.
    pub url: Option<String>,
    /// Who may see it, if the collection lets them, too.
    pub audience: Audience,
    /// Whatever else belongs to it.
    pub metadata: Map<String, Value>,
    /// What it says.
    pub content: Content,
}

/// What a document says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Text; Markdown is understood.
    Text(String),
    /// A file of any kind that is understood.
    File {
        /// Its name, which tells the kind.
        name: String,
        /// What is in it.
        bytes: Vec<u8>,
    },
}

/// What became of a document that came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IngestResult {
    /// Its id within the collection.
    pub id: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What became of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It was there already, word for word.
    Unchanged,
    /// It is stored, and its words are found.
    Stored {
        /// How many chunks it was cut into.
        chunks: usize,
    },
    /// It could not be read.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A document that is there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DocumentSummary {
    /// Its id within the collection.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Where it can be read.
    pub url: Option<String>,
    /// Who may see it.
    pub audience: Audience,
    /// Whatever else belongs to it.
    pub metadata: Map<String, Value>,
    /// How many chunks it has.
    pub chunks: usize,
    /// When it was stored, in seconds since 1970.
    pub stored_at: i64,
    /// How it can be found.
    #[serde(flatten)]
    pub state: DocumentStatus,
}

/// How a document can be found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DocumentStatus {
    /// By all that the collection is searched by.
    Ready,
    /// By its words alone, as yet.
    WordsOnly,
    /// Its last version could not be read; the one before it, if there was one, is found as ever.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A question to the library.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Where to look.
    pub collection: String,
    /// What is asked.
    pub query: String,
    /// Who asks.
    pub reader: Reader,
    /// How many chunks are wanted; without a number, as many as a chat gets.
    pub top_k: Option<usize>,
}

/// What was found, the best first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SearchResults {
    /// The chunks.
    pub chunks: Vec<SearchHit>,
    /// Why they were not searched or ranked by all that was to be used, in words for whoever keeps the library.
    pub notes: Vec<String>,
}

/// A chunk that was found, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SearchHit {
    /// The chunk's number.
    pub chunk: i64,
    /// The document's id.
    pub document: String,
    /// The document's title.
    pub title: String,
    /// Where the document can be read.
    pub url: Option<String>,
    /// The title and headings that it stands under.
    pub heading: String,
    /// Its text.
    pub text: String,
    /// About how many tokens it has.
    pub tokens: usize,
    /// The page on which it begins, from 1, for documents with pages.
    pub page: Option<u32>,
    /// What it is ranked by.
    pub score: f32,
    /// What the words gave it: BM25.
    pub words: f32,
    /// Its rank by words, from 1.
    pub words_rank: Option<u32>,
    /// What the meaning gave it: the cosine of its vector and the question's.
    pub meaning: Option<f32>,
    /// Its rank by meaning, from 1.
    pub meaning_rank: Option<u32>,
    /// What a reranker gave it.
    pub reranked: Option<f32>,
    /// The question's words that it has, in whatever form.
    pub matched: Vec<String>,
}
