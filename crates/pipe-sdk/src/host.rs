//! The way from a pipe to the other models of its host.

use crate::{
    Body, Call, CallContext, ChatRef, ChunkStream, Demand, EmbedCall, Embeddings, Hints, ImageCall,
    Images, Ledger, PipeError, RerankCall, Reranked, Result, Side, Usage,
};
use futures_util::future::BoxFuture;
use std::{fmt, sync::Arc};

/// What a pipe calls the host by. A clone is cheap.
///
/// The user, the chat and the wishes travel along, so that limits, costs and access count for the person who asked. A chat may go through
/// [`MAX_HOPS`](Self::MAX_HOPS) pipes behind the first, then it ends in [`PipeError::Circle`].
#[derive(Clone)]
pub struct Host {
    backend: Arc<dyn HostBackend>,
    hops: u8,
    context: CallContext,
    chat: ChatRef,
    hints: Hints,
}

impl Host {
    /// How many pipes may stand behind the first.
    pub const MAX_HOPS: u8 = 4;

    /// A way in for who is at the start of this context, and for this chat.
    pub fn new(backend: Arc<dyn HostBackend>, context: CallContext, chat: ChatRef) -> Self {
        Self { backend, hops: 0, context, chat, hints: Hints::default() }
    }

    /// The same with these wishes.
    #[must_use]
    pub fn with_hints(self, hints: Hints) -> Self {
        Self { hints, ..self }
    }

    /// The same on this side of a router; what it costs is told apart by it.
    #[must_use]
    pub fn on_side(&self, side: Side) -> Self {
        Self { context: CallContext { side: Some(side), ..self.context.clone() }, ..self.clone() }
    }

    /// The same for what is asked behind this context.
    #[must_use]
    pub fn with_context(self, context: CallContext) -> Self {
        Self { context, ..self }
    }

    /// Who is behind what goes this way.
    pub fn context(&self) -> &CallContext {
        &self.context
    }

    /// Which chat it is.
    pub fn chat(&self) -> &ChatRef {
        &self.chat
    }

    /// Asks filters whether this may be asked of this model, which the calls below do by themselves. A pipe does so before another of its
    /// own models answers in place of the one that was asked.
    pub async fn admit(&self, model: &str, demand: Demand) -> Result<()> {
        if self.context.admission.has_passed(model, demand.kind) {
            return Ok(());
        }
        self.backend.admit(model.to_owned(), demand, self.clone()).await
    }

    /// Answers a chat through the model named in its body.
    pub async fn pipe(&self, body: Body) -> Result<ChunkStream> {
        self.backend.pipe(self.call(body)?, self.context.clone()).await
    }

    /// How many tokens a chat would be read as by the model named in its body.
    pub async fn count_tokens(&self, body: Body) -> Result<u64> {
        self.backend.count_tokens(self.call(body)?).await
    }

    fn call(&self, body: Body) -> Result<Call> {
        if self.hops > Self::MAX_HOPS {
            return Err(PipeError::Circle(Self::MAX_HOPS));
        }
        let host = Self { hops: self.hops + 1, ..self.clone() };
        let Self { context, chat, hints, .. } = self.clone();
        Ok(Call { model: body.model.clone(), body, user: context.user, chat, hints, host })
    }

    /// Turns texts into vectors through the model named in the call.
    pub async fn embed(&self, call: EmbedCall) -> Result<Embeddings> {
        let (user, caller, hints) =
            (self.context.user.clone(), self.context.caller(), self.hints.clone());
        self.backend.embed(EmbedCall { user, caller, hints, ..call }, self.clone()).await
    }

    /// Puts documents in order through the model named in the call.
    pub async fn rerank(&self, call: RerankCall) -> Result<Reranked> {
        let (user, caller, hints) =
            (self.context.user.clone(), self.context.caller(), self.hints.clone());
        self.backend.rerank(RerankCall { user, caller, hints, ..call }, self.clone()).await
    }

    /// The same answer to this chat, counted as this model's, for a pipe that has one from an upstream of its own beside what it asks of
    /// other models.
    pub fn meter(&self, model: &str, body: &Body, chunks: ChunkStream) -> ChunkStream {
        self.backend.meter(model, body, chunks, self.context.clone())
    }

    /// Returns what this usage of a model costs, in millionths of a US dollar; `None` where the price is not known.
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<u64> {
        self.backend.cost(model, usage)
    }

    /// What is counted, and what people have spent.
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        self.backend.ledger()
    }

    /// Makes pictures through the model named in the call.
    pub async fn images(&self, call: ImageCall) -> Result<Images> {
        let (user, caller, hints) =
            (self.context.user.clone(), self.context.caller(), self.hints.clone());
        self.backend.images(ImageCall { user, caller, hints, ..call }, self.clone()).await
    }

    /// The chat models that the host serves now.
    pub fn models(&self) -> Vec<ModelCard> {
        self.backend.models()
    }

    /// Lists the embedding models that the host serves now. Those that read nothing but text come first.
    pub fn embedding_models(&self) -> Vec<ModelCard> {
        self.backend.embedding_models()
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
    /// What people read.
    pub name: String,
}

/// What stands behind a [`Host`]: the registry, or a script in a pipe's tests.
///
/// Calls carry full model ids here.
pub trait HostBackend: Send + Sync {
    /// Lets pass what is asked of this model, or says which filter does not, and why.
    fn admit(&self, model: String, demand: Demand, host: Host) -> BoxFuture<'_, Result<()>>;

    /// Answers one chat, for who is behind it.
    fn pipe(&self, call: Call, context: CallContext) -> BoxFuture<'_, Result<ChunkStream>>;

    /// Counts the tokens of a chat.
    fn count_tokens(&self, call: Call) -> BoxFuture<'_, Result<u64>>;

    /// Turns texts into vectors.
    fn embed(&self, call: EmbedCall, host: Host) -> BoxFuture<'_, Result<Embeddings>>;

    /// Puts documents in order.
    fn rerank(&self, call: RerankCall, host: Host) -> BoxFuture<'_, Result<Reranked>>;

    /// Counts what this answer to this chat costs as this model's.
    fn meter(
        &self,
        model: &str,
        body: &Body,
        chunks: ChunkStream,
        context: CallContext,
    ) -> ChunkStream;

    /// Makes pictures.
    fn images(&self, call: ImageCall, host: Host) -> BoxFuture<'_, Result<Images>>;

    /// The chat models that are served now.
    fn models(&self) -> Vec<ModelCard>;

    /// Lists the embedding models that are served now. Those that read nothing but text come first.
    fn embedding_models(&self) -> Vec<ModelCard>;

    /// Returns what this usage of a model costs, in millionths of a US dollar, where the price is known.
    fn cost(&self, model: &str, usage: &Usage) -> Option<u64>;

    /// What is counted, and what people have spent.
    fn ledger(&self) -> Arc<dyn Ledger>;
}
