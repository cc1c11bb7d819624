//! Reranking: documents are ordered by how well they answer a question.

use crate::{CallerId, Hints, Host, TraceContext, User};
use std::sync::Arc;

/// Documents to be put in order by how well they answer a question.
#[derive(Clone, Debug)]
pub struct RerankCall {
    /// The model's id within the pipe.
    pub model: String,
    /// The question.
    pub query: String,
    /// The documents.
    pub documents: Vec<String>,
    /// The number of documents to return. `None`: all.
    pub top_n: Option<usize>,
    /// The user, if known. [`Host::rerank`](crate::Host::rerank) sets it.
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

impl RerankCall {
    /// Returns a call of this model that ranks all of these documents.
    pub fn new(model: impl Into<String>, query: impl Into<String>, documents: Vec<String>) -> Self {
        let (model, query) = (model.into(), query.into());
        Self {
            model,
            query,
            documents,
            top_n: None,
            user: None,
            caller: CallerId::default(),
            hints: Hints::default(),
            trace: None,
            host: None,
        }
    }
}

/// The documents of one call in their new order.
#[derive(Clone, Debug, PartialEq)]
pub struct Reranked {
    /// The best first.
    pub ranks: Vec<Rank>,
    /// The tokens of the question and the documents; 0 if the model does not report them.
    pub prompt_tokens: u64,
}

/// One document in its new place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rank {
    /// The place in the call.
    pub index: usize,
    /// The relevance, from 0 to 1.
    pub score: f64,
}
