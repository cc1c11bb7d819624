//! A document as it comes, and what the index says of it.

use crate::audience::Audience;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A text to be found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Its id within the collection. A document of the same id replaces it.
    pub id: String,
    /// Its title; stands before every chunk.
    #[serde(default)]
    pub title: String,
    /// Its text; Markdown is understood.
    pub text: String,
    /// Where it can be read, for whoever is shown a passage of it.
    #[serde(default)]
    pub url: Option<String>,
    /// Who may see it, if the collection lets them, too.
    #[serde(default)]
    pub audience: Audience,
    /// Whatever else belongs to it; comes back with every passage.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// What became of a document that was given to the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was there already, word for word.
    Unchanged,
    /// It is stored, and can be found.
    Stored {
        /// How many chunks it was cut into.
        chunks: usize,
        /// How many of them had to be turned into vectors; the others' texts had been before.
        embedded: usize,
    },
}

/// What the index says of a document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed {
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
    pub state: State,
}

/// How a document can be found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// By everything that the collection is searched by.
    Ready,
    /// By its words alone: it has no vectors of the collection's model yet.
    WordsOnly,
    /// Its last version could not be read. The one before it, if there was one, is found as ever.
    Failed {
        /// Why, in words for whoever gave it.
        reason: String,
    },
}

impl State {
    pub(crate) fn of(failure: Option<String>, waits: bool) -> Self {
        match failure {
            Some(reason) => Self::Failed { reason },
            None if waits => Self::WordsOnly,
            None => Self::Ready,
        }
    }
}
