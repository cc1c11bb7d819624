//! The trait of a pipe, and what a pipe says it serves.

use crate::{
    AdmissionRequest, Body, Call, ChunkStream, EmbedCall, Embeddings, FilterBody, FilterCall,
    HostBackend, ImageCall, Images, PickerAudience, PipeError, QuirkState, RerankCall, Reranked,
    Result, StateFolder, UpstreamState, UsageReport, Valves, library::Library,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
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

    /// Called once, after the last answer has ended and before the host exits, of the pipe that
    /// runs then. A pipe that new valves replace is dropped when its last answer has ended.
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

/// The models of a pipe: one, many, or a filter around others' chats.
#[expect(clippy::large_enum_variant, reason = "there is one a pipe")]
#[derive(Clone, Debug)]
pub enum Serves {
    /// One model, whose id is the pipe's own.
    Model(Model),
    /// Many models; their ids on the wire are `pipe.model`.
    Manifold(Arc<[Model]>),
    /// A filter for the models named, `["*"]` for all; smaller priorities run first.
    Filter {
        /// Model ids as Open WebUI shows them, or exactly `["*"]`. An empty list means none.
        pipelines: Vec<String>,
        /// Filters run in ascending order, on the way in and on the way out.
        priority: i64,
    },
}

impl Serves {
    /// Returns a manifold of these models.
    pub fn manifold(models: impl Into<Arc<[Model]>>) -> Self {
        Self::Manifold(models.into())
    }

    /// Returns its `type` in the model list (`docs/reference/open-webui.md`, "Model list"): `pipe`,
    /// `manifold` or `filter`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Model(_) => "pipe",
            Self::Manifold(_) => "manifold",
            Self::Filter { .. } => "filter",
        }
    }
}

/// The meaning of a model id to a pipe.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelResolution {
    /// It has this model, by this id or by another name for it.
    Available(Arc<Model>),
    /// The id is a method of this pipe and another model's id, as in `moa-gpt-4o`. A model that
    /// really has this id goes first.
    Derived(Arc<Model>),
    /// It has no model of this id, but an admin has chosen this one to answer in its place.
    Fallback(Arc<Model>),
    /// The model of this id may not be used, for this reason.
    Denied(String),
    /// It may have a model of this id, but cannot tell now, for this reason.
    Unavailable(String),
}

impl ModelResolution {
    /// Returns the model that would answer.
    pub fn into_model(self) -> Option<Arc<Model>> {
        match self {
            Self::Available(model) | Self::Derived(model) | Self::Fallback(model) => Some(model),
            Self::Denied(_) | Self::Unavailable(_) => None,
        }
    }
}

/// One model as Open WebUI lists it, or as it would if it chatted.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The id within the pipe; it may hold `.`, `:` and `/`.
    pub id: String,
    /// The name in the picker.
    pub name: String,
    /// Names that hold names of other models, as in `Documents · {rag/llama3}`, where an id of this
    /// host stands in braces. The first that is short enough takes the place of the name.
    pub name_templates: Vec<String>,
    /// Words that people filter the picker by, such as the vendor.
    pub tags: Vec<String>,
    /// The people who find the model in pickers.
    pub audience: PickerAudience,
    /// Its kind.
    pub kind: ModelKind,
    /// A line about the model.
    pub description: Option<String>,
    /// `info.meta.capabilities`, obeyed by Open WebUI (`docs/reference/open-webui.md`, "Model
    /// list"): `builtin_tools`, `usage`, `vision`, `citations`, `file_context`, …
    pub capabilities: Map<String, Value>,
    /// Further metadata, for API clients.
    pub metadata: ModelMetadata,
}

/// The metadata of a model, as far as known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelMetadata {
    /// Its input types: `text`, `image`, `file`, `audio`, `video`.
    pub reads: Vec<&'static str>,
    /// The largest number of tokens that it reads.
    pub context_length: Option<u32>,
    /// The largest number of tokens that it writes.
    pub max_output_tokens: Option<u32>,
    /// The supported fields of a chat, as in `temperature` and `tools`.
    pub parameters: Vec<&'static str>,
}

/// The kind of a model. Open WebUI lists those that answer chats; API clients list all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// It answers chats.
    #[default]
    Chat,
    /// It turns texts into vectors.
    Embed,
    /// It puts documents in order.
    Rerank,
    /// It makes pictures, and answers chats with them.
    Image,
}

impl ModelKind {
    /// Returns whether such a model answers chats.
    pub fn answers_chats(self) -> bool {
        matches!(self, Self::Chat | Self::Image)
    }
}

impl Model {
    /// Returns a chat model with this id and name, without capabilities and metadata.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        let (id, name, kind) = (id.into(), name.into(), ModelKind::Chat);
        Self {
            id,
            name,
            name_templates: Vec::new(),
            tags: Vec::new(),
            audience: PickerAudience::default(),
            kind,
            description: None,
            capabilities: Map::new(),
            metadata: ModelMetadata::default(),
        }
    }

    /// Returns the same with names that hold names of other models, the best first.
    #[must_use]
    pub fn with_name_templates(mut self, templates: impl IntoIterator<Item = String>) -> Self {
        self.name_templates = templates.into_iter().collect();
        self
    }

    /// Returns the same with one more tag.
    #[must_use]
    pub fn with_tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Returns the same for these people in pickers.
    #[must_use]
    pub fn with_audience(self, audience: PickerAudience) -> Self {
        Self { audience, ..self }
    }

    /// Returns the same model with this kind.
    #[must_use]
    pub fn with_kind(self, kind: ModelKind) -> Self {
        Self { kind, ..self }
    }

    /// Returns the same model with a description.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Returns the same model with this metadata.
    #[must_use]
    pub fn with_metadata(self, metadata: ModelMetadata) -> Self {
        Self { metadata, ..self }
    }

    /// Returns the same with one capability said.
    #[must_use]
    pub fn with_capability(mut self, capability: &str, yes: bool) -> Self {
        self.capabilities.insert(capability.into(), yes.into());
        self
    }
}
