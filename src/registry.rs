//! Which pipe serves which model id; what pipes call when a pipe answers through another.

use crate::slot::Slot;
use futures_util::future::{BoxFuture, join_all, ready};
use pipe_sdk::{
    Call, ChunkStream, Doors, EmbedCall, Embeddings, ImageCall, Images, Model, ModelCard,
    ModelKind, PipeError, RerankCall, Reranked, Result, Serves,
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// The running pipes, in the order of registration.
pub struct Registry {
    slots: Vec<Arc<dyn Slot>>,
}

impl Registry {
    /// A registry of these pipes.
    pub fn new(slots: Vec<Arc<dyn Slot>>) -> Self {
        Self { slots }
    }

    /// All pipes.
    pub fn slots(&self) -> &[Arc<dyn Slot>] {
        &self.slots
    }

    /// The pipe of this id.
    pub fn slot(&self, id: &str) -> Option<&Arc<dyn Slot>> {
        self.slots.iter().find(|slot| slot.id() == id)
    }

    /// The pipe that a full model id names, and the model's id within it.
    ///
    /// `pipe.model` is split at the first dot. A connection's prefix before it is passed over: Open WebUI keeps it in the paths of filter calls
    /// (contract §6).
    pub fn resolve(&self, id: &str) -> Option<(&Arc<dyn Slot>, String)> {
        let starts = [0].into_iter().chain(id.match_indices('.').map(|(dot, _)| dot + 1));
        starts.filter_map(|start| id.get(start..)).find_map(|id| {
            let (pipe, model) = id.split_once('.').unwrap_or((id, id));
            self.slot(pipe).map(|slot| (slot, model.to_owned()))
        })
    }

    /// Waits until every pipe knows its models, but never longer than this.
    pub async fn discovered(&self, limit: Duration) {
        let all = join_all(self.slots.iter().map(|slot| slot.discovered()));
        // What is not known by then is listed the next time.
        _ = timeout(limit, all).await;
    }
}

/// The models of this pipe, by full id, whatever they do.
pub fn models(pipe: &str, serves: &Serves) -> Vec<(String, Model)> {
    match serves {
        Serves::Model(model) => vec![(pipe.to_owned(), model.clone())],
        Serves::Manifold(models) => {
            models.iter().map(|model| (format!("{pipe}.{}", model.id), model.clone())).collect()
        }
        Serves::Filter { .. } => Vec::new(),
    }
}

impl Doors for Registry {
    fn pipe(&self, mut call: Call) -> BoxFuture<'_, Result<ChunkStream>> {
        match self.resolve(&call.model) {
            Some((slot, model)) => {
                call.model = model;
                slot.pipe(call)
            }
            None => Box::pin(ready(Err(PipeError::ModelNotFound(call.model)))),
        }
    }

    fn count_tokens(&self, mut call: Call) -> BoxFuture<'_, Result<u64>> {
        match self.resolve(&call.model) {
            Some((slot, model)) => {
                call.model = model;
                slot.count_tokens(call)
            }
            None => Box::pin(ready(Err(PipeError::ModelNotFound(call.model)))),
        }
    }

    fn embed(&self, mut call: EmbedCall) -> BoxFuture<'_, Result<Embeddings>> {
        match self.resolve(&call.model) {
            Some((slot, model)) => {
                call.model = model;
                slot.embed(call)
            }
            None => Box::pin(ready(Err(PipeError::ModelNotFound(call.model)))),
        }
    }

    fn rerank(&self, mut call: RerankCall) -> BoxFuture<'_, Result<Reranked>> {
        match self.resolve(&call.model) {
            Some((slot, model)) => {
                call.model = model;
                slot.rerank(call)
            }
            None => Box::pin(ready(Err(PipeError::ModelNotFound(call.model)))),
        }
    }

    fn images(&self, mut call: ImageCall) -> BoxFuture<'_, Result<Images>> {
        match self.resolve(&call.model) {
            Some((slot, model)) => {
                call.model = model;
                slot.images(call)
            }
            None => Box::pin(ready(Err(PipeError::ModelNotFound(call.model)))),
        }
    }

    fn models(&self) -> Vec<ModelCard> {
        let served = self.slots.iter().filter_map(|slot| Some((slot.id(), slot.serves()?)));
        let models = served.flat_map(|(pipe, serves)| models(pipe, &serves));
        let chats = models.filter(|(_, model)| model.kind == ModelKind::Chat);
        chats.map(|(id, model)| ModelCard { id, name: model.name }).collect()
    }
}
