//! The slot of a pipe: it swaps the pipe when its valves change, and passes calls to the running
//! pipe.

use super::{ConfigSources, FilterScope, Slot, effective_valves::EffectiveValves};
use crate::valves::{
    CheckReferences, LoadedValves, ModelReference, Values, ValveDescription, ValveSource,
    ValveStore, ValvesForm, ValvesSpec,
};
use arc_swap::ArcSwap;
use futures_util::{FutureExt, future::BoxFuture};
use pipe_sdk::{
    AdmissionRequest, Body, Call, ChunkStream, EmbedCall, Embeddings, FilterBody, FilterCall,
    HostBackend, ImageCall, Images, ModelResolution, Pipe, PipeError, QuirkState, RerankCall,
    Reranked, Result, Serves, StateFolder, UpstreamState, UsageReport, library::Library,
};
use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Mutex, time::timeout};

/// The longest time that a pipe may take to start. A pipe that takes longer is started again when
/// its valves are updated.
const START_LIMIT: Duration = Duration::from_secs(10);

/// The slot of a pipe, with its current valves.
pub(super) struct PipeSlot<P: Pipe> {
    pub(super) sources: ConfigSources,
    pub(super) spec: ValvesSpec,
    pub(super) valve_store: Arc<dyn ValveStore>,
    pub(super) state: ArcSwap<PipeState<P>>,
    /// A lock that is held while valves are updated, so that two updates cannot interleave.
    pub(super) update_lock: Arc<Mutex<()>>,
}

/// The pipe and its valves at one moment. It never changes; an update replaces it.
pub(super) struct PipeState<P> {
    pub(super) settings: EffectiveValves,
    /// The running pipe, or the reason why it does not run.
    pub(super) pipe: Result<Arc<P>, String>,
    /// The scope of the running pipe, if it is a filter. Only new valves change it.
    filter: Option<Arc<FilterScope>>,
    generation: u64,
}

impl<P: Pipe> PipeState<P> {
    pub(super) fn new(settings: EffectiveValves, pipe: Result<Arc<P>, String>) -> Self {
        /// The number of pipes that were built, which numbers the next one.
        static GENERATIONS: AtomicU64 = AtomicU64::new(0);
        let serves = pipe.as_ref().ok().map(|pipe| pipe.serves());
        let filter = serves.and_then(FilterScope::from_serves).map(Arc::new);
        Self { settings, pipe, filter, generation: GENERATIONS.fetch_add(1, Ordering::Relaxed) }
    }
}

impl<P: Pipe> PipeSlot<P> {
    /// Loads the valves of a pipe, and starts it.
    pub(super) async fn start(
        sources: ConfigSources,
        valve_store: Arc<dyn ValveStore>,
    ) -> Arc<dyn Slot> {
        let spec = ValvesSpec::for_valves::<P::Valves>();
        let unread = |error: &PipeError| LoadedValves {
            problem: Some(error.to_string()),
            ..LoadedValves::default()
        };
        let found = match valve_store.load(P::ID).await {
            Ok(found) => warn_if_unreadable::<P>(found),
            // A database that is unreachable is reported once, not by every pipe.
            Err(error @ PipeError::Unavailable { .. }) => unread(&error),
            Err(error) => warn_if_unreadable::<P>(unread(&error)),
        };
        let settings = EffectiveValves::new(&spec, sources.layers(P::ID, &spec), found);
        let (settings, pipe) = match settings.clone().resolve_paths(&spec, &sources, None).await {
            Ok(settings) => {
                let pipe = Self::build(None, &sources, &settings).await;
                (settings, pipe.map(Arc::new))
            }
            Err(error) => (settings, Err(error)),
        };
        let pipe = pipe.map_err(|error| settings.describe_error(&error));
        if let Err(problem) = &pipe {
            tracing::error!(pipe.id = P::ID, "`{}` did not start: {problem}.", P::ID);
        }
        let state = ArcSwap::from_pointee(PipeState::new(settings, pipe));
        Arc::new(Self { sources, spec, valve_store, state, update_lock: Arc::default() })
    }

    /// Builds the next pipe. A panic of the pipe is returned as an error.
    async fn build(
        running: Option<&P>,
        sources: &ConfigSources,
        settings: &EffectiveValves,
    ) -> Result<P> {
        let valves = settings.deserialize()?;
        let build = async {
            match running {
                Some(pipe) => pipe.on_valves_updated(valves).await,
                None => {
                    let folder = StateFolder::new(sources.folder.join(P::ID));
                    P::on_startup_in(folder, valves).await
                }
            }
        };
        match timeout(START_LIMIT, AssertUnwindSafe(build).catch_unwind()).await {
            Ok(Ok(built)) => built,
            Ok(Err(_)) => Err(PipeError::internal("the pipe panicked while it was built")),
            Err(_) => Err(PipeError::Timeout(format!(
                "it was not built within {} s",
                START_LIMIT.as_secs()
            ))),
        }
    }

    pub(super) async fn build_next(
        &self,
        state: &PipeState<P>,
        settings: &EffectiveValves,
    ) -> Result<Arc<P>> {
        let running = state.pipe.as_deref().ok();
        Self::build(running, &self.sources, settings).await.map(Arc::new)
    }

    fn running_pipe(&self) -> Result<Arc<P>> {
        let not_running_error = |problem: &String| PipeError::Unavailable {
            message: format!("`{}` is not running: {problem}", P::ID),
            retry_after: None,
        };
        self.state.load().pipe.as_ref().map(Arc::clone).map_err(not_running_error)
    }

