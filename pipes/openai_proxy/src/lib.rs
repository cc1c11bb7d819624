//! The models of any number of OpenAI-compatible upstreams, in one manifold.
//!
//! The valves name the upstreams (`ways`), which are listed in the background (`catalogue`). How an upstream is asked, and what of its answer
//! goes on, is the crate `openai-upstream`'s; what keeps it calm is the crate `upstream`'s.
//!
//! What is deliberately absent: no answer is passed through, no task answers a chat, and nothing at all is listed until an upstream is set up.

mod catalogue;
mod chat;
mod keys;
mod quota;
mod upstreams;
mod valves;
mod ways;

pub use valves::ProxyValves;

use catalogue::{Catalogue, Entry, ListFile, Listing};
use pipe_sdk::{
    BreakerState, Call, ChunkStream, EmbedCall, Embeddings, ModelKind, ModelResolution, Pipe,
    PipeError, QuirkState, RerankCall, Reranked, Result, Serves, StateFolder, UpstreamState,
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use upstreams::{Connected, Upstreams};

/// The pipe's id.
const PIPE: &str = "openai_proxy";

/// How long a chat may wait for the first list. After that, what is known has to do.
const PATIENCE: Duration = Duration::from_secs(5);

/// The manifold of all upstreams' models.
pub struct OpenAiProxy {
    upstreams: Arc<Upstreams>,
    catalogue: Catalogue,
}

impl Pipe for OpenAiProxy {
    const ID: &'static str = PIPE;
    const NAME: &'static str = "OpenAI proxy";
    type Valves = ProxyValves;

    async fn on_startup(valves: ProxyValves) -> Result<Self> {
        Self::on_startup_in(StateFolder::default(), valves).await
    }

    async fn on_startup_in(folder: StateFolder, valves: ProxyValves) -> Result<Self> {
        let file = ListFile::new(folder);
        let saved = file.load().await;
        let upstreams = Upstreams::new(&valves, None)?;
        Ok(Self::built(&valves, upstreams, file, catalogue::ModelResolution::Saved(&saved)))
    }

    /// Keeps the open connections, and of upstreams that stay what is known of them.
    async fn on_valves_updated(&self, valves: ProxyValves) -> Result<Self> {
        let upstreams = Upstreams::new(&valves, Some(&*self.upstreams))?;
        let known = catalogue::ModelResolution::Running(&self.catalogue);
        Ok(Self::built(&valves, upstreams, self.catalogue.file(), known))
    }

    fn serves(&self) -> Serves {
        Serves::Manifold(self.catalogue.listing().models())
    }

    /// An id that is not listed may belong to an upstream that cannot be asked what it has.
    fn resolve_model(&self, id: &str) -> Option<ModelResolution> {
        let listing = self.catalogue.listing();
        let listed = listing.models().iter().find(|model| model.id == id).cloned();
        let untold =
            || listing.silence(id, self.catalogue.ways()).map(ModelResolution::Unavailable);
        listed.map(ModelResolution::Available).or_else(untold)
    }

    async fn wait_until_ready(&self) {
        self.catalogue.wait_until_ready().await;
    }

    fn health_problem(&self) -> Option<String> {
        let resting =
            self.upstream_states().into_iter().filter(|one| one.breaker == BreakerState::Open);
        let resting = resting.map(|one| format!("{}: failing again and again", one.name));
        let listing = self.catalogue.listing().health_problem().map(String::from);
        let troubles: Vec<_> = listing.into_iter().chain(resting).collect();
        (!troubles.is_empty()).then(|| troubles.join("; "))
    }

    fn learned_quirks(&self) -> Vec<QuirkState> {
        let lessons = self.upstreams.connected().iter().flat_map(|one| {
            let named = |state: QuirkState| QuirkState { model: one.way.id(&state.model), ..state };
            one.server.learned_quirks().into_iter().map(named)
        });
        lessons.collect()
    }

    fn upstream_states(&self) -> Vec<UpstreamState> {
        self.upstreams.connected().iter().map(|one| one.server.calm().state()).collect()
    }

    async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        let listing = self.listing(&call.model).await;
        let entries = chat::candidates(&call.model, &listing, self.catalogue.ways())?;
        chat::chat(&call, &entries, &self.upstreams).await
    }

    async fn embed(self: Arc<Self>, call: EmbedCall) -> Result<Embeddings> {
        let (entry, connected) = self.found(&call.model, ModelKind::Embed).await?;
        let embedded = connected.server.embed(&entry.name, &call).await;
        embedded.map_err(|trouble| trouble.error(&format!("{PIPE}.{}", entry.id)))
    }

    async fn rerank(self: Arc<Self>, call: RerankCall) -> Result<Reranked> {
        let (entry, connected) = self.found(&call.model, ModelKind::Rerank).await?;
        let reranked = connected.server.rerank(&entry.name, &call).await;
        reranked.map_err(|trouble| trouble.error(&format!("{PIPE}.{}", entry.id)))
    }
}

impl OpenAiProxy {
    fn built(
        valves: &ProxyValves,
        upstreams: Upstreams,
        file: ListFile,
        known: catalogue::ModelResolution<'_>,
    ) -> Self {
        let upstreams = Arc::new(upstreams);
        let age = Duration::from_secs(valves.model_list_seconds);
        let tools = valves.builtin_tools;
        let catalogue = Catalogue::new(Arc::clone(&upstreams), age, tools, file, known);
        Self { upstreams, catalogue }
    }

    /// The list in which this model is looked up. At the start it may still be on its way.
    async fn listing(&self, model: &str) -> Arc<Listing> {
        let listing = self.catalogue.listing();
        if listing.entry(model).is_some() {
            return listing;
        }
        _ = timeout(PATIENCE, self.catalogue.wait_until_ready()).await;
        self.catalogue.listing()
    }

    /// The model of this id that does no chats. Nobody answers in its place: the vectors of another would mean nothing beside its own. What
    /// it does is not always told by its name, so it is asked for what it is called for.
    async fn found(&self, model: &str, kind: ModelKind) -> Result<(Entry, &Connected)> {
        let (listing, ways) = (self.listing(model).await, self.catalogue.ways());
        if let Some(error) = listing.gap(model, ways) {
            return Err(error);
        }
        let entry = listing.entry(model).cloned().or_else(|| listing.guess(model, ways, kind));
        let entry = entry.ok_or_else(|| PipeError::ModelNotFound(format!("{PIPE}.{model}")))?;
        let connected = &self.upstreams.connected()[entry.way];
        Ok((entry, connected))
    }
}
