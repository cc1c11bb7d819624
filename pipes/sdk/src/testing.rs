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

use crate::{
    Call, ChatRef, Chunk, ChunkStream, Doors, EmbedCall, Embeddings, Host, ModelCard, PipeError,
    Result, User,
};
use futures_util::future::{BoxFuture, ready};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Says what the models of a host answer, and keeps what they were asked.
#[derive(Clone, Default)]
pub struct ScriptedHost {
    answers: HashMap<String, Vec<Chunk>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl ScriptedHost {
    /// A host without models.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a model that always answers these chunks.
    #[must_use]
    pub fn answers(mut self, model: &str, chunks: impl IntoIterator<Item = Chunk>) -> Self {
        self.answers.insert(model.into(), chunks.into_iter().collect());
        self
    }

    /// The handle for a [`Call`].
    pub fn host(&self) -> Host {
        Host::new(Arc::new(self.clone()), Some(User::default()), ChatRef::default())
    }

    /// What was asked, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Doors for ScriptedHost {
    fn pipe(&self, call: Call) -> BoxFuture<'_, Result<ChunkStream>> {
        let answer = match self.answers.get(&call.model) {
            Some(chunks) => Ok(ChunkStream::of(chunks.clone())),
            None => Err(PipeError::ModelNotFound(call.model.clone())),
        };
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        Box::pin(ready(answer))
    }

    fn count_tokens(&self, call: Call) -> BoxFuture<'_, Result<u64>> {
        Box::pin(ready(Err(PipeError::uncounted(&call.model))))
    }

    fn embed(&self, call: EmbedCall) -> BoxFuture<'_, Result<Embeddings>> {
        Box::pin(ready(Err(PipeError::ModelNotFound(call.model))))
    }

    fn models(&self) -> Vec<ModelCard> {
        self.answers.keys().map(|id| ModelCard { id: id.clone(), name: id.clone() }).collect()
    }
}
