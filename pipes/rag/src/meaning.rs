//! What turns texts into vectors: a model of the host, or the one in this process.

use crate::valves::{LOCAL, RagValves};
use futures_util::{FutureExt, future::BoxFuture};
use pipe_sdk::{EmbedCall, EmbedInput, Host};
use retrieval::{Embedder, EmbeddingPurpose, InferenceError, MiniLm};
use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::timeout;

/// How long people wait for the vector of a question; then words alone find.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many questions are remembered with their vectors.
const REMEMBERED: usize = 256;

/// The embedding model of the valves.
#[derive(Clone)]
pub(crate) enum Meaning {
    /// A model of the host, by its id.
    Host(String),
    /// The one in this process.
    Local(MiniLm),
    /// The one in this process, which is not there.
    Missing(String),
}

impl Meaning {
    /// The model that these valves name. Reading the local one takes a while.
    pub(crate) async fn of(valves: &RagValves) -> Self {
        if valves.embedding_model != LOCAL {
            return Self::Host(valves.embedding_model.clone());
        }
        let (folder, threads) = (valves.model_folder.clone(), valves.model_threads);
        let opened =
            tokio::task::spawn_blocking(move || MiniLm::open(Path::new(&folder), threads)).await;
        match opened {
            Ok(Ok(model)) => Self::Local(model),
            Ok(Err(error)) => {
                tracing::warn!(%error, "The local embedding model is not there: words alone find.");
                Self::Missing(
                    "the local embedding model is not there: run `pipewright models fetch`".into(),
                )
            }
            Err(_) => Self::Missing("the local embedding model could not be read".into()),
        }
    }

    /// Why there is none.
    pub(crate) fn missing(&self) -> Option<&str> {
        match self {
            Self::Missing(why) => Some(why),
            Self::Host(_) | Self::Local(_) => None,
        }
    }

    /// The embedder, with this way to the host's models.
    pub(crate) fn embedder(&self, host: &Host, memory: &Arc<Memory>) -> Option<AnyEmbedder> {
        let inner = match self {
            Self::Host(model) => Inner::Host(Box::new(host.clone()), model.clone()),
            Self::Local(model) => Inner::Local(model.clone()),
            Self::Missing(_) => return None,
        };
        Some(AnyEmbedder { inner, memory: Arc::clone(memory) })
    }
}

/// Either kind of embedding model; it remembers the last questions.
pub(crate) struct AnyEmbedder {
    inner: Inner,
    memory: Arc<Memory>,
}

enum Inner {
    Host(Box<Host>, String),
    Local(MiniLm),
}

impl Embedder for AnyEmbedder {
    fn model(&self) -> &str {
        match &self.inner {
            Inner::Host(_, model) => model,
            Inner::Local(model) => model.model(),
        }
    }

    fn embed(
        &self,
        texts: Vec<String>,
        purpose: EmbeddingPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, InferenceError>> {
        match purpose {
            EmbeddingPurpose::Document => self.inner.vectors(texts, purpose),
            EmbeddingPurpose::Query => self.of_question(texts).boxed(),
        }
    }
}

impl AnyEmbedder {
    async fn of_question(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, InferenceError> {
        if let [text] = texts.as_slice()
            && let Some(vector) = self.memory.get(self.model(), text)
        {
            return Ok(vec![vector]);
        }
        let asked = texts.clone();
        let vectors = timeout(PATIENCE, self.inner.vectors(texts, EmbeddingPurpose::Query))
            .await
            .map_err(|_| InferenceError("the embedding model took too long".into()))??;
        if let ([text], [vector]) = (asked.as_slice(), vectors.as_slice()) {
            self.memory.keep(self.model(), text, vector);
        }
        Ok(vectors)
    }
}

impl Inner {
    fn vectors(
        &self,
        texts: Vec<String>,
        purpose: EmbeddingPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, InferenceError>> {
        match self {
            Self::Local(model) => model.embed(texts, purpose),
            Self::Host(host, model) => {
                let input = match purpose {
                    EmbeddingPurpose::Document => EmbedInput::SearchDocument,
                    EmbeddingPurpose::Query => EmbedInput::SearchQuery,
                };
                let call = EmbedCall { purpose: Some(input), ..EmbedCall::new(model, texts) };
                let vectors = async move {
                    let answer = host.embed(call).await;
                    answer
                        .map(|embeddings| embeddings.vectors)
                        .map_err(|error| InferenceError(error.to_string()))
                };
                vectors.boxed()
            }
        }
    }
}

/// The vectors of the last questions: the same one is often asked again, with each tool call at the latest.
#[derive(Default)]
pub(crate) struct Memory(Mutex<VecDeque<(String, String, Vec<f32>)>>);

impl Memory {
    fn get(&self, model: &str, text: &str) -> Option<Vec<f32>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = held.iter().find(|(by, of, _)| by == model && of == text);
        found.map(|(_, _, vector)| vector.clone())
    }

    fn keep(&self, model: &str, text: &str, vector: &[f32]) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.push_front((model.to_owned(), text.to_owned(), vector.to_vec()));
        held.truncate(REMEMBERED);
    }
}
