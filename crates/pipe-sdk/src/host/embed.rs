//! Embeddings: texts become vectors.

use crate::{CallerId, Hints, Host, TraceContext, User};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Texts to be turned into vectors.
#[derive(Clone, Debug)]
pub struct EmbedCall {
    /// The model's id within the pipe.
    pub model: String,
    /// The texts, in the order in which their vectors are wanted.
    pub input: Vec<String>,
    /// The purpose of the vectors, for models that distinguish it. `None`: the pipe decides.
    pub purpose: Option<EmbedInput>,
    /// The length of each vector, where the model has several.
    pub dimensions: Option<u32>,
    /// The handling of a text that is longer than the model reads. `None`: the pipe decides.
    pub truncate: Option<Truncate>,
    /// The user, if known. [`Host::embed`](crate::Host::embed) sets it.
    pub user: Option<Arc<User>>,
    /// The same as a number, for what must tell callers apart. The host fills it in.
    pub caller: CallerId,
    /// The hints for the pipe, beside the body. The host sets them.
    pub hints: Hints,
    /// The call's place in a trace. The host sets it.
    pub trace: Option<TraceContext>,
    /// The way to other models. The host fills it in.
    pub host: Option<Host>,
}

impl EmbedCall {
    /// Returns a call of this model with these texts and no options.
    pub fn new(model: impl Into<String>, input: Vec<String>) -> Self {
        Self {
            model: model.into(),
            input,
            purpose: None,
            dimensions: None,
            truncate: None,
            user: None,
            caller: CallerId::default(),
            hints: Hints::default(),
            trace: None,
            host: None,
        }
    }
}

/// The purpose of vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmbedInput {
    /// Texts to be found.
    #[default]
    SearchDocument,
    /// A text to find others by.
    SearchQuery,
    /// Texts to be sorted into classes.
    Classification,
    /// Texts to be put together by what they have in common.
    Clustering,
}

/// The handling of a text that is longer than the model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Truncate {
    /// The text is refused.
    #[serde(alias = "none")]
    None,
    /// The start is left out.
    #[serde(alias = "start", alias = "left", alias = "LEFT")]
    Start,
    /// The end is left out.
    #[serde(alias = "end", alias = "right", alias = "RIGHT")]
    End,
}

/// The vectors of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// One vector a text, in the order of the call.
    pub vectors: Vec<Vec<f32>>,
    /// The number of tokens of the texts.
    pub prompt_tokens: u64,
}
