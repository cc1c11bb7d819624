//! A reranker behind an address, in the shape that Cohere, Jina and this house's own host speak.

use anyhow::Context;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use retrieval::{EmbedError, Reranker};
use serde::Deserialize;
use serde_json::json;

#[derive(clap::Args)]
pub struct Service {
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

#[derive(Deserialize)]
struct Reply {
    results: Vec<Ranked>,
}

#[derive(Deserialize)]
struct Ranked {
    index: usize,
    relevance_score: f32,
}

impl Service {
    pub fn is_named(&self) -> bool {
        self.reranker.is_some()
    }

    async fn ask(&self, question: &str, texts: &[String]) -> anyhow::Result<Vec<f32>> {
        let address = self.reranker.as_deref().context("no reranker is named")?;
        let body = json!({ "model": self.reranker_model, "query": question, "documents": texts, "top_n": texts.len() });
        let asked =
            reqwest::Client::new().post(address).bearer_auth(&self.reranker_key).json(&body);
        let reply: Reply = asked.send().await?.error_for_status()?.json().await?;
        let mut scores = vec![f32::MIN; texts.len()];
        for ranked in reply.results {
            *scores.get_mut(ranked.index).context("it ranked a text that it was not given")? =
                ranked.relevance_score;
        }
        Ok(scores)
    }
}

impl Reranker for Service {
    fn rerank(
        &self,
        question: String,
        texts: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<f32>, EmbedError>> {
        async move {
            let asked = self.ask(&question, &texts).await;
            asked.map_err(|error| EmbedError(format!("{error:#}")))
        }
        .boxed()
    }
}
