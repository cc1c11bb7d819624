//! The interface to embedding models, whether in this process or behind an API.

use futures_util::future::BoxFuture;

/// A model that turns texts into vectors; similar meanings give near vectors.
pub trait Embedder: Send + Sync {
    /// Returns the model's id. Vectors of different ids are never compared, so the id must change
    /// whenever the vectors do.
    fn model(&self) -> &str;

    /// Returns the cosine that counts as 0 when the rankings of keyword and vector search are
    /// fused. Some models give every pair of texts a high cosine; only what is above this tells
    /// them apart.
    fn least_cosine(&self) -> f32 {
        -1.0
    }

    /// Embeds texts: one vector for each text, in their order, all of one length. They need not be
    /// normalized.
    fn embed(
        &self,
        texts: Vec<String>,
        purpose: EmbeddingPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, InferenceError>>;
}

/// The use of a text in a search. Some models embed the two differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingPurpose {
    /// A text that is searched.
    Document,
    /// The text of a query.
    Query,
}

/// An error of an embedding or reranking model. The text is shown to users.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct InferenceError(pub String);
