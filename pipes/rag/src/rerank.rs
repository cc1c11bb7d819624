//! A reranking model of the host.

use futures_util::{FutureExt, future::BoxFuture};
use pipe_sdk::{Host, RerankCall};
use retrieval::{InferenceError, Reranker};

/// A reranking model of the host.
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
        let count = texts.len();
        let call = RerankCall::new(self.model, question, texts);
        let scores = async move {
            let answer = self.host.rerank(call).await;
            let ranks = answer.map_err(|error| InferenceError(error.to_string()))?.ranks;
            // A text that the reranker leaves out gets the lowest score.
            let mut scores = vec![0.0; count];
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
