//! A running pipe behind an object-safe trait.
//!
//! Pipe authors write [`Pipe`], typed; the registry holds [`Slot`], its object-safe twin, which
//! `pipe_slot` gives to every pipe.

mod config_sources;
mod effective_valves;
mod paths;
mod pipe_slot;
mod valves_update;

pub use config_sources::ConfigSources;
pub(crate) use effective_valves::EffectiveValves;
pub use paths::PathRoots;

use crate::valves::{
    CheckReferences, ModelReference, Values, ValveDescription, ValveStore, ValvesForm, ValvesSpec,
};
use futures_util::future::BoxFuture;
use pipe_sdk::{
    AdmissionRequest, Body, Call, ChunkStream, EmbedCall, Embeddings, FilterBody, FilterCall,
    HostBackend, ImageCall, Images, ModelResolution, Pipe, QuirkState, RerankCall, Reranked,
    Result, Serves, UpstreamState, UsageReport, library::Library,
};
use pipe_slot::PipeSlot;
use std::sync::Arc;

/// Starts a pipe with the valves from these sources and this store.
type Start = fn(ConfigSources, Arc<dyn ValveStore>) -> BoxFuture<'static, Arc<dyn Slot>>;

/// Reads the valves of a pipe from these sources and the saved ones, as its start does. Returns
/// them with a warning, or the reason why the pipe would not start.
type CheckValves =
    fn(ConfigSources, Values) -> BoxFuture<'static, Result<(Values, Option<String>), String>>;

/// An entry of [`PIPES`](crate::pipes::PIPES).
#[derive(Clone, Copy)]
pub struct Registration {
    /// [`Pipe::ID`].
    pub id: &'static str,
    /// Returns the valves that can be set.
    pub spec: fn() -> ValvesSpec,
    /// Checks the valves without a start.
    pub check_valves: CheckValves,
    /// Starts the pipe.
    pub start: Start,
}

impl Registration {
    /// Returns the registration of this pipe. A pipe id with other characters than letters, digits,
    /// `_` and `-` does not compile.
    pub const fn for_pipe<P: Pipe>() -> Self {
        const { assert!(is_wire_id(P::ID), "a pipe's id is made of letters, digits, `_` and `-`") };
        Self {
            id: P::ID,
            spec: ValvesSpec::for_valves::<P::Valves>,
            check_valves: |sources, saved| {
                Box::pin(effective_valves::check_valves::<P>(sources, saved))
            },
            start: |sources, valve_store| Box::pin(PipeSlot::<P>::start(sources, valve_store)),
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

/// The models whose requests a filter sees, and its place among the filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterScope {
    /// Full model ids, or exactly `["*"]` for all.
    pub pipelines: Vec<String>,
    /// Filters run in ascending order.
    pub priority: i64,
}

impl FilterScope {
    /// Returns the scope of a filter; `None` for what is no filter.
    pub fn from_serves(serves: Serves) -> Option<Self> {
        match serves {
            Serves::Filter { pipelines, priority } => Some(Self { pipelines, priority }),
            Serves::Model(_) | Serves::Manifold(_) => None,
        }
    }

    /// Returns whether the filter sees requests to this model.
    pub fn includes(&self, model: &str) -> bool {
        self.pipelines == ["*"] || self.pipelines.iter().any(|listed| listed == model)
    }
}

/// A pipe as the registry holds it: [`Pipe`] without its concrete type.
pub trait Slot: Send + Sync {
    /// [`Pipe::ID`].
    fn id(&self) -> &'static str;
    /// [`Pipe::NAME`].
    fn name(&self) -> &str;
    /// [`Pipe::PROVIDER`].
    fn provider(&self) -> &'static str {
        self.id()
    }
    /// Returns the form of the valves.
    fn form(&self) -> ValvesForm;
    /// Returns the current values of the valves, with secrets masked.
    fn valves(&self) -> Values;
    /// Returns all valves with their values and sources, for the admin page.
    fn describe_valves(&self) -> Vec<ValveDescription>;
    /// Applies posted valves: checks them, builds the next pipe, saves, and swaps. On an error
    /// nothing changes.
    fn update_valves(
        self: Arc<Self>,
        posted: Values,
        models: Arc<dyn CheckReferences>,
    ) -> BoxFuture<'static, Result<Values>>;
    /// Returns the models that valves name, except in valves that have their default.
    fn references(&self) -> Vec<ModelReference>;
    /// Reloads the saved valves and the operator's file, and builds the next pipe from them.
    fn reload(self: Arc<Self>) -> BoxFuture<'static, Result<()>>;
    /// Reloads the saved valves, and builds the next pipe if they have changed.
    fn apply_replicated_valves(self: Arc<Self>) -> BoxFuture<'static, Result<()>>;
    /// Returns the models of the running pipe; `None` if it could not start.
    fn serves(&self) -> Option<Serves>;
    /// Returns the scope of the pipe if it is a filter that runs. Every request asks for it.
    fn filter(&self) -> Option<Arc<FilterScope>> {
        self.serves().and_then(FilterScope::from_serves).map(Arc::new)
    }
    /// [`Pipe::resolve_model`].
    fn resolve_model(&self, id: &str) -> Option<ModelResolution>;
    /// [`Pipe::take_over`], of the pipe that runs.
    fn take_over(&self, body: &mut Body, host: &dyn HostBackend);
    /// [`Pipe::describes_images_for`], of the pipe that runs.
    fn describes_images_for(&self, model: &str) -> bool;
    /// Returns the number of the current valves: another one whenever the pipe was replaced.
    fn generation(&self) -> u64;
    /// Returns the reason why the pipe does not run, or not well.
    fn health_problem(&self) -> Option<String>;
    /// [`Pipe::learned_quirks`], of the pipe that runs.
    fn learned_quirks(&self) -> Vec<QuirkState>;
    /// [`Pipe::upstream_states`], of the pipe that runs.
    fn upstream_states(&self) -> Vec<UpstreamState>;
    /// [`Pipe::stores_responses`], of the running pipe.
    fn stores_responses(&self) -> bool;
    /// [`Pipe::library`], of the pipe that runs.
    fn library(&self) -> Option<Arc<dyn Library>>;
    /// [`Pipe::wait_until_ready`].
    fn wait_until_ready(&self) -> BoxFuture<'static, ()>;
    /// [`Pipe::pipe`].
    fn pipe(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<ChunkStream>>;
    /// [`Pipe::count_tokens`].
    fn count_tokens(&self, call: Call) -> BoxFuture<'static, Result<u64>>;
    /// [`Pipe::embed`].
    fn embed(&self, call: EmbedCall) -> BoxFuture<'static, Result<Embeddings>>;
    /// [`Pipe::rerank`].
    fn rerank(&self, call: RerankCall) -> BoxFuture<'static, Result<Reranked>>;
    /// [`Pipe::images`].
    fn images(&self, call: ImageCall) -> BoxFuture<'static, Result<Images>>;
    /// [`Pipe::inlet`].
    fn inlet(self: Arc<Self>, call: FilterCall) -> BoxFuture<'static, Result<FilterBody>>;
    /// [`Pipe::outlet`].
    fn outlet(self: Arc<Self>, call: FilterCall) -> BoxFuture<'static, Result<FilterBody>>;
    /// [`Pipe::admit`].
    fn admit(&self, asked: AdmissionRequest) -> BoxFuture<'static, Result<()>>;
    /// [`Pipe::record_usage`].
    fn record_usage(&self, spent: UsageReport) -> BoxFuture<'static, ()>;
    /// [`Pipe::on_shutdown`].
    fn shutdown(&self) -> BoxFuture<'static, ()>;
}
