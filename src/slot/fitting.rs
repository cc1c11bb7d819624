//! A pipe in its place: its valves swapped whole, and what is asked of it handed to the one that runs.

use super::{Site, Slot, settings::Settings};
use crate::{
    references::Reference,
    registry::Registry,
    valves::{Found, Shelf, Source, Spec, Values},
};
use arc_swap::ArcSwap;
use futures_util::{FutureExt, future::BoxFuture};
use pipe_sdk::{
    AdmissionRequest, Body, Call, ChunkStream, EmbedCall, Embeddings, FilterBody, FilterCall,
    ImageCall, Images, Known, Pipe, PipeError, QuirkState, RerankCall, Reranked, Result, Serves,
    StateFolder, UpstreamState, UsageReport, library::Library,
};
use serde_json::Value;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::timeout};

/// A pipe that takes longer to start is tried again when its valves are turned.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A pipe in its place, with the valves that it runs on.
pub(super) struct Fitting<P: Pipe> {
    pub(super) site: Site,
    pub(super) spec: Spec,
    pub(super) shelf: Arc<dyn Shelf>,
    pub(super) state: ArcSwap<State<P>>,
    /// Held while valves are turned, so that two updates cannot interleave.
    pub(super) turning: Arc<Mutex<()>>,
}

/// What a pipe is at one moment. It never changes; the next one takes its place.
pub(super) struct State<P> {
    pub(super) settings: Settings,
    /// The running pipe, or why there is none.
    pub(super) pipe: Result<Arc<P>, String>,
}

impl<P: Pipe> Fitting<P> {
    pub(super) async fn start(site: Site, shelf: Arc<dyn Shelf>) -> Arc<dyn Slot> {
        let spec = Spec::of::<P::Valves>();
        let unread =
            |error: &PipeError| Found { trouble: Some(error.to_string()), ..Found::default() };
        let found = match shelf.load(P::ID).await {
            Ok(found) => told::<P>(found),
            // A database that is away is told of once, not by every pipe.
            Err(error @ PipeError::Unavailable { .. }) => unread(&error),
            Err(error) => told::<P>(unread(&error)),
        };
        let settings = Settings::of(&spec, site.layers(P::ID, &spec), found);
        let (settings, pipe) = match settings.clone().with_paths(&spec, &site, None).await {
            Ok(settings) => {
                let pipe = Self::build(None, &site, &settings).await;
                (settings, pipe.map(Arc::new).map_err(|error| error.to_string()))
            }
            Err(error) => (settings, Err(error.to_string())),
        };
        if let Err(trouble) = &pipe {
            tracing::error!(pipe.id = P::ID, "`{}` did not start: {trouble}.", P::ID);
        }
        let state = ArcSwap::from_pointee(State { settings, pipe });
        Arc::new(Self { site, spec, shelf, state, turning: Arc::default() })
    }

    /// Builds the next running pipe; a panic of the pipe's is an error like any other.
    async fn build(running: Option<&P>, site: &Site, settings: &Settings) -> Result<P> {
        let valves = settings.typed()?;
        let build = async {
            match running {
                Some(pipe) => pipe.on_valves_updated(valves).await,
                None => {
                    let folder = StateFolder::new(site.folder.join(P::ID));
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

    pub(super) async fn next(&self, state: &State<P>, settings: &Settings) -> Result<Arc<P>> {
        let running = state.pipe.as_deref().ok();
        Self::build(running, &self.site, settings).await.map(Arc::new)
    }

    fn running(&self) -> Result<Arc<P>> {
        let not_running = |trouble: &String| PipeError::Unavailable {
            message: format!("`{}` is not running: {trouble}", P::ID),
            retry_after: None,
        };
        self.state.load().pipe.as_ref().map(Arc::clone).map_err(not_running)
    }

    /// Hands the running pipe to `then`; the answer keeps it, whatever is swapped in meanwhile.
    fn with<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        then: impl FnOnce(Arc<P>) -> F + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let running = self.running();
        Box::pin(async { then(running?).await })
    }
}

impl<P: Pipe> Slot for Fitting<P> {
    fn id(&self) -> &'static str {
        P::ID
    }

    fn name(&self) -> &'static str {
        P::NAME
    }

    fn spec(&self) -> Value {
        self.spec.shown_as(&self.state.load().settings.sources)
    }

    fn valves(&self) -> Values {
        self.spec.shown(&self.state.load().settings.values)
    }

    fn turn(
        self: Arc<Self>,
        posted: Values,
        registry: Arc<Registry>,
    ) -> BoxFuture<'static, Result<Values>> {
        Box::pin(self.turned(posted, registry))
    }

