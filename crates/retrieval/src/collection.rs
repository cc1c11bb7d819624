//! A collection: documents that are searched together, with the same settings.

use crate::audience::IndexAudience;
use crate::language::Language;
use serde::{Deserialize, Serialize};

/// The settings of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionSettings {
    /// The language of the texts.
    pub language: Language,
    /// The maximum number of tokens of a chunk.
    pub chunk_tokens: usize,
    /// The users who may see the collection. A document can restrict access further.
    pub audience: IndexAudience,
    /// The chunk size follows the one that
    /// [`Index::follow_chunk_size`](crate::Index::follow_chunk_size) is called with.
    #[serde(default)]
    pub follows_default: bool,
    /// The chunk size has changed, and stored documents wait to be split again.
    #[serde(default)]
    pub needs_rechunk: bool,
}

impl Default for CollectionSettings {
    fn default() -> Self {
        Self {
            language: Language::English,
            chunk_tokens: 128,
            audience: IndexAudience::Everyone,
            follows_default: false,
            needs_rechunk: false,
        }
    }
}

/// A collection as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Collection {
    #[serde(skip)]
    pub(crate) id: i64,
    /// The name.
    pub name: String,
    /// The settings.
    pub settings: CollectionSettings,
    /// The model of the stored vectors; `None` until a document was stored with an embedder.
    pub model: Option<EmbeddingModel>,
}

/// The embedding model of a collection's vectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EmbeddingModel {
    /// The model's id.
    pub id: String,
    /// The length of a vector.
    pub dimensions: usize,
}

impl std::fmt::Display for EmbeddingModel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "`{}` ({} dimensions)", self.id, self.dimensions)
    }
}
