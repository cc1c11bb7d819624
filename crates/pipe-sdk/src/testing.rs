//! A scripted host, for the tests of a pipe that answers through other models.
//!
//! ```
//! # async fn example() -> pipe_sdk::Result<()> {
//! use pipe_sdk::{Body, Chunk, testing::ScriptedHost};
//!
//! let scripted = ScriptedHost::new().answers("cloud.big", [Chunk::Content("hello".into())]);
//! let answer = scripted.host().pipe(Body::new("cloud.big", vec![])).await?.fold().await?;
//! assert_eq!(answer.content, "hello");
//! assert_eq!(scripted.calls()[0].model, "cloud.big");
//! # Ok(())
//! # }
//! ```

mod conversations;
mod ledger;

use crate::{
    Body, Call, CallContext, ChatRef, Chunk, ChunkStream, Conversations, Demand, EmbedCall,
    Embeddings, Host, HostBackend, ImageCall, Images, Ledger, Model, ModelCard, PipeError,
    RerankCall, Reranked, Result, Usage, User,
};
use futures_util::future::{BoxFuture, ready};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The scripted behaviour of a model.
type Behaviour = Arc<dyn Fn(Call) -> BoxFuture<'static, Result<ChunkStream>> + Send + Sync>;

/// A host whose models answer by a script, and that records their calls.
#[derive(Clone, Default)]
pub struct ScriptedHost {
    models: HashMap<String, Behaviour>,
    embeddings: HashMap<String, Embeddings>,
    rankings: HashMap<String, Reranked>,
    images: HashMap<String, Images>,
    inputs: HashMap<String, Vec<&'static str>>,
    calls: Arc<Mutex<Vec<Call>>>,
    ledger: Arc<ledger::InMemoryLedger>,
    conversations: Arc<conversations::InMemoryConversations>,
}

impl ScriptedHost {
    /// Returns a host without models.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a model that always answers these chunks.
    #[must_use]
    pub fn answers(self, model: &str, chunks: impl IntoIterator<Item = Chunk>) -> Self {
        let chunks: Vec<_> = chunks.into_iter().collect();
        self.behaves(model, move |_| ready(Ok(ChunkStream::from_chunks(chunks.clone()))))
    }

    /// Adds a model with this behaviour.
    #[must_use]
    pub fn behaves<F: Future<Output = Result<ChunkStream>> + Send + 'static>(
        mut self,
        model: &str,
        behaviour: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self {
        self.models.insert(model.into(), Arc::new(move |call| Box::pin(behaviour(call))));
        self
    }

    /// Adds the kinds of input that a model reads.
    #[must_use]
    pub fn reads(mut self, model: &str, kinds: &[&'static str]) -> Self {
        self.inputs.insert(model.into(), kinds.to_vec());
        self
    }

    /// Adds a model that returns these vectors for all texts.
    #[must_use]
    pub fn embeds(mut self, model: &str, embeddings: Embeddings) -> Self {
        self.embeddings.insert(model.into(), embeddings);
        self
    }

    /// Adds a model that returns this ranking for all documents.
    #[must_use]
    pub fn ranks(mut self, model: &str, reranked: Reranked) -> Self {
        self.rankings.insert(model.into(), reranked);
        self
    }

    /// Adds a model that returns these images for all descriptions.
    #[must_use]
    pub fn paints(mut self, model: &str, images: Images) -> Self {
        self.images.insert(model.into(), images);
        self
    }

    /// Returns the handle for a [`Call`].
    pub fn host(&self) -> Host {
        self.host_of(CallContext::new(Some(User::default()), None, None))
    }

    /// Returns the handle for calls within this context.
    pub fn host_of(&self, context: CallContext) -> Host {
        Host::new(Arc::new(self.clone()), context, ChatRef::default())
    }

    /// Adds to the spending of a user, in millionths of a US dollar.
    pub fn spend(&self, user: &str, cost: u64) {
        self.ledger.spend(user, cost);
    }

    fn card(&self, id: &str) -> ModelCard {
        let mut model = Model::new(id, id);
        model.metadata.reads = self.inputs.get(id).cloned().unwrap_or_default();
        ModelCard::new(id, &model)
    }

    /// Returns the calls that were made, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl HostBackend for ScriptedHost {
    fn admit(&self, _: String, _: Demand, _: Host) -> BoxFuture<'_, Result<()>> {
        Box::pin(ready(Ok(())))
    }