    /// Calls `then` with the running pipe. The response keeps that pipe, even if another replaces
    /// it.
    fn call_running<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        then: impl FnOnce(Arc<P>) -> F + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let running = self.running_pipe();
        Box::pin(async { then(running?).await })
    }
}

impl<P: Pipe> Slot for PipeSlot<P> {
    fn id(&self) -> &'static str {
        P::ID
    }

    fn name(&self) -> &str {
        P::NAME
    }

    fn provider(&self) -> &'static str {
        P::PROVIDER
    }

    fn form(&self) -> ValvesForm {
        self.state.load().settings.form(&self.spec)
    }

    fn valves(&self) -> Values {
        self.spec.mask_values(&self.state.load().settings.values)
    }

    fn describe_valves(&self) -> Vec<ValveDescription> {
        self.state.load().settings.describe(&self.spec)
    }

    fn update_valves(
        self: Arc<Self>,
        posted: Values,
        models: Arc<dyn CheckReferences>,
    ) -> BoxFuture<'static, Result<Values>> {
        Box::pin(self.apply_update(posted, models))
    }

    fn references(&self) -> Vec<ModelReference> {
        let EffectiveValves { values, sources, .. } = &self.state.load().settings;
        self.spec.references(values, |valve| sources.get(valve) != Some(&ValveSource::BuiltIn))
    }

    fn reload(self: Arc<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(self.reload_valves())
    }

    fn apply_replicated_valves(self: Arc<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(self.apply_replicated())
    }

    fn serves(&self) -> Option<Serves> {
        self.running_pipe().ok().map(|pipe| pipe.serves())
    }

    fn filter(&self) -> Option<Arc<FilterScope>> {
        self.state.load().filter.clone()
    }

    fn resolve_model(&self, id: &str) -> Option<ModelResolution> {
        self.running_pipe().ok()?.resolve_model(id)
    }

    fn take_over(&self, body: &mut Body, host: &dyn HostBackend) {
        if let Ok(pipe) = self.running_pipe() {
            pipe.take_over(body, host);
        }
    }

    fn describes_images_for(&self, model: &str) -> bool {
        self.running_pipe().is_ok_and(|pipe| pipe.describes_images_for(model))
    }

    fn generation(&self) -> u64 {
        self.state.load().generation
    }

    fn health_problem(&self) -> Option<String> {
        let state = self.state.load();
        match &state.pipe {
            Ok(pipe) => pipe.health_problem().or_else(|| state.settings.problem.clone()),
            Err(problem) => Some(problem.clone()),
        }
    }

    fn learned_quirks(&self) -> Vec<QuirkState> {
        self.running_pipe().map(|pipe| pipe.learned_quirks()).unwrap_or_default()
    }

    fn upstream_states(&self) -> Vec<UpstreamState> {
        self.running_pipe().map(|pipe| pipe.upstream_states()).unwrap_or_default()
    }

    fn stores_responses(&self) -> bool {
        self.running_pipe().is_ok_and(|pipe| pipe.stores_responses())
    }

    fn library(&self) -> Option<Arc<dyn Library>> {
        self.running_pipe().ok()?.library()
    }

    fn wait_until_ready(&self) -> BoxFuture<'static, ()> {
        let running = self.running_pipe();
        Box::pin(async {
            if let Ok(pipe) = running {
                pipe.wait_until_ready().await;
            }
        })
    }

    fn pipe(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<ChunkStream>> {
        self.call_running(|pipe| pipe.pipe(call))
    }

    fn count_tokens(&self, call: Call) -> BoxFuture<'static, Result<u64>> {
        self.call_running(|pipe| pipe.count_tokens(call))
    }

    fn embed(&self, call: EmbedCall) -> BoxFuture<'static, Result<Embeddings>> {
        self.call_running(|pipe| pipe.embed(call))
    }

    fn rerank(&self, call: RerankCall) -> BoxFuture<'static, Result<Reranked>> {
        self.call_running(|pipe| pipe.rerank(call))
    }

    fn images(&self, call: ImageCall) -> BoxFuture<'static, Result<Images>> {
        self.call_running(|pipe| pipe.images(call))
    }

    fn inlet(self: Arc<Self>, call: FilterCall) -> BoxFuture<'static, Result<FilterBody>> {
        self.call_running(|pipe| async move { pipe.inlet(call).await })
    }

    fn outlet(self: Arc<Self>, call: FilterCall) -> BoxFuture<'static, Result<FilterBody>> {
        self.call_running(|pipe| async move { pipe.outlet(call).await })
    }

    fn admit(&self, asked: AdmissionRequest) -> BoxFuture<'static, Result<()>> {
        self.call_running(|pipe| async move { pipe.admit(asked).await })
    }

    fn record_usage(&self, spent: UsageReport) -> BoxFuture<'static, ()> {
        let running = self.running_pipe();
        Box::pin(async {
            if let Ok(pipe) = running {
                pipe.record_usage(spent).await;
            }
        })
    }

    fn shutdown(&self) -> BoxFuture<'static, ()> {
        let running = self.running_pipe();
        Box::pin(async {
            if let Ok(pipe) = running {
                pipe.on_shutdown().await;
            }
        })
    }
}

/// Logs the problem with the saved valves, if there is one.
pub(super) fn warn_if_unreadable<P: Pipe>(found: LoadedValves) -> LoadedValves {
    if let Some(problem) = &found.problem {
        tracing::error!(pipe.id = P::ID, "The saved valves of `{}`: {problem}.", P::ID);
    }
    found
}
