//! Which pipe serves which model id; what pipes call when a pipe answers through another.

use crate::slot::Slot;
use futures_util::future::{BoxFuture, join_all, ready};
use pipe_sdk::{
    Call, ChunkStream, Doors, EmbedCall, Embeddings, Model, ModelCard, PipeError, Result, Serves,
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

    /// Every model that answers chats, by full id, with its pipe.
    pub fn listed(&self) -> Vec<(String, Model, &Arc<dyn Slot>)> {
        self.slots
            .iter()
            .flat_map(|slot| models(slot).into_iter().map(move |(id, model)| (id, model, slot)))
            .collect()
    }
}

fn models(slot: &Arc<dyn Slot>) -> Vec<(String, Model)> {
    match slot.serves() {
        Some(Serves::Model(model)) => vec![(slot.id().to_owned(), model)],
        Some(Serves::Manifold(models)) => models
            .iter()
            .map(|model| (format!("{}.{}", slot.id(), model.id), model.clone()))
            .collect(),
        Some(Serves::Filter { .. }) | None => Vec::new(),
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

    fn embed(&self, mut call: EmbedCall) -> BoxFuture<'_, Result<Embeddings>> {
        match self.resolve(&call.model) {
            Some((slot, model)) => {
                call.model = model;
                slot.embed(call)
            }
            None => Box::pin(ready(Err(PipeError::ModelNotFound(call.model)))),
        }
    }

    fn models(&self) -> Vec<ModelCard> {
        self.listed().into_iter().map(|(id, model, _)| ModelCard { id, name: model.name }).collect()
    }
}