    fn pipe(&self, call: Call, _: CallContext) -> BoxFuture<'_, Result<ChunkStream>> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(call.clone());
        match self.models.get(&call.model) {
            Some(behaviour) => behaviour(call),
            None => Box::pin(ready(Err(PipeError::ModelNotFound(call.model)))),
        }
    }

    fn count_tokens(&self, call: Call) -> BoxFuture<'_, Result<u64>> {
        Box::pin(ready(Err(PipeError::uncounted(&call.model))))
    }

    fn embed(&self, call: EmbedCall, _: Host) -> BoxFuture<'_, Result<Embeddings>> {
        let known = self.embeddings.get(&call.model).cloned();
        Box::pin(ready(known.ok_or(PipeError::ModelNotFound(call.model))))
    }

    fn rerank(&self, call: RerankCall, _: Host) -> BoxFuture<'_, Result<Reranked>> {
        let known = self.rankings.get(&call.model).cloned();
        Box::pin(ready(known.ok_or(PipeError::ModelNotFound(call.model))))
    }

    fn images(&self, call: ImageCall, _: Host) -> BoxFuture<'_, Result<Images>> {
        let known = self.images.get(&call.model).cloned();
        Box::pin(ready(known.ok_or(PipeError::ModelNotFound(call.model))))
    }

    fn meter(&self, _: &str, _: &Body, chunks: ChunkStream, _: CallContext) -> ChunkStream {
        chunks
    }

    fn embedding_models(&self) -> Vec<ModelCard> {
        self.embeddings.keys().map(|id| self.card(id)).collect()
    }

    fn models(&self) -> Vec<ModelCard> {
        self.models.keys().map(|id| self.card(id)).collect()
    }

    fn find_model(&self, id: &str) -> Option<ModelCard> {
        self.models.contains_key(id).then(|| self.card(id))
    }

    /// Returns a millionth of a dollar for each token.
    fn cost(&self, _: &str, usage: &Usage) -> Option<u64> {
        Some(usage.total_tokens())
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone()
    }

    fn conversations(&self) -> Arc<dyn Conversations> {
        self.conversations.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Rank};

    #[tokio::test]
    async fn vectors_ranks_and_pictures_are_scripted_too() {
        let embeddings = Embeddings { vectors: vec![vec![1.0]], prompt_tokens: 1 };
        let reranked = Reranked { ranks: vec![Rank { index: 0, score: 1.0 }], prompt_tokens: 1 };
        let images = Images { images: vec![Image::from_base64("iVBO".into())] };
        let scripted = ScriptedHost::new()
            .embeds("cloud.vectors", embeddings.clone())
            .ranks("cloud.ranks", reranked.clone())
            .paints("cloud.paints", images.clone());
        let host = scripted.host();
        let texts = || vec!["a".into()];
        let embedded = host.embed(EmbedCall::new("cloud.vectors", texts())).await;
        assert_eq!(embedded.unwrap(), embeddings);
        let ranked = host.rerank(RerankCall::new("cloud.ranks", "a", texts())).await;
        assert_eq!(ranked.unwrap(), reranked);
        let painted = host.images(ImageCall::new("cloud.paints", "a")).await;
        assert_eq!(painted.unwrap(), images);
        let unknown = host.rerank(RerankCall::new("cloud.vectors", "a", texts())).await;
        assert!(matches!(unknown, Err(PipeError::ModelNotFound(_))));
    }
}
