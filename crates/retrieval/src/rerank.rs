//! Orders search results by a reranking model, which reads query and text together.

use crate::chunk::searchable_text;
use crate::embedder::InferenceError;
use crate::search::SearchResults;
use futures_util::future::BoxFuture;
use std::time::Duration;

/// A model that scores how well texts answer a question.
pub trait Reranker: Send + Sync {
    /// Returns false for a question in a language that the model does not know.
    fn accepts(&self, _question: &str) -> bool {
        true
    }

    /// Scores texts: one score for each, in their order; a greater one is better.
    fn rerank(
        &self,
        question: String,
        texts: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<f32>, InferenceError>>;
}

impl SearchResults {
    /// Returns the best `limit` hits in the reranker's order. If the reranker does not accept the
    /// question, the order stays; if it fails or takes longer than `timeout`, the order stays and
    /// `not_reranked` gives the reason.
    pub async fn rerank(
        mut self,
        question: &str,
        reranker: &dyn Reranker,
        limit: usize,
        timeout: Duration,
    ) -> Self {
        if !reranker.accepts(question) {
            self.hits.truncate(limit);
            return self;
        }
        let texts: Vec<String> =
            self.hits.iter().map(|hit| searchable_text(&hit.heading, &hit.text)).collect();
        match tokio::time::timeout(timeout, reranker.rerank(question.to_owned(), texts)).await {
            Ok(Ok(scores)) if scores.len() == self.hits.len() => {
                for (hit, score) in self.hits.iter_mut().zip(scores) {
                    hit.scores.rerank = Some(score);
                }
                self.hits.sort_by(|left, right| {
                    right
                        .scores
                        .rerank
                        .unwrap_or(f32::MIN)
                        .total_cmp(&left.scores.rerank.unwrap_or(f32::MIN))
                });
            }
            Ok(Ok(_)) => {
                self.not_reranked =
                    Some("The reranker did not give one score for each text.".to_owned());
            }
            Ok(Err(error)) => self.not_reranked = Some(format!("The reranker failed: {error}")),
            Err(_) => {
                self.not_reranked =
                    Some(format!("The reranker took longer than {} ms.", timeout.as_millis()));
            }
        }
        self.hits.truncate(limit);
        self
    }
}
