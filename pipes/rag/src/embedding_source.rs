//! The embedding model of the valves: a model of the host, or the local one.

mod query_cache;

pub(crate) use query_cache::QueryCache;

use crate::valves::{AUTO, LOCAL, RagValves};
use futures_util::{FutureExt, future::BoxFuture};
use pipe_sdk::{EmbedCall, EmbedInput, Host};
use retrieval::{Collection, Embedder, EmbeddingPurpose, InferenceError, LocalModel};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::timeout;

/// The time limit for the embedding of a question. After it, keyword search answers alone.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);

const LOCAL_MISSING: &str = "the local embedding model is not there: run `pipewright models fetch`";
const NONE_AVAILABLE: &str =
    "there is no embedding model: run `pipewright models fetch`, or connect a service that has one";

/// The embedding model of the valves. It follows what becomes available: a fetched local model, and
/// the models of the host.
pub(crate) struct EmbeddingSource {
    choice: Choice,
    folder: PathBuf,
    thread_count: usize,
    state: RwLock<State>,
}

/// The valve `embedding_model`.
#[derive(PartialEq)]
enum Choice {
    /// The local model if it was fetched, else the first embedding model of the host.
    Auto,
    Local,
    Host(String),
}

/// The model in use.
#[derive(Clone)]
enum State {
    Local(LocalModel),
    /// A model of the host, by its id.
    Host(String),
    /// No model, and the reason.
    Missing(&'static str),
}

impl EmbeddingSource {
    /// Creates the source of these valves, and loads the local model if they want it and it is
    /// there.
    pub(crate) async fn new(valves: &RagValves) -> Self {
        let (choice, state) = match valves.embedding_model.as_str() {
            AUTO => (Choice::Auto, State::Missing(NONE_AVAILABLE)),
            LOCAL => (Choice::Local, State::Missing(LOCAL_MISSING)),
            id => (Choice::Host(id.to_owned()), State::Host(id.to_owned())),
        };
        let (folder, threads) = (PathBuf::from(&valves.model_folder), valves.model_threads);
        let source = Self { choice, folder, thread_count: threads, state: RwLock::new(state) };
        source.load_local().await;
        source
    }

    /// Returns true if these valves choose the same model.
    pub(crate) fn matches(&self, valves: &RagValves) -> bool {
        let choice = match valves.embedding_model.as_str() {
            AUTO => Choice::Auto,
            LOCAL => Choice::Local,
            id => Choice::Host(id.to_owned()),
        };
        let folder = Path::new(&valves.model_folder);
        choice == self.choice && folder == self.folder && valves.model_threads == self.thread_count
    }

    /// Uses a local model that was fetched meanwhile, or else an embedding model of the host, if
    /// the valves leave the choice: one by which collections are embedded already, so that nothing
    /// is embedded again, or else the first.
    pub(crate) async fn refresh(&self, host: &Host, collections: &[&Collection]) {
        if matches!(self.state(), State::Local(_)) || self.load_local().await {
            return;
        }
        if self.choice != Choice::Auto {
            return;
        }
        let models: Vec<String> =
            host.embedding_models().into_iter().map(|model| model.id).collect();
        // The list of a pipe may be empty for a while; another model would mean to embed everything
        // again.
        let keeps = |state: &State| match state {
            State::Host(id) => models.is_empty() || models.contains(id),
            State::Local(_) | State::Missing(_) => false,
        };
        if keeps(&self.state()) {
            return;
        }
        let stored = collections.iter().filter_map(|collection| collection.model.as_ref());
        let stored: Vec<&str> = stored.map(|model| model.id.as_str()).collect();
        let used = models.iter().find(|id| stored.contains(&id.as_str()));
        let next = used.or(models.first()).cloned();
        self.set_state(next.map_or(State::Missing(NONE_AVAILABLE), State::Host));
    }

    /// Loads the local model if the valves want it and its files are there; returns true if it is
    /// loaded.
    async fn load_local(&self) -> bool {
        if matches!(self.choice, Choice::Host(_)) {
            return false;
        }
        let (folder, threads) = (self.folder.clone(), self.thread_count);
        let load =
            move || LocalModel::find_in(&folder).map(|found| LocalModel::open(&found, threads));
        match tokio::task::spawn_blocking(load).await {
            Ok(Some(Ok(model))) => {
                tracing::info!("The local embedding model is loaded.");
                self.set_state(State::Local(model));
                true
            }
            Ok(Some(Err(error))) => {
                tracing::warn!(%error, "The local embedding model cannot be read.");
                false
            }
            Ok(None) | Err(_) => false,
        }
    }

