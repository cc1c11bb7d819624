//! What turns texts into vectors: a trait at the crate's edge, so that a model in this process and one behind an API are the same.

use futures_util::future::BoxFuture;

/// Turns texts into vectors that are near each other where the texts mean similar things.
pub trait Embedder: Send + Sync {
    /// The model's id. Vectors of different ids are never compared, so it must change whenever the vectors do.
    fn model(&self) -> &str;

    /// One vector a text, in the order of the texts, all of one length. They need not have length 1.
    fn embed(
        &self,
        texts: Vec<String>,
        purpose: Purpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, EmbedError>>;
}

/// What a text is to the search; models that make a difference obey it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A text to be found.
    Document,
    /// A text to find others by.
    Query,
}

/// Why there are no vectors, in words for whoever asked for them.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct EmbedError(pub String);
