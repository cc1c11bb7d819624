//! Which pipe serves which model id; what pipes call when a pipe answers through another.

use crate::{
    meter::{Job, Meter, rough_tokens},
    slot::Slot,
};
use futures_util::future::{BoxFuture, join_all, ready};
use pipe_sdk::{
    Asked, Call, ChunkStream, Doors, EmbedCall, Embeddings, ImageCall, Images, Ledger, Model,
    ModelCard, ModelKind, PipeError, RerankCall, Reranked, Result, Serves, Trail,
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// The running pipes, in the order of registration.
pub struct Registry {
    slots: Vec<Arc<dyn Slot>>,
    meter: Meter,
    ledger: Arc<dyn Ledger>,
}

impl Registry {
    /// A registry of these pipes, whose answers are measured and counted so.
    pub fn new(slots: Vec<Arc<dyn Slot>>, meter: Meter, ledger: Arc<dyn Ledger>) -> Self {
        Self { slots, meter, ledger }
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

    /// Lets pass what a client asks, or says which filter does not, and why.
    pub async fn admit(&self, asked: &Asked) -> Result<()> {
        let filters = self.slots.iter().filter_map(|slot| match slot.serves()? {
            Serves::Filter { pipelines, priority } => Some((priority, pipelines, slot)),
            Serves::Model(_) | Serves::Manifold(_) => None,
        });
        let mut filters: Vec<_> = filters
            .filter(|(_, pipelines, _)| pipelines == &["*"] || pipelines.contains(&asked.model))
            .collect();
        filters.sort_by_key(|(priority, ..)| *priority);
        for (.., slot) in filters {
            slot.admit(asked.clone()).await?;
        }
        Ok(())
    }

    /// What is to be measured when this pipe's model is asked.
    fn job(&self, slot: &dyn Slot, model: &str, kind: ModelKind, trail: Trail) -> Job {
        let lists = |serves: Serves| match serves {
            Serves::Model(_) => true,
            Serves::Manifold(models) => models.iter().any(|listed| listed.id == model),
            Serves::Filter { .. } => false,
        };
        let is_listed = slot.serves().is_some_and(lists);
        let pipe = slot.id();
        let full = if model == pipe { pipe.to_owned() } else { format!("{pipe}.{model}") };
        let listed = is_listed.then(|| model.to_owned());
        Job { pipe, model: full, listed, kind, trail, prompt_tokens: 0 }
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
    fn pipe(&self, mut call: Call, trail: Trail) -> BoxFuture<'_, Result<ChunkStream>> {
        let Some((slot, model)) = self.resolve(&call.model) else {
            return Box::pin(ready(Err(PipeError::ModelNotFound(call.model))));
        };
        let job = self.job(slot.as_ref(), &model, ModelKind::Chat, trail);
        let gauged = self.meter.begin(Job { prompt_tokens: rough_tokens(&call.body), ..job });
        call.host = call.host.following(gauged.below.clone());
        call.model = model;
        Box::pin(async { gauged.chunks(slot.pipe(call).await) })
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

    fn embed(&self, mut call: EmbedCall, trail: Trail) -> BoxFuture<'_, Result<Embeddings>> {
        let Some((slot, model)) = self.resolve(&call.model) else {
            return Box::pin(ready(Err(PipeError::ModelNotFound(call.model))));
        };
        let gauged = self.meter.begin(self.job(slot.as_ref(), &model, ModelKind::Embed, trail));
        call.model = model;
        Box::pin(async { gauged.whole(slot.embed(call).await, |answer| answer.prompt_tokens) })
    }

    fn rerank(&self, mut call: RerankCall, trail: Trail) -> BoxFuture<'_, Result<Reranked>> {
        let Some((slot, model)) = self.resolve(&call.model) else {
            return Box::pin(ready(Err(PipeError::ModelNotFound(call.model))));
        };
        let gauged = self.meter.begin(self.job(slot.as_ref(), &model, ModelKind::Rerank, trail));
        call.model = model;
        Box::pin(async { gauged.whole(slot.rerank(call).await, |answer| answer.prompt_tokens) })
    }

    fn counted(&self, model: &str, chunks: ChunkStream, trail: Trail) -> ChunkStream {
        let Some((slot, within)) = self.resolve(model) else { return chunks };
        let job = self.job(slot.as_ref(), &within, ModelKind::Chat, trail);
        self.meter.begin(job).stream(chunks)
    }

    fn images(&self, mut call: ImageCall, trail: Trail) -> BoxFuture<'_, Result<Images>> {
        let Some((slot, model)) = self.resolve(&call.model) else {
            return Box::pin(ready(Err(PipeError::ModelNotFound(call.model))));
        };
        let gauged = self.meter.begin(self.job(slot.as_ref(), &model, ModelKind::Image, trail));
        call.model = model;
        Box::pin(async { gauged.whole(slot.images(call).await, |_| 0) })
    }

    fn models(&self) -> Vec<ModelCard> {
        let served = self.slots.iter().filter_map(|slot| Some((slot.id(), slot.serves()?)));
        let models = served.flat_map(|(pipe, serves)| models(pipe, &serves));
        let chats = models.filter(|(_, model)| model.kind.answers_chats());
        chats.map(|(id, model)| ModelCard { id, name: model.name }).collect()
    }

    fn ledger(&self) -> &dyn Ledger {
        self.ledger.as_ref()
    }
}
