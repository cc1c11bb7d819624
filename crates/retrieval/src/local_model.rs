//! An embedding model in this process, without network.

use crate::bert::MiniLm;
use crate::e5::{self, MultilingualE5};
use crate::embedder::{Embedder, EmbeddingPurpose, InferenceError};
use crate::text_encoder::TextEncoder;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rten::ThreadPool;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A model that runs in this process: multilingual-e5-small or all-MiniLM-L6-v2.
#[derive(Clone)]
pub struct LocalModel {
    encoder: Arc<dyn TextEncoder>,
    threads: Arc<ThreadPool>,
}

/// The subfolders of a folder of models that are looked into, the best model first.
const SUBFOLDERS: [&str; 2] = ["multilingual-e5-small", "all-MiniLM-L6-v2-int8"];

impl LocalModel {
    /// Returns the folder that has the files of a model: this one, or one of its subfolders
    /// `multilingual-e5-small` and `all-MiniLM-L6-v2-int8`.
    pub fn find_in(folder: &Path) -> Option<PathBuf> {
        let subfolders = SUBFOLDERS.iter().map(|name| folder.join(name));
        [folder.to_owned()]
            .into_iter()
            .chain(subfolders)
            .find(|folder| folder.join(e5::FILE).is_file() || MiniLm::is_in(folder))
    }

    /// Reads the model in a folder: `e5-small-q4.bin`, or else `model.onnx` and `vocab.txt`. It
    /// uses this many threads.
    pub fn open(folder: &Path, threads: usize) -> Result<Self, InferenceError> {
        let encoder: Arc<dyn TextEncoder> = if folder.join(e5::FILE).is_file() {
            Arc::new(MultilingualE5::open(folder)?)
        } else {
            Arc::new(MiniLm::open(folder)?)
        };
        Ok(Self { encoder, threads: Arc::new(ThreadPool::with_num_threads(threads)) })
    }

    /// Returns the cosine below which a chunk has nothing to do with a question: leaving out all
    /// below it costs less than 1 % of the relevant chunks (`docs/retrieval.md`).
    pub fn cosine_floor(&self) -> f32 {
        self.encoder.cosine_floor()
    }

    /// Returns the same for a chunk in another language than the question.
    pub fn cosine_floor_across_languages(&self) -> f32 {
        self.encoder.cosine_floor_across_languages()
    }
}

impl Embedder for LocalModel {
    fn model(&self) -> &str {
        self.encoder.id()
    }

    fn least_cosine(&self) -> f32 {
        self.encoder.least_cosine()
    }

    fn embed(
        &self,
        texts: Vec<String>,
        purpose: EmbeddingPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, InferenceError>> {
        let Self { encoder, threads } = self.clone();
        async move {
            let run = move || encoder.encode(&texts, purpose, &threads);
            tokio::task::spawn_blocking(run).await.unwrap_or_else(|_| {
                Err(InferenceError(
                    "the embedding model stopped in the middle of its work".to_owned(),
                ))
            })
        }
        .boxed()
    }
}
