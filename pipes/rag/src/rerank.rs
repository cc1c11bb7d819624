//! A reranker of the host, as the index asks for one.

use futures_util::{FutureExt, future::BoxFuture};
use pipe_sdk::{Host, RerankCall};
use retrieval::{InferenceError, Reranker};

/// A model of the host that puts texts in order.
pub(crate) struct HostReranker<'a> {
    pub host: &'a Host,
    pub model: &'a str,
}

impl Reranker for HostReranker<'_> {
    fn rerank(
        &self,
        question: String,
        texts: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<f32>, InferenceError>> {
        let wanted = texts.len();
        let call = RerankCall::new(self.model, question, texts);
        let scores = async move {
            let answer = self.host.rerank(call).await;
            let ranks = answer.map_err(|error| InferenceError(error.to_string()))?.ranks;
            // What a reranker leaves out is the worst.
            let mut scores = vec![0.0; wanted];
            for rank in ranks {
                if let Some(score) = scores.get_mut(rank.index) {
                    *score = rank.score as f32;
                }
            }
            Ok(scores)
        };
        scores.boxed()
    }
}
