//! One running pipe: its type erased, its valves swapped whole.
//!
//! Pipe authors write [`Pipe`], typed; the registry holds [`Slot`], its object-safe twin, which `Fitting` gives to every pipe. This is the
//! only place where valves pass between JSON and a pipe's own struct.

use crate::valves::{Found, Layers, Pins, Posted, Shelf, Sources, Spec, Update, Values};
use arc_swap::ArcSwap;
use futures_util::{FutureExt, future::BoxFuture};
use pipe_sdk::{
    Asked, Call, ChunkStream, EmbedCall, Embeddings, Fault, FilterBody, FilterCall, ImageCall,
    Images, Known, Pipe, PipeError, RerankCall, Reranked, Result, Serves, Spent, UpstreamState,
    Valves,
};
use pipewright_store::Version;
use serde_json::Value;
use std::{
    collections::BTreeMap, panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration,
};
use tokio::{sync::Mutex, time::timeout};

/// A pipe that takes longer to start is tried again when its valves are turned.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Starts a pipe with the valves of this site and this shelf.
type Start = fn(Site, Arc<dyn Shelf>) -> BoxFuture<'static, Arc<dyn Slot>>;

/// One line of [`PIPES`](crate::pipes::PIPES).
#[derive(Clone, Copy)]
pub struct Registration {
    /// [`Pipe::ID`].
    pub id: &'static str,
    /// What can be turned.
    pub spec: fn() -> Spec,
    /// Starts the pipe.
    pub start: Start,
}

impl Registration {
    /// The registration of this pipe. An id that the wire could not split does not compile.
    pub const fn of<P: Pipe>() -> Self {
        const { assert!(is_wire_id(P::ID), "a pipe's id is made of letters, digits, `_` and `-`") };
        Self {
            id: P::ID,
            spec: Spec::of::<P::Valves>,
            start: |site, shelf| Box::pin(Fitting::<P>::start(site, shelf)),
        }
    }
}

