//! The errors of the index.

use crate::embedder::InferenceError;

/// An error of the index. Its text is shown to users.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// No collection has this name, or the viewer may not see it.
    #[error("there is no collection `{0}`")]
    CollectionNotFound(String),
    /// A collection of this name exists.
    #[error("there is a collection `{0}` already")]
    CollectionExists(String),
    /// The vectors are of another model than those of the collection.
    #[error(
        "`{collection}` holds vectors of {stored}, these are of {given}: re-embed the collection, or choose the model that it has"
    )]
    ModelMismatch {
        /// The collection's name.
        collection: String,
        /// The model and dimensions of the stored vectors.
        stored: String,
        /// The model and dimensions of the new vectors.
        given: String,
    },
    /// The input cannot be indexed; the text gives the reason.
    #[error("{0}")]
    InvalidInput(String),
    /// The search exceeded its time limit, in seconds.
    #[error("the search took longer than {0} s: ask with fewer words")]
    Timeout(u64),
    /// The embedding model failed.
    #[error(transparent)]
    Embedding(#[from] InferenceError),
    /// The storage failed; the source has the cause, for the log.
    #[error("the index failed")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A result whose error is an [`IndexError`].
pub type Result<T> = std::result::Result<T, IndexError>;

impl IndexError {
    /// Returns an error of the database.
    pub(crate) fn storage(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Storage(error.into())
    }
}

impl From<rusqlite::Error> for IndexError {
    fn from(error: rusqlite::Error) -> Self {
        Self::storage(error)
    }
}
