//! The trait of a pipe.

use crate::{
    AdmissionRequest, Body, Call, ChunkStream, EmbedCall, Embeddings, FilterBody, FilterCall,
    HostBackend, ImageCall, Images, ModelResolution, PipeError, QuirkState, RerankCall, Reranked,
    Result, Serves, StateFolder, UpstreamState, UsageReport, Valves, library::Library,
};
use std::{future::Future, sync::Arc};

/// Answers or filters chats.
///
/// Only [`ID`](Self::ID), [`Valves`](Self::Valves), [`on_startup`](Self::on_startup) and
/// [`serves`](Self::serves) are asked of every pipe; one that answers adds [`pipe`](Self::pipe), a
/// filter adds [`inlet`](Self::inlet), [`outlet`](Self::outlet) or [`admit`](Self::admit). Methods
/// may be written as `async fn`.
pub trait Pipe: Send + Sync + Sized + 'static {
    /// The pipe's name on the wire, `[A-Za-z0-9_-]+`. It holds no dot: the wire splits `pipe.model`
    /// at the first one.
    const ID: &'static str;

    /// The name in Open WebUI's list of pipelines.
    const NAME: &'static str = Self::ID;

    /// The provider in metrics and traces, by the name that OpenTelemetry's conventions for
    /// generative AI have for it, as in `aws.bedrock`.
    const PROVIDER: &'static str = Self::ID;

    /// The settings that an admin can change.
    type Valves: Valves;

    /// Builds the running pipe from its valves.
    ///
    /// An `Err` does not stop the host: the pipe stays registered, shows as degraded with the
    /// error's words, and is tried again when its valves are turned. What can only be known by
    /// asking an upstream belongs in [`wait_until_ready`](Self::wait_until_ready), so that the host
    /// starts at once.
    fn on_startup(valves: Self::Valves) -> impl Future<Output = Result<Self>> + Send;

    /// Builds the running pipe from its valves, with a folder for files that it keeps from one
    /// start to the next. The host calls this one; a pipe that keeps no files has
    /// [`on_startup`](Self::on_startup) alone.
    fn on_startup_in(
        folder: StateFolder,
        valves: Self::Valves,
    ) -> impl Future<Output = Result<Self>> + Send {
        let _ = folder;
        Self::on_startup(valves)
    }

    /// Builds the next running pipe from new valves; what is dear to make may be taken over from
    /// `self`.
    fn on_valves_updated(&self, valves: Self::Valves) -> impl Future<Output = Result<Self>> + Send {
        let _ = self;
        Self::on_startup(valves)
    }

    /// Ends the work of the running pipe. The host calls it once, after the last answer and before
    /// it exits. A pipe that new valves replace is dropped when its last answer has ended.
    fn on_shutdown(&self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Returns the models that the pipe serves now. Called often: it must be cheap and must not
    /// wait.
    fn serves(&self) -> Serves;

    /// Resolves a model id within the pipe, listed or not.
    ///
    /// Clients may leave the pipe's name out of an id. Then the host asks every pipe for it, so
    /// this must be cheap and must not wait. Calls must resolve ids in the same way.
    fn resolve_model(&self, id: &str) -> Option<ModelResolution> {
        match self.serves() {
            Serves::Manifold(models) => {
                let model = models.iter().find(|model| model.id == id)?.clone();
                Some(ModelResolution::Available(Arc::new(model)))
            }
            // The id of a single model is the pipe's own, and a filter has none.
            Serves::Model(_) | Serves::Filter { .. } => None,
        }
    }

    /// Takes over a chat that names another pipe's model, by writing an id of its own into
    /// [`Body::model`].
    ///
    /// For options beside the model's name, as in `"optillm_approach": "moa"`, and for chats that
    /// the model cannot answer by itself. The host asks every pipe, before limits and access are
    /// checked, so this must be cheap and must not wait.
    fn take_over(&self, _body: &mut Body, _host: &dyn HostBackend) {}

    /// Returns whether it takes over chats with images for this model, which reads none itself.
    /// Then the model is listed as one that takes them.
    fn describes_images_for(&self, _model: &str) -> bool {
        false
    }

    /// Ends when [`serves`](Self::serves) is complete for the first time.
    ///
    /// The host waits for it before it lists models, but never longer than its own deadline of less
    /// than a second.
    fn wait_until_ready(&self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Returns the problem of a running pipe, for an operator; `None` if it is healthy.
    fn health_problem(&self) -> Option<String> {
        None
    }

    /// Returns the documents that it answers from, for those who manage them.
    fn library(&self) -> Option<Arc<dyn Library>> {
        None
    }

    /// Returns whether its models store responses of the Responses API and continue them. Then a
    /// call's [`ChatRef::response`](crate::ChatRef::response) names them.
    fn stores_responses(&self) -> bool {
        false
    }

    /// Returns the quirks that it has learned from its models' refusals; for admins.
    fn learned_quirks(&self) -> Vec<QuirkState> {
        Vec::new()
    }

    /// Returns the state of the services that it calls; for metrics.
    fn upstream_states(&self) -> Vec<UpstreamState> {
        Vec::new()
    }

    /// Answers one chat. An error before the first chunk is the `Err` of the future or of the first
    /// item.
    fn pipe(self: Arc<Self>, call: Call) -> impl Future<Output = Result<ChunkStream>> + Send {
        async move { Err(PipeError::ModelNotFound(call.model)) }
    }

    /// Returns the number of tokens of this chat, without answering it.
    fn count_tokens(self: Arc<Self>, call: Call) -> impl Future<Output = Result<u64>> + Send {
        async move { Err(PipeError::uncounted(&call.model)) }
    }

    /// Turns texts into vectors.
    fn embed(self: Arc<Self>, call: EmbedCall) -> impl Future<Output = Result<Embeddings>> + Send {
        async move { Err(PipeError::ModelNotFound(call.model)) }
    }

    /// Ranks documents by how well they answer a question.
    fn rerank(self: Arc<Self>, call: RerankCall) -> impl Future<Output = Result<Reranked>> + Send {
        async move { Err(PipeError::ModelNotFound(call.model)) }
    }

    /// Generates images from a description.
    fn images(self: Arc<Self>, call: ImageCall) -> impl Future<Output = Result<Images>> + Send {
        async move { Err(PipeError::ModelNotFound(call.model)) }
    }

    /// Changes a chat before it goes to its model, or refuses it with [`PipeError::Refused`]. Open
    /// WebUI asks, for chats with whatever model of whatever connection.
    fn inlet(&self, call: FilterCall) -> impl Future<Output = Result<FilterBody>> + Send {
        async { Ok(call.body) }
    }

    /// Changes a finished chat.
    fn outlet(&self, call: FilterCall) -> impl Future<Output = Result<FilterBody>> + Send {
        async { Ok(call.body) }
    }

    /// Admits a request to a model of this host, or refuses it. Filters are asked, each for its
    /// models, in the order of their priorities: for the model that a client requests, and for each
    /// other one that a pipe calls.
    fn admit(&self, _asked: AdmissionRequest) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Records the usage of an answer. Filters get it for every answer of this host, a little
    /// later.
    fn record_usage(&self, _spent: UsageReport) -> impl Future<Output = ()> + Send {
        async {}
    }
}
