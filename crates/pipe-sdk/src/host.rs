//! The host, and the calls that go through it: a pipe gets them, and sends its own by the handle
//! that they hold.

mod call;
mod demand;
mod embed;
mod image;
mod rerank;

pub use call::Call;
pub use demand::Demand;
pub use embed::{EmbedCall, EmbedInput, Embeddings, Truncate};
pub use image::{Image, ImageCall, ImageFormat, ImageOptions, ImageQuality, ImageSize, Images};
pub use rerank::{Rank, RerankCall, Reranked};

use crate::{
    Body, CallContext, CallerId, ChatRef, ChunkStream, Conversations, Hints, Ledger, Model,
    PipeError, Result, Side, Usage, User,
};
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::{fmt, sync::Arc};

/// A handle to the host, for calls to other models. A clone is cheap.
///
/// It carries the user, the chat and the hints of the request, so that limits, costs and access
/// count for the person who asked. A chat may pass through [`MAX_HOPS`](Self::MAX_HOPS) pipes
/// behind the first; one more is refused with [`PipeError::Circle`].
#[derive(Clone)]
pub struct Host {
    backend: Arc<dyn HostBackend>,
    hops: u8,
    context: CallContext,
    chat: Arc<ChatRef>,
    hints: Hints,
}

impl Host {
    /// The largest number of pipes behind the first.
    pub const MAX_HOPS: u8 = 4;

    /// Returns a handle for the first call of this context and chat.
    pub fn new(
        backend: Arc<dyn HostBackend>,
        context: CallContext,
        chat: impl Into<Arc<ChatRef>>,
    ) -> Self {
        Self { backend, hops: 0, context, chat: chat.into(), hints: Hints::default() }
    }

    /// Returns the same handle with these hints.
    #[must_use]
    pub fn with_hints(self, hints: Hints) -> Self {
        Self { hints, ..self }
    }

    /// Returns the same handle for calls on this side of a router; usage is recorded per side.
    #[must_use]
    pub fn on_side(&self, side: Side) -> Self {
        Self { context: CallContext { side: Some(side), ..self.context.clone() }, ..self.clone() }
    }

    /// Returns the same handle for calls in this context.
    #[must_use]
    pub fn with_context(self, context: CallContext) -> Self {
        Self { context, ..self }
    }

    /// Returns the context: the user, the API key, and the models on the way.
    pub fn context(&self) -> &CallContext {
        &self.context
    }

    /// Returns the implementation behind the handle, for methods that pipes are called with.
    pub fn backend(&self) -> &dyn HostBackend {
        &*self.backend
    }

    /// Returns the chat that the calls belong to.
    pub fn chat(&self) -> &Arc<ChatRef> {
        &self.chat
    }

    /// Returns the user, the caller and the hints, as calls that are no chats carry them.
    pub fn caller(&self) -> (Option<Arc<User>>, CallerId, Hints) {
        (self.context.user.clone(), self.context.caller(), self.hints.clone())
    }

    /// Asks the filters to admit a call to this model. The other methods do so themselves; a pipe
    /// asks before another of its own models answers in place of the requested one.
    pub async fn admit(&self, model: &str, demand: Demand) -> Result<()> {
        if self.context.admission.has_passed(model, demand.kind) {
            return Ok(());
        }
        self.backend.admit(model.to_owned(), demand, self.clone()).await
    }

    /// Answers a chat through the model named in its body.
    pub async fn pipe(&self, body: Body) -> Result<ChunkStream> {
        self.backend.pipe(self.start_call(body)?, self.context.clone()).await
    }

    /// Returns the number of tokens that the model named in the body would read.
    pub async fn count_tokens(&self, body: Body) -> Result<u64> {
        self.backend.count_tokens(self.start_call(body)?).await
    }

    /// Returns the call of this chat, one hop further.
    ///
    /// # Errors
    /// [`PipeError::Circle`] after too many hops.
    pub fn start_call(&self, body: Body) -> Result<Call> {
        if self.hops > Self::MAX_HOPS {
            return Err(PipeError::Circle(Self::MAX_HOPS));
        }
        let host = Self { hops: self.hops + 1, ..self.clone() };
        let Self { context, chat, hints, .. } = self;
        Ok(Call {
            model: body.model.clone(),
            body,
            user: context.user.clone(),
            chat: Arc::clone(chat),
            hints: hints.clone(),
            host,
        })
    }

    /// Embeds texts through the model named in the call.
    pub async fn embed(&self, call: EmbedCall) -> Result<Embeddings> {
        self.backend.embed(call, self.clone()).await
    }

    /// Ranks documents through the model named in the call.
    pub async fn rerank(&self, call: RerankCall) -> Result<Reranked> {
        self.backend.rerank(call, self.clone()).await
    }

    /// Generates images through the model named in the call.
    pub async fn images(&self, call: ImageCall) -> Result<Images> {
        self.backend.images(call, self.clone()).await
    }

