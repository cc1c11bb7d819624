//! One running pipe, with its type forgotten.
//!
//! Pipe authors write [`Pipe`], typed; the registry holds [`Slot`], its object-safe twin, which
//! `pipe_slot` gives to every pipe.

mod config_sources;
mod effective_valves;
mod paths;
mod pipe_slot;
mod valves_update;

pub use config_sources::ConfigSources;
pub use paths::{PathKind, PathRoots};

use crate::{
    model_references::ModelReference,
    registry::Registry,
    valves::{Values, ValveStore, ValvesSpec},
};
use futures_util::future::BoxFuture;
use pipe_sdk::{
    AdmissionRequest, Call, ChunkStream, EmbedCall, Embeddings, FilterBody, FilterCall, ImageCall,
    Images, Known, Pipe, RerankCall, Reranked, Result, Serves, UpstreamState, UsageReport,
    library::Library,
};
use pipe_slot::PipeSlot;
use serde_json::Value;
use std::sync::Arc;

/// Starts a pipe with the valves of this site and this shelf.
type Start = fn(ConfigSources, Arc<dyn ValveStore>) -> BoxFuture<'static, Arc<dyn Slot>>;

/// One line of [`PIPES`](crate::pipes::PIPES).
#[derive(Clone, Copy)]
pub struct Registration {
    /// [`Pipe::ID`].
    pub id: &'static str,
    /// What can be turned.
    pub spec: fn() -> ValvesSpec,
    /// Starts the pipe.
    pub start: Start,
}

impl Registration {
    /// The registration of this pipe. An id that the wire could not split does not compile.
    pub const fn for_pipe<P: Pipe>() -> Self {
        const { assert!(is_wire_id(P::ID), "a pipe's id is made of letters, digits, `_` and `-`") };
        Self {
            id: P::ID,
            spec: ValvesSpec::for_valves::<P::Valves>,
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
    /// Takes what an admin posted: checks it, builds the next pipe, saves, swaps. On an error all
    /// is as it was.
    fn update_valves(
        self: Arc<Self>,
        posted: Values,
        registry: Arc<Registry>,
    ) -> BoxFuture<'static, Result<Values>>;
    /// The models that valves name, but for those that nobody has set.
    fn references(&self) -> Vec<ModelReference>;
    /// Reads again what was saved, and the operator's file, and builds the next pipe from them.
    fn reload(self: Arc<Self>) -> BoxFuture<'static, Result<()>>;
    /// Reads again what was saved, and builds the next pipe if that is news.
    fn apply_replicated_valves(self: Arc<Self>) -> BoxFuture<'static, Result<()>>;
    /// What the running pipe serves; `None` when it could not start.
    fn serves(&self) -> Option<Serves>;
    /// [`Pipe::knows`].
    fn knows(&self, id: &str) -> Option<Known>;
    /// Why the pipe does not run, or not well.
    fn trouble(&self) -> Option<String>;
    /// [`Pipe::upstreams`], of the pipe that runs.
    fn upstreams(&self) -> Vec<UpstreamState>;
    /// [`Pipe::library`], of the pipe that runs.
    fn library(&self) -> Option<Arc<dyn Library>>;
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
    fn admit(&self, asked: AdmissionRequest) -> BoxFuture<'static, Result<()>>;
    /// [`Pipe::settle`].
    fn settle(&self, spent: UsageReport) -> BoxFuture<'static, ()>;
    /// [`Pipe::on_shutdown`].
    fn shutdown(&self) -> BoxFuture<'static, ()>;
}
