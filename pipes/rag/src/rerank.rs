//! The reranking model of the valves: one of the host, or the local one.

use crate::valves::RagValves;
use futures_util::{FutureExt, future::BoxFuture};
use pipe_sdk::{Host, RerankCall};
use retrieval::{InferenceError, LocalReranker, Reranker};
use std::path::{Path, PathBuf};
use tokio::sync::OnceCell;

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
            // A text that the reranker leaves out comes last: some rerankers have negative scores.
            let lowest = ranks.iter().map(|rank| rank.score as f32).fold(0.0, f32::min);
            let left_out = if lowest < 0.0 { lowest - 1.0 } else { 0.0 };
            let mut scores = vec![left_out; count];
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

/// The reranking model in this process. It is loaded for the first question after it was fetched.
pub(crate) struct LocalRerankerSource {
    folder: PathBuf,
    thread_count: usize,
    model: OnceCell<LocalReranker>,
}

impl LocalRerankerSource {
    pub(crate) fn new(valves: &RagValves) -> Self {
        let folder = PathBuf::from(&valves.model_folder);
        Self { folder, thread_count: valves.model_threads, model: OnceCell::new() }
    }

    /// Returns true if these valves choose the same model and threads.
    pub(crate) fn matches(&self, valves: &RagValves) -> bool {
        self.folder == Path::new(&valves.model_folder) && self.thread_count == valves.model_threads
    }

    async fn load(&self) -> Result<LocalReranker, InferenceError> {
        let (folder, threads) = (self.folder.clone(), self.thread_count);
        let load = move || match LocalReranker::find_in(&folder) {
            Some(found) => LocalReranker::open(&found, threads),
            None => Err(InferenceError(MISSING.into())),
        };
        let loaded = tokio::task::spawn_blocking(load).await;
        loaded.unwrap_or_else(|_| Err(InferenceError("the model could not be loaded".into())))
    }
}

const MISSING: &str = "it is not there: run `pipewright models fetch ms-marco-MiniLM-L-12-v2`";

impl Reranker for LocalRerankerSource {
    fn accepts(&self, question: &str) -> bool {
        LocalReranker::knows_language_of(question)
    }

    fn rerank(
        &self,
        question: String,
        texts: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<f32>, InferenceError>> {
        let scores = async move {
            let model = self.model.get_or_try_init(|| self.load()).await?;
            model.rerank(question, texts).await
        };
        scores.boxed()
    }
}
