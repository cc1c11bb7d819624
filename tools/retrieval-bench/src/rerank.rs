//! The rerankers that are measured: a local model, or a service with the API of Cohere and Jina,
//! which pipewright serves as well.

use anyhow::{Context, Result};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use retrieval::{InferenceError, LocalReranker, Reranker};
use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;

#[derive(Clone, clap::Args)]
pub struct RerankerOptions {
    /// The folder of a local reranking model, or the folder of models that has one
    #[arg(long, conflicts_with = "reranker")]
    local_reranker: Option<PathBuf>,
    /// The number of hits that are given to the reranker
    #[arg(long, default_value_t = 50)]
    pub rerank_depth: usize,
    #[command(flatten)]
    service: RerankerService,
}

impl RerankerOptions {
    /// Returns the reranker that is named, if one is; a local one uses this many threads.
    pub fn open(&self, threads: usize) -> Result<Option<Box<dyn Reranker>>> {
        if let Some(folder) = &self.local_reranker {
            let found = LocalReranker::find_in(folder)
                .with_context(|| format!("no reranking model in `{}`", folder.display()))?;
            return Ok(Some(Box::new(LocalReranker::open(&found, threads)?)));
        }
        let service = self.service.clone();
        Ok(service.reranker.is_some().then(|| Box::new(service) as Box<dyn Reranker>))
    }
}

#[derive(Clone, clap::Args)]
pub struct RerankerService {
    /// The address of a reranker, as in `http://127.0.0.1:9099/rerank`
    #[arg(long)]
    reranker: Option<String>,
    /// The reranker's model id
    #[arg(long, requires = "reranker", default_value = "")]
    reranker_model: String,
    /// The key for the reranker
    #[arg(long, env = "RERANKER_KEY", hide_env_values = true, default_value = "")]
    reranker_key: String,
}

/// The body of a response.
#[derive(Deserialize)]
struct RerankResponse {
    results: Vec<RerankResult>,
}

/// A document's index and score.
#[derive(Deserialize)]
struct RerankResult {
    index: usize,
    relevance_score: f32,
}

impl RerankerService {
    async fn request_scores(&self, question: &str, texts: &[String]) -> anyhow::Result<Vec<f32>> {
        let address = self.reranker.as_deref().context("no reranker is named")?;
        let body = json!({ "model": self.reranker_model, "query": question, "documents": texts, "top_n": texts.len() });
        let request =
            reqwest::Client::new().post(address).bearer_auth(&self.reranker_key).json(&body);
        let response: RerankResponse = request.send().await?.error_for_status()?.json().await?;
        let mut scores = vec![f32::MIN; texts.len()];
        for result in response.results {
            *scores.get_mut(result.index).context("it ranked a text that it was not given")? =
                result.relevance_score;
        }
        Ok(scores)
    }
}

impl Reranker for RerankerService {
    fn rerank(
        &self,
        question: String,
        texts: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<f32>, InferenceError>> {
        async move {
            let scores = self.request_scores(&question, &texts).await;
            scores.map_err(|error| InferenceError(format!("{error:#}")))
        }
        .boxed()
    }
}
