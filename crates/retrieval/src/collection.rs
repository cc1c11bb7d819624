//! A collection: documents that are searched together, by the same rules.

use crate::audience::Audience;
use crate::language::Language;
use serde::{Deserialize, Serialize};

/// What is settled when a collection is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The language of its texts.
    pub language: Language,
    /// The greatest number of tokens that a chunk may have.
    pub chunk_tokens: usize,
    /// Who may see it, if the document lets them, too.
    pub audience: Audience,
}

impl Default for Settings {
    fn default() -> Self {
        Self { language: Language::English, chunk_tokens: 128, audience: Audience::Everyone }
    }
}

/// A collection as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Collection {
    #[serde(skip)]
    pub(crate) id: i64,
    /// Its name.
    pub name: String,
    /// What was settled when it was made.
    pub settings: Settings,
    /// Whose vectors it holds; none before the first document came with an embedder.
    pub model: Option<Model>,
}

/// Whose vectors a collection holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Model {
    /// The model's id.
    pub id: String,
    /// How many numbers a vector has.
    pub dimensions: usize,
}

impl std::fmt::Display for Model {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "`{}` ({} dimensions)", self.id, self.dimensions)
    }
}
