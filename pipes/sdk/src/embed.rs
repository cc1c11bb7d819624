//! Texts in, vectors out.

use crate::User;
use serde::{Deserialize, Serialize};

/// Texts to be turned into vectors.
#[derive(Clone, Debug)]
pub struct EmbedCall {
    /// The model's id within the pipe.
    pub model: String,
    /// The texts, in the order in which their vectors are wanted.
    pub input: Vec<String>,
    /// What the vectors are for; models that make a difference obey it.
    pub purpose: EmbedInput,
    /// How long each vector is to be, where the model leaves a choice.
    pub dimensions: Option<u32>,
    /// Who asks, if it is known.
    pub user: Option<User>,
}

/// What vectors are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbedInput {
    /// Texts to be found.
    #[default]
    SearchDocument,
    /// A text to find others by.
    SearchQuery,
}

/// The vectors of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// One vector a text, in the order of the call.
    pub vectors: Vec<Vec<f32>>,
    /// How many tokens the texts had.
    pub prompt_tokens: u64,
}