const fn is_wire_id(id: &str) -> bool {
    let (bytes, mut at) = (id.as_bytes(), 0);
    while at < bytes.len() {
        if !(bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_' || bytes[at] == b'-') {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty()
}

/// Where a pipe finds its valves.
#[derive(Clone, Default)]
pub struct Site {
    /// The data folder; what the UI saves stands in `<folder>/<pipe>/valves.json`.
    pub folder: PathBuf,
    /// The operator's `valves.toml`; it need not exist.
    pub file: PathBuf,
    /// The environment, whose variables pin valves.
    pub environment: BTreeMap<String, String>,
    /// What else pins valves.
    pub pins: Pins,
}

impl Site {
    /// The layers that do not change while the host runs.
    pub fn layers(&self, pipe: &str, spec: &Spec) -> Layers {
        let mut pins = Pins::default();
        let unread = pins.add_environment(pipe, spec, |name| self.environment.get(name).cloned());
        Layers::read(pipe, spec, &self.file, &pins.followed_by(&self.pins), unread)
    }
}

/// One pipe as the registry holds it: [`Pipe`], with its type forgotten.
pub trait Slot: Send + Sync {
    /// [`Pipe::ID`].
    fn id(&self) -> &'static str;
    /// [`Pipe::NAME`].
    fn name(&self) -> &'static str;
    /// What can be turned, as the form shows it.
    fn spec(&self) -> Value;
    /// The values in force, as they may be shown.
    fn valves(&self) -> Values;
    /// Takes what an admin posted: checks it, builds the next pipe, saves, swaps. On an error all is as it was.
    fn turn(self: Arc<Self>, posted: Values) -> BoxFuture<'static, Result<Values>>;
    /// Reads again what was saved, and the operator's file, and builds the next pipe from them.
    fn reload(self: Arc<Self>) -> BoxFuture<'static, Result<()>>;
    /// Reads again what was saved, and builds the next pipe if that is news.
    fn follow(self: Arc<Self>) -> BoxFuture<'static, Result<()>>;
    /// What the running pipe serves; `None` when it could not start.
    fn serves(&self) -> Option<Serves>;
    /// [`Pipe::knows`].
    fn knows(&self, id: &str) -> Option<Known>;
    /// Why the pipe does not run, or not well.
    fn trouble(&self) -> Option<String>;
    /// [`Pipe::upstreams`], of the pipe that runs.
    fn upstreams(&self) -> Vec<UpstreamState>;
    /// [`Pipe::discovered`].
    fn discovered(&self) -> BoxFuture<'static, ()>;
    /// [`Pipe::pipe`].
    fn pipe(&self, call: Call) -> BoxFuture<'static, Result<ChunkStream>>;
    /// [`Pipe::count_tokens`].
    fn count_tokens(&self, call: Call) -> BoxFuture<'static, Result<u64>>;
    /// [`Pipe::embed`].
    fn embed(&self, call: EmbedCall) -> BoxFuture<'static, Result<Embeddings>>;
    /// [`Pipe::rerank`].
    fn rerank(&self, call: RerankCall) -> BoxFuture<'static, Result<Reranked>>;
    /// [`Pipe::images`].
    fn images(&self, call: ImageCall) -> BoxFuture<'static, Result<Images>>;
    /// [`Pipe::inlet`].
    fn inlet(&self, call: FilterCall) -> BoxFuture<'static, Result<FilterBody>>;
    /// [`Pipe::outlet`].
    fn outlet(&self, call: FilterCall) -> BoxFuture<'static, Result<FilterBody>>;
    /// [`Pipe::admit`].
    fn admit(&self, asked: Asked) -> BoxFuture<'static, Result<()>>;
    /// [`Pipe::settle`].
    fn settle(&self, spent: Spent) -> BoxFuture<'static, ()>;
    /// [`Pipe::on_shutdown`].
    fn shutdown(&self) -> BoxFuture<'static, ()>;
}

/// A pipe in its place, with the valves that it runs on.
struct Fitting<P: Pipe> {
    site: Site,
    spec: Spec,
    shelf: Arc<dyn Shelf>,
    state: ArcSwap<State<P>>,
    /// Held while valves are turned, so that two updates cannot interleave.
    turning: Arc<Mutex<()>>,
}

/// What a pipe is at one moment. It never changes; the next one takes its place.
struct State<P> {
    settings: Settings,
    /// The running pipe, or why there is none.
    pipe: Result<Arc<P>, String>,
}

/// The valves of one moment, and where they came from.
#[derive(Clone, Default)]
struct Settings {
    layers: Layers,
    saved: Values,
    /// Which save that is.
    version: Option<Version>,
    values: Values,
    sources: Sources,
    /// What in the layers cannot be so.
    faults: Vec<Fault>,
    /// What was wrong with what was saved.
    trouble: Option<String>,
}

impl Settings {
    fn of(spec: &Spec, layers: Layers, found: Found) -> Self {
        let Found { values: saved, version, trouble } = found;
        let (values, sources, faults) = layers.merged(spec, &saved);
        Self { layers, saved, version, values, sources, faults, trouble }
    }

    /// The pipe's own struct.
    fn typed<V: Valves>(&self) -> Result<V> {
        if !self.faults.is_empty() {
            return Err(PipeError::BadValves(self.faults.clone()));
        }
        // The layers were read by the struct's own schema; a type that says one thing and reads another is a defect of the pipe.
        let valves: V = serde_json::from_value(Value::Object(self.values.clone()))
            .map_err(|_| PipeError::internal("the valves do not fit their own schema"))?;
        let faults = valves.faults();
        if faults.is_empty() { Ok(valves) } else { Err(PipeError::BadValves(faults)) }
    }
}

impl<P: Pipe> Fitting<P> {
    async fn start(site: Site, shelf: Arc<dyn Shelf>) -> Arc<dyn Slot> {
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
        let pipe =
            Self::build(None, &settings).await.map(Arc::new).map_err(|error| error.to_string());
        if let Err(trouble) = &pipe {
            tracing::error!(pipe.id = P::ID, "`{}` did not start: {trouble}.", P::ID);
        }
        let state = ArcSwap::from_pointee(State { settings, pipe });
        Arc::new(Self { site, spec, shelf, state, turning: Arc::default() })
    }

    /// Builds the next running pipe; a panic of the pipe's is an error like any other.
    async fn build(running: Option<&P>, settings: &Settings) -> Result<P> {
        let valves = settings.typed()?;
        let build = async {
            match running {
                Some(pipe) => pipe.on_valves_updated(valves).await,
                None => P::on_startup(valves).await,
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

    async fn next(&self, state: &State<P>, settings: &Settings) -> Result<Arc<P>> {
        Self::build(state.pipe.as_deref().ok(), settings).await.map(Arc::new)
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

    fn turn(self: Arc<Self>, posted: Values) -> BoxFuture<'static, Result<Values>> {
        Box::pin(async move {
            let turning = Arc::clone(&self.turning).lock_owned().await;
            let state = self.state.load_full();
            let Settings { layers, saved, version, values, sources, .. } = &state.settings;
            let update = Update { spec: &self.spec, values, sources, saved };
            let Posted { saved, entered } = update.posted(posted).map_err(PipeError::BadValves)?;
            if saved == state.settings.saved
                && state.pipe.is_ok()
                && state.settings.trouble.is_none()
            {
                return Ok(self.spec.shown(values));
            }
            let next = Found { values: saved, version: *version, trouble: None };
            let mut settings = Settings::of(&self.spec, layers.clone(), next);
            let strayed = update.strayed(&settings.values, &entered);
            if !strayed.is_empty() {
                return Err(PipeError::BadValves(strayed));
            }
            let pipe = self.next(&state, &settings).await?;
            let shown = self.spec.shown(&settings.values);
            let turned = differing(values, &settings.values);
            let slot = Arc::clone(&self);
            let finish = async move {
                let saved = settings.saved.clone();
                settings.version = slot.shelf.save(P::ID, saved, settings.version).await?;
                slot.state.store(Arc::new(State { settings, pipe: Ok(pipe) }));
                drop(turning);
                Ok(())
            };
            to_its_end(finish).await?;
            tracing::info!(pipe.id = P::ID, valves = turned, "Turned valves of `{}`.", P::ID);
            Ok(shown)
        })
    }

    fn reload(self: Arc<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let _turning = self.turning.lock().await;
            let found = told::<P>(self.shelf.load(P::ID).await?);
            let layers = self.site.layers(P::ID, &self.spec);
            let settings = Settings::of(&self.spec, layers, found);
            let pipe = self.next(&self.state.load(), &settings).await?;
            self.state.store(Arc::new(State { settings, pipe: Ok(pipe) }));
            Ok(())
        })
    }

    fn follow(self: Arc<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let _turning = self.turning.lock().await;
            let found = self.shelf.load(P::ID).await?;
            let state = self.state.load_full();
            let known = &state.settings;
            if found.version == known.version && known.trouble.is_none() {
                return Ok(());
            }
            let layers = known.layers.clone();
            let mut settings = Settings::of(&self.spec, layers, found);
            let turned = differing(&known.values, &settings.values);
            let pipe = match self.next(&state, &settings).await {
                Ok(pipe) => Ok(pipe),
                // What runs goes on; what stands there is shown, so that it can be mended.
                Err(error) => {
                    let trouble =
                        format!("what was turned on another replica cannot be used here: {error}");
                    tracing::error!(pipe.id = P::ID, "`{}` stays as it is: {trouble}.", P::ID);
                    settings.trouble = Some(trouble);
                    state.pipe.clone()
                }
            };
            self.state.store(Arc::new(State { settings, pipe }));
            tracing::info!(pipe.id = P::ID, valves = turned, "Followed the valves of `{}`.", P::ID);
            Ok(())
        })
    }

    fn serves(&self) -> Option<Serves> {
        self.running().ok().map(|pipe| pipe.serves())
    }

    fn knows(&self, id: &str) -> Option<Known> {
        self.running().ok()?.knows(id)
    }

    fn trouble(&self) -> Option<String> {
        let state = self.state.load();
        match &state.pipe {
            Ok(pipe) => pipe.trouble().or_else(|| state.settings.trouble.clone()),
            Err(trouble) => Some(trouble.clone()),
        }
    }

    fn upstreams(&self) -> Vec<UpstreamState> {
        self.running().map(|pipe| pipe.upstreams()).unwrap_or_default()
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

    fn admit(&self, asked: Asked) -> BoxFuture<'static, Result<()>> {
        self.with(|pipe| async move { pipe.admit(asked).await })
    }

    fn settle(&self, spent: Spent) -> BoxFuture<'static, ()> {
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

/// The names of the valves that are not as they were, for the log.
fn differing(before: &Values, after: &Values) -> String {
    let differs = |(name, value): &(&String, &Value)| before.get(*name) != Some(*value);
    after.iter().filter(differs).map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Logs what was wrong with what was saved.
fn told<P: Pipe>(found: Found) -> Found {
    if let Some(trouble) = &found.trouble {
        tracing::error!(pipe.id = P::ID, "The saved valves of `{}`: {trouble}.", P::ID);
    }
    found
}

/// Saving and swapping end together, even if the admin leaves meanwhile.
#[expect(
    clippy::disallowed_methods,
    reason = "it is awaited, and a shelf takes no longer than some seconds"
)]
async fn to_its_end(finish: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    tokio::spawn(finish).await.map_err(PipeError::internal)?
}
