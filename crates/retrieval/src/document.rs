//! A document as it is given to the index, and as the index lists it.

use crate::audience::IndexAudience;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A text to be indexed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The id within the collection. A document replaces the stored one of the same id.
    pub id: String,
    /// The title; it is indexed with every chunk.
    #[serde(default)]
    pub title: String,
    /// The text. Markdown headings are recognised.
    pub text: String,
    /// The address at which users can read the document.
    #[serde(default)]
    pub url: Option<String>,
    /// The users who may see the document. The collection can restrict access further.
    #[serde(default)]
    pub audience: IndexAudience,
    /// Arbitrary metadata, returned with every hit and passage.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// The offset in the text, in bytes, at which each page begins, and the page's number; both
    /// ascend. Empty for documents without pages.
    #[serde(default)]
    pub pages: Vec<(usize, u32)>,
}

/// The result of storing one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PutOutcome {
    /// The stored document was identical.
    Unchanged,
    /// The document was stored and can be found.
    Stored {
        /// The number of its chunks.
        chunks: usize,
        /// The number of chunks that were embedded. Vectors of texts that were embedded before are
        /// reused.
        embedded: usize,
    },
}

/// A document as the index lists it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IndexedDocument {
    /// The id within the collection.
    pub id: String,
    /// The title.
    pub title: String,
    /// The address at which users can read the document.
    pub url: Option<String>,
    /// The users who may see the document.
    pub audience: IndexAudience,
    /// The metadata that was stored with it.
    pub metadata: Map<String, Value>,
    /// The number of its chunks.
    #[serde(rename = "chunks")]
    pub chunk_count: usize,
    /// The time of storing, in seconds since 1970.
    pub stored_at: i64,
    /// The state in which searches find the document.
    #[serde(flatten)]
    pub state: DocumentState,
}

/// The state in which searches find a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DocumentState {
    /// Every kind of search of the collection finds it.
    Ready,
    /// Only keyword search finds it: some chunks have no vector of the collection's model yet.
    WordsOnly,
    /// The last version could not be read. An earlier version, if there is one, is still found.
    Failed {
        /// The reason, for the user who sent the document.
        reason: String,
    },
}

impl DocumentState {
    pub(crate) fn new(failure: Option<String>, lacks_vectors: bool) -> Self {
        match failure {
            Some(reason) => Self::Failed { reason },
            None if lacks_vectors => Self::WordsOnly,
            None => Self::Ready,
        }
    }
}
