//! A manifold of the models of any number of OpenAI-compatible upstreams.
//!
//! The valves name the upstreams ([`ProxyValves`]); `catalog` lists their models in the background,
//! and `chat` picks the model that answers. The crate `openai-client` asks a server, and the crate
//! `resilience` adds time-outs, retries and a circuit breaker.
//!
//! Deliberately absent: fields of answers that are not known are not passed on, and nothing is
//! listed before an upstream is set up.

mod catalog;
mod chat;
mod pipe_id;
mod rate_limit;
mod upstreams;
mod valves;

pub use valves::ProxyValves;

use catalog::{KnownModels, ModelCatalog, ModelEntry, ModelList, SavedListsFile};
use pipe_id::PIPE_ID;
use pipe_sdk::{
    BreakerState, Call, ChunkStream, EmbedCall, Embeddings, ModelKind, ModelResolution, Pipe,
    PipeError, QuirkState, RerankCall, Reranked, Result, Serves, StateFolder, UpstreamState,
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use upstreams::{ConnectedUpstream, Upstreams};

/// The time that a chat waits for the first model list.
const FIRST_LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// The manifold of the models of all upstreams.
pub struct OpenAiProxy {
    upstreams: Arc<Upstreams>,
    catalog: ModelCatalog,
}

impl Pipe for OpenAiProxy {
    const ID: &'static str = PIPE_ID;
    const NAME: &'static str = "OpenAI proxy";
    type Valves = ProxyValves;

    async fn on_startup(valves: ProxyValves) -> Result<Self> {
        Self::on_startup_in(StateFolder::default(), valves).await
    }

    async fn on_startup_in(folder: StateFolder, valves: ProxyValves) -> Result<Self> {
        let file = SavedListsFile::new(folder);
        let saved = file.load().await;
        let upstreams = Upstreams::new(&valves, None)?;
        Ok(Self::build(&valves, upstreams, file, KnownModels::Saved(&saved)))
    }

    /// Keeps open connections, and the models and the breaker state of upstreams that stay.
    async fn on_valves_updated(&self, valves: ProxyValves) -> Result<Self> {
        let upstreams = Upstreams::new(&valves, Some(&*self.upstreams))?;
        let known = KnownModels::Running(&self.catalog);
        Ok(Self::build(&valves, upstreams, self.catalog.file(), known))
    }

    fn serves(&self) -> Serves {
        Serves::Manifold(self.catalog.list().models())
    }

    /// Resolves listed ids, and ids that may belong to an upstream that could not be listed.
    fn resolve_model(&self, id: &str) -> Option<ModelResolution> {
        let list = self.catalog.list();
        let uncertain =
            || list.uncertainty(id, self.catalog.configs()).map(ModelResolution::Unavailable);
        list.model(id).map(ModelResolution::Available).or_else(uncertain)
    }

    async fn wait_until_ready(&self) {
        self.catalog.wait_until_ready().await;
    }

    fn health_problem(&self) -> Option<String> {
        let states = self.upstream_states().into_iter();
        let failing = states.filter(|state| state.breaker == BreakerState::Open);
        let failing = failing.map(|state| format!("{}: failing again and again", state.name));
        let listing = self.catalog.list().health_problem().map(String::from);
        let problems: Vec<_> = listing.into_iter().chain(failing).collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    fn learned_quirks(&self) -> Vec<QuirkState> {
        let quirks = self.upstreams.connected().iter().flat_map(|upstream| {
            let states = upstream.server.learned_quirks().into_iter();
            states
                .map(|state| QuirkState { model: upstream.config.model_id(&state.model), ..state })
        });
        quirks.collect()
    }

    fn upstream_states(&self) -> Vec<UpstreamState> {
        let connected = self.upstreams.connected().iter();
        connected.map(|upstream| upstream.server.upstream().state()).collect()
    }

    async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        let list = self.list_with(&call.model).await;
        let candidates = chat::candidates(&call.model, &list, self.catalog.configs())?;
        chat::chat(&call, &candidates, &self.upstreams).await
    }

    async fn embed(self: Arc<Self>, call: EmbedCall) -> Result<Embeddings> {
        let (entry, upstream) = self.find(&call.model, ModelKind::Embed).await?;
        let embeddings = upstream.server.embed(&entry.name, &call).await;
        embeddings.map_err(|error| error.into_pipe_error(&entry.id))
    }

    async fn rerank(self: Arc<Self>, call: RerankCall) -> Result<Reranked> {
        let (entry, upstream) = self.find(&call.model, ModelKind::Rerank).await?;
        let reranked = upstream.server.rerank(&entry.name, &call).await;
        reranked.map_err(|error| error.into_pipe_error(&entry.id))
    }
}

impl OpenAiProxy {
    /// Builds the pipe from connected upstreams and the models that are known from an earlier run.
    fn build(
        valves: &ProxyValves,
        upstreams: Upstreams,
        file: SavedListsFile,
        known: KnownModels<'_>,
    ) -> Self {
        let upstreams = Arc::new(upstreams);
        let max_age = Duration::from_secs(valves.model_list_seconds);
        let tools = valves.builtin_tools;
        let catalog = ModelCatalog::new(Arc::clone(&upstreams), max_age, tools, file, known);
        Self { upstreams, catalog }
    }

    /// Returns the model list. If this model is missing, the first refresh is waited for.
    async fn list_with(&self, model: &str) -> Arc<ModelList> {
        let list = self.catalog.list();
        if list.entry(model).is_some() {
            return list;
        }
        _ = timeout(FIRST_LIST_TIMEOUT, self.catalog.wait_until_ready()).await;
        self.catalog.list()
    }

    /// Returns the embedding or reranking model with this id. There is no fallback: the vectors of
    /// another model mean nothing beside its own. The kind of a model is not always known from its
    /// name, so it is taken for what it is asked for.
    async fn find(&self, model: &str, kind: ModelKind) -> Result<(ModelEntry, &ConnectedUpstream)> {
        let (list, configs) = (self.list_with(model).await, self.catalog.configs());
        if let Some(error) = list.gap_error(model, configs) {
            return Err(error);
        }
        let entry = list.entry(model).cloned().or_else(|| list.guess(model, configs, kind));
        let entry = entry.ok_or_else(|| PipeError::ModelNotFound(format!("{PIPE_ID}.{model}")))?;
        let upstream = &self.upstreams.connected()[entry.upstream];
        Ok((entry, upstream))
    }
}