    /// Returns the state.
    fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_state(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Returns the reason why there is no model, if there is none.
    pub(crate) fn missing_reason(&self) -> Option<&'static str> {
        match self.state() {
            State::Missing(reason) => Some(reason),
            State::Host(_) | State::Local(_) => None,
        }
    }

    /// Returns the problem of a model that the valves name. Without such a name, keyword search
    /// alone is no problem.
    pub(crate) fn health_problem(&self) -> Option<&'static str> {
        self.missing_reason().filter(|_| self.choice != Choice::Auto)
    }

    /// Returns true if the local model is in use.
    pub(crate) fn is_local(&self) -> bool {
        self.choice == Choice::Local || matches!(self.state(), State::Local(_))
    }

    /// Returns the embedder of the model in use.
    pub(crate) fn embedder(&self, host: &Host, cache: &Arc<QueryCache>) -> Option<SourceEmbedder> {
        let model = match self.state() {
            State::Host(id) => Model::Host(Box::new(host.clone()), id),
            State::Local(model) => Model::Local(model),
            State::Missing(_) => return None,
        };
        Some(SourceEmbedder { model, cache: Arc::clone(cache) })
    }

    /// Returns the embedder of another model of the host, by which a collection is searched until
    /// all of it is embedded by the model in use.
    pub(crate) fn embedder_of(
        &self,
        id: &str,
        host: &Host,
        cache: &Arc<QueryCache>,
    ) -> Option<SourceEmbedder> {
        let is_listed = host.embedding_models().iter().any(|model| model.id == id);
        let model = Model::Host(Box::new(host.clone()), id.to_owned());
        is_listed.then(|| SourceEmbedder { model, cache: Arc::clone(cache) })
    }
}

/// An embedder that caches the vectors of questions.
pub(crate) struct SourceEmbedder {
    model: Model,
    cache: Arc<QueryCache>,
}

/// The embedding model: one of the host, or the local one.
enum Model {
    Host(Box<Host>, String),
    Local(LocalModel),
}

impl Embedder for SourceEmbedder {
    fn model(&self) -> &str {
        match &self.model {
            Model::Host(_, id) => id,
            Model::Local(model) => model.model(),
        }
    }

    fn least_cosine(&self) -> f32 {
        match &self.model {
            Model::Host(..) => -1.0,
            Model::Local(model) => model.least_cosine(),
        }
    }

    fn embed(
        &self,
        texts: Vec<String>,
        purpose: EmbeddingPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, InferenceError>> {
        match purpose {
            EmbeddingPurpose::Document => self.model.embed(texts, purpose),
            EmbeddingPurpose::Query => self.embed_query(texts).boxed(),
        }
    }
}

impl SourceEmbedder {
    /// Returns the cosine below which a chunk has nothing to do with the question, which may be in
    /// another language. It is known of the local models.
    pub(crate) fn cosine_floor(&self, in_other_language: bool) -> Option<f32> {
        match &self.model {
            Model::Local(model) if in_other_language => Some(model.cosine_floor_across_languages()),
            Model::Local(model) => Some(model.cosine_floor()),
            Model::Host(..) => None,
        }
    }

    async fn embed_query(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, InferenceError> {
        if let [text] = texts.as_slice()
            && let Some(vector) = self.cache.get(self.model(), text)
        {
            return Ok(vec![vector]);
        }
        let query = texts.clone();
        let vectors = timeout(QUERY_TIMEOUT, self.model.embed(texts, EmbeddingPurpose::Query))
            .await
            .map_err(|_| InferenceError("the embedding model took too long".into()))??;
        if let ([text], [vector]) = (query.as_slice(), vectors.as_slice()) {
            self.cache.insert(self.model(), text, vector);
        }
        Ok(vectors)
    }
}

impl Model {
    /// Embeds texts.
    fn embed(
        &self,
        texts: Vec<String>,
        purpose: EmbeddingPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, InferenceError>> {
        match self {
            Self::Local(model) => model.embed(texts, purpose),
            Self::Host(host, id) => {
                let input = match purpose {
                    EmbeddingPurpose::Document => EmbedInput::SearchDocument,
                    EmbeddingPurpose::Query => EmbedInput::SearchQuery,
                };
                let call = EmbedCall { purpose: Some(input), ..EmbedCall::new(id, texts) };
                let vectors = async move {
                    let embeddings = host.embed(call).await;
                    embeddings
                        .map(|embeddings| embeddings.vectors)
                        .map_err(|error| InferenceError(error.to_string()))
                };
                vectors.boxed()
            }
        }
    }
}
