//! Puts what was found in a better order, by a model that reads question and text together.

use crate::chunk::searched;
use crate::embedder::EmbedError;
use crate::search::Answer;
use futures_util::future::BoxFuture;
use std::time::Duration;

/// A model that judges how well texts answer a question.
pub trait Reranker: Send + Sync {
    /// One score a text, in the order of the texts; the greater, the better.
    fn rerank(
        &self,
        question: String,
        texts: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<f32>, EmbedError>>;
}

impl Answer {
    /// The hits in the reranker's order, the best `limit` of them. A reranker that fails, or takes longer than `patience`, leaves
    /// the order as it was, and `not_reranked` says why.
    pub async fn reranked(
        mut self,
        question: &str,
        reranker: &dyn Reranker,
        limit: usize,
        patience: Duration,
    ) -> Self {
        let texts: Vec<String> =
            self.hits.iter().map(|hit| searched(&hit.heading, &hit.text)).collect();
        match tokio::time::timeout(patience, reranker.rerank(question.to_owned(), texts)).await {
            Ok(Ok(scores)) if scores.len() == self.hits.len() => {
                for (hit, score) in self.hits.iter_mut().zip(scores) {
                    hit.scores.reranked = Some(score);
                }
                self.hits.sort_by(|left, right| {
                    right
                        .scores
                        .reranked
                        .unwrap_or(f32::MIN)
                        .total_cmp(&left.scores.reranked.unwrap_or(f32::MIN))
                });
            }
            Ok(Ok(_)) => {
                self.not_reranked =
                    Some("The reranker did not give one score for each text.".to_owned());
            }
            Ok(Err(error)) => self.not_reranked = Some(format!("The reranker failed: {error}")),
            Err(_) => {
                self.not_reranked =
                    Some(format!("The reranker took longer than {} ms.", patience.as_millis()));
            }
        }
        self.hits.truncate(limit);
        self
    }
}
