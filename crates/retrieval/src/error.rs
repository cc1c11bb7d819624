//! What can go wrong, in words for whoever asked.

use crate::embedder::EmbedError;

/// Why the index did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none of this name, or none that the asker may see.
    #[error("there is no collection `{0}`")]
    NoCollection(String),
    /// The name is taken.
    #[error("there is a collection `{0}` already")]
    Exists(String),
    /// Vectors of two models cannot be compared.
    #[error(
        "`{collection}` holds vectors of {holds}, these are of {given}: re-embed the collection, or choose the model that it has"
    )]
    Mixed {
        /// The collection's name.
        collection: String,
        /// The model and dimensions of the vectors in it.
        holds: String,
        /// The model and dimensions of those that were to be added.
        given: String,
    },
    /// What was given cannot be indexed.
    #[error("{0}")]
    Refused(String),
    /// A search took too long.
    #[error("the search took longer than {0} s: ask with fewer words")]
    Late(u64),
    /// The embedder gave no vectors.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The store failed; whoever asked can do nothing about it.
    #[error("the index failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What comes of asking the index.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn store(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Store(error.into())
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::store(error)
    }
}
