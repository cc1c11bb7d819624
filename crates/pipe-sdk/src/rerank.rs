//! A question and documents in; which of them answer it best, out.

use crate::{CallerId, Hints, TraceContext, User};
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
    /// How many of the best are wanted. `None`: all.
    pub top_n: Option<usize>,
    /// Who asks, if it is known. [`Host::rerank`](crate::Host::rerank) fills it in.
    pub user: Option<Arc<User>>,
    /// The same as a number, for what must tell callers apart. The host fills it in.
    pub caller: CallerId,
    /// What the request wishes of the pipe, beside its body. The host fills it in.
    pub hints: Hints,
    /// Where the call stands in a trace. The host fills it in.
    pub trace: Option<TraceContext>,
}

impl RerankCall {
    /// All of these documents, for the model of this id.
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
        }
    }
}

/// The documents of one call in their new order.
#[derive(Clone, Debug, PartialEq)]
pub struct Reranked {
    /// The best first.
    pub ranks: Vec<Rank>,
    /// How many tokens the question and the documents had; 0 where the model does not tell.
    pub prompt_tokens: u64,
}

/// One document in its new place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rank {
    /// Its place in the call.
    pub index: usize,
    /// How well it answers, from 0 to 1.
    pub score: f64,
}