    /// Measures an answer as this model's and returns it. For pipes that call an upstream of their
    /// own beside other models of the host.
    pub fn meter(&self, model: &str, body: &Body, chunks: ChunkStream) -> ChunkStream {
        self.backend.meter(model, body, chunks, self.context.clone())
    }

    /// Returns the cost of this usage of a model in millionths of a US dollar; `None` if the price
    /// is unknown.
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<u64> {
        self.backend.cost(model, usage)
    }

    /// Returns the ledger of rate limits and spending.
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        self.backend.ledger()
    }

    /// Returns the store of conversations.
    pub fn conversations(&self) -> Arc<dyn Conversations> {
        self.backend.conversations()
    }

    /// Returns the chat models that the host serves now.
    pub fn models(&self) -> Vec<ModelCard> {
        self.backend.models()
    }

    /// Returns the embedding models that the host serves now. Those that read only text come first.
    pub fn embedding_models(&self) -> Vec<ModelCard> {
        self.backend.embedding_models()
    }

    /// Returns the model that this id names, with what is known of it.
    pub fn find_model(&self, id: &str) -> Option<ModelCard> {
        self.backend.find_model(id)
    }

    /// Returns whether the host lists a chat model with this id, as in `pipe.model`. The prefix of
    /// a connection of Open WebUI before it is ignored.
    pub fn lists_model(&self, id: &str) -> bool {
        self.backend.lists_model(id)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("hops", &self.hops).finish_non_exhaustive()
    }
}

/// A model of the host, as a pipe sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCard {
    /// The full id, as in `pipe.model`.
    pub id: String,
    /// The display name.
    pub name: String,
    /// The inputs that the model reads, as in
    /// [`ModelMetadata::reads`](crate::ModelMetadata::reads); empty if they are unknown.
    pub reads: Vec<&'static str>,
    /// True if the model takes images; `None` if that is unknown.
    pub vision: Option<bool>,
}

impl ModelCard {
    /// Returns the card of a model with this full id.
    pub fn new(id: impl Into<String>, model: &Model) -> Self {
        let Model { name, capabilities, metadata, .. } = model;
        let reads = metadata.reads.clone();
        let vision = capabilities.get("vision").and_then(Value::as_bool);
        let vision = vision.or_else(|| (!reads.is_empty()).then(|| reads.contains(&"image")));
        Self { id: id.into(), name: name.clone(), reads, vision }
    }

    /// Returns whether the model reads this kind of input, as in `file`; `None` if that is unknown.
    pub fn can_read(&self, kind: &str) -> Option<bool> {
        (!self.reads.is_empty()).then(|| self.reads.contains(&kind))
    }
}

/// The implementation behind a [`Host`]: the registry, or a script in the tests of a pipe.
///
/// Calls carry full model ids here. The backend fills in the caller's fields of calls that are no
/// chats.
pub trait HostBackend: Send + Sync {
    /// Asks the filters to admit a call to this model.
    fn admit(&self, model: String, demand: Demand, host: Host) -> BoxFuture<'_, Result<()>>;

    /// Answers a chat in this context.
    fn pipe(&self, call: Call, context: CallContext) -> BoxFuture<'_, Result<ChunkStream>>;

    /// Counts the tokens of a chat.
    fn count_tokens(&self, call: Call) -> BoxFuture<'_, Result<u64>>;

    /// Embeds texts.
    fn embed(&self, call: EmbedCall, host: Host) -> BoxFuture<'_, Result<Embeddings>>;

    /// Ranks documents.
    fn rerank(&self, call: RerankCall, host: Host) -> BoxFuture<'_, Result<Reranked>>;

    /// Measures an answer to this chat as this model's.
    fn meter(
        &self,
        model: &str,
        body: &Body,
        chunks: ChunkStream,
        context: CallContext,
    ) -> ChunkStream;

    /// Generates images.
    fn images(&self, call: ImageCall, host: Host) -> BoxFuture<'_, Result<Images>>;

    /// Returns the chat models that are served now.
    fn models(&self) -> Vec<ModelCard>;

    /// Returns the embedding models that are served now. Those that read only text come first.
    fn embedding_models(&self) -> Vec<ModelCard>;

    /// Returns the model that this id names, listed or not, with what is known of it.
    fn find_model(&self, id: &str) -> Option<ModelCard>;

    /// Returns whether a chat model with this id is listed, after any prefix of a connection.
    fn lists_model(&self, id: &str) -> bool {
        let is_suffix = |card: &ModelCard| {
            id.strip_suffix(&*card.id).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        self.models().iter().any(is_suffix)
    }

    /// Returns the cost of this usage in millionths of a US dollar, if the price is known.
    fn cost(&self, model: &str, usage: &Usage) -> Option<u64>;

    /// Returns the ledger of rate limits and spending.
    fn ledger(&self) -> Arc<dyn Ledger>;

    /// Returns the store of conversations.
    fn conversations(&self) -> Arc<dyn Conversations>;
}
