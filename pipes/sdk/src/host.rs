//! The way from a pipe to the other models of its host.

use crate::{
    Body, Call, ChatRef, ChunkStream, EmbedCall, Embeddings, Hints, ImageCall, Images, PipeError,
    RerankCall, Reranked, Result, User,
};
use futures_util::future::BoxFuture;
use std::{fmt, sync::Arc};

/// What a pipe calls the host by. A clone is cheap.
///
/// The user, the chat and the wishes travel along, so that limits, costs and access count for the person who asked. A chat may go through
/// [`MOST_HOPS`](Self::MOST_HOPS) pipes behind the first, then it ends in [`PipeError::Circle`].
#[derive(Clone)]
pub struct Host {
    doors: Arc<dyn Doors>,
    hops: u8,
    user: Option<User>,
    chat: ChatRef,
    hints: Hints,
}

impl Host {
    /// How many pipes may stand behind the first.
    pub const MOST_HOPS: u8 = 4;

    /// A way in for this user and chat.
    pub fn new(doors: Arc<dyn Doors>, user: Option<User>, chat: ChatRef) -> Self {
        Self { doors, hops: 0, user, chat, hints: Hints::default() }
    }

    /// The same with these wishes.
    #[must_use]
    pub fn wishing(self, hints: Hints) -> Self {
        Self { hints, ..self }
    }

    /// Answers a chat through the model named in its body.
    pub async fn pipe(&self, body: Body) -> Result<ChunkStream> {
        self.doors.pipe(self.call(body)?).await
    }

    /// How many tokens a chat would be read as by the model named in its body.
    pub async fn count_tokens(&self, body: Body) -> Result<u64> {
        self.doors.count_tokens(self.call(body)?).await
    }

    fn call(&self, body: Body) -> Result<Call> {
        if self.hops > Self::MOST_HOPS {
            return Err(PipeError::Circle(Self::MOST_HOPS));
        }
        let host = Self { hops: self.hops + 1, ..self.clone() };
        let Self { user, chat, hints, .. } = self.clone();
        Ok(Call { model: body.model.clone(), body, user, chat, hints, host })
    }

    /// Turns texts into vectors through the model named in the call.
    pub async fn embed(&self, call: EmbedCall) -> Result<Embeddings> {
        self.doors.embed(EmbedCall { user: self.user.clone(), ..call }).await
    }

    /// Puts documents in order through the model named in the call.
    pub async fn rerank(&self, call: RerankCall) -> Result<Reranked> {
        self.doors.rerank(RerankCall { user: self.user.clone(), ..call }).await
    }

    /// Makes pictures through the model named in the call.
    pub async fn images(&self, call: ImageCall) -> Result<Images> {
        self.doors.images(ImageCall { user: self.user.clone(), ..call }).await
    }

    /// The chat models that the host serves now.
    pub fn models(&self) -> Vec<ModelCard> {
        self.doors.models()
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
pub trait Doors: Send + Sync {
    /// Answers one chat.
    fn pipe(&self, call: Call) -> BoxFuture<'_, Result<ChunkStream>>;

    /// Counts the tokens of a chat.
    fn count_tokens(&self, call: Call) -> BoxFuture<'_, Result<u64>>;

    /// Turns texts into vectors.
    fn embed(&self, call: EmbedCall) -> BoxFuture<'_, Result<Embeddings>>;

    /// Puts documents in order.
    fn rerank(&self, call: RerankCall) -> BoxFuture<'_, Result<Reranked>>;

    /// Makes pictures.
    fn images(&self, call: ImageCall) -> BoxFuture<'_, Result<Images>>;

    /// The chat models that are served now.
    fn models(&self) -> Vec<ModelCard>;
}