    fn references(&self) -> Vec<Reference> {
        let Settings { values, sources, .. } = &self.state.load().settings;
        self.spec.references(values, |valve| sources.get(valve) != Some(&Source::BuiltIn))
    }

    fn reload(self: Arc<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(self.reloaded())
    }

    fn follow(self: Arc<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(self.followed())
    }

    fn serves(&self) -> Option<Serves> {
        self.running().ok().map(|pipe| pipe.serves())
    }

    fn knows(&self, id: &str) -> Option<Known> {
        self.running().ok()?.knows(id)
    }

    fn take_over(&self, body: &mut Body) {
        if let Ok(pipe) = self.running() {
            pipe.take_over(body);
        }
    }

    fn trouble(&self) -> Option<String> {
        let state = self.state.load();
        match &state.pipe {
            Ok(pipe) => pipe.trouble().or_else(|| state.settings.trouble.clone()),
            Err(trouble) => Some(trouble.clone()),
        }
    }

    fn lessons(&self) -> Vec<QuirkState> {
        self.running().map(|pipe| pipe.lessons()).unwrap_or_default()
    }

    fn upstreams(&self) -> Vec<UpstreamState> {
        self.running().map(|pipe| pipe.upstreams()).unwrap_or_default()
    }

    fn library(&self) -> Option<Arc<dyn Library>> {
        self.running().ok()?.library()
    }

    fn discovered(&self) -> BoxFuture<'static, ()> {
        let running = self.running();
        Box::pin(async {
            if let Ok(pipe) = running {
                pipe.discovered().await;
            }
        })
    }

    fn pipe(&self, call: Call) -> BoxFuture<'static, Result<ChunkStream>> {
        self.with(|pipe| pipe.pipe(call))
    }

    fn count_tokens(&self, call: Call) -> BoxFuture<'static, Result<u64>> {
        self.with(|pipe| pipe.count_tokens(call))
    }

    fn embed(&self, call: EmbedCall) -> BoxFuture<'static, Result<Embeddings>> {
        self.with(|pipe| pipe.embed(call))
    }

    fn rerank(&self, call: RerankCall) -> BoxFuture<'static, Result<Reranked>> {
        self.with(|pipe| pipe.rerank(call))
    }

    fn images(&self, call: ImageCall) -> BoxFuture<'static, Result<Images>> {
        self.with(|pipe| pipe.images(call))
    }

    fn inlet(&self, call: FilterCall) -> BoxFuture<'static, Result<FilterBody>> {
        self.with(|pipe| async move { pipe.inlet(call).await })
    }

    fn outlet(&self, call: FilterCall) -> BoxFuture<'static, Result<FilterBody>> {
        self.with(|pipe| async move { pipe.outlet(call).await })
    }

    fn admit(&self, asked: AdmissionRequest) -> BoxFuture<'static, Result<()>> {
        self.with(|pipe| async move { pipe.admit(asked).await })
    }

    fn settle(&self, spent: UsageReport) -> BoxFuture<'static, ()> {
        let running = self.running();
        Box::pin(async {
            if let Ok(pipe) = running {
                pipe.settle(spent).await;
            }
        })
    }

    fn shutdown(&self) -> BoxFuture<'static, ()> {
        let running = self.running();
        Box::pin(async {
            if let Ok(pipe) = running {
                pipe.on_shutdown().await;
            }
        })
    }
}

/// Logs what was wrong with what was saved.
pub(super) fn told<P: Pipe>(found: Found) -> Found {
    if let Some(trouble) = &found.trouble {
        tracing::error!(pipe.id = P::ID, "The saved valves of `{}`: {trouble}.", P::ID);
    }
    found
}
