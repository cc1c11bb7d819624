//! Log probabilities of the tokens of an answer
//! (<https://platform.openai.com/docs/api-reference/chat/object>).

use serde::{Deserialize, Serialize};

/// A token of an answer with its log probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// The token's text.
    pub token: String,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// The bytes of the text in UTF-8, if the upstream sends them: a character may be cut in two.
    #[serde(default)]
    pub bytes: Option<Vec<u8>>,
    /// The likeliest tokens at its place, as many as the request asked for.
    #[serde(default)]
    pub top_logprobs: Vec<TopLogprob>,
}

/// One of the likeliest tokens at a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopLogprob {
    /// The token's text.
    pub token: String,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// The bytes of the text in UTF-8, if the upstream sends them.
    #[serde(default)]
    pub bytes: Option<Vec<u8>>,
}
