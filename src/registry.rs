//! The registry of pipes: it resolves model ids to pipes, and lets pipes call other pipes.

use crate::{
    call_route::CallRoute, embedding_cache::EmbeddingCache, meter::Meter, prices::Prices,
    slot::Slot,
};
use arc_swap::ArcSwap;
use futures_util::future::join_all;
use pipe_sdk::{
    Body, Conversations, Ledger, Model, ModelResolution, PipeError, Result, Serves,
    library::Library,
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// The pipes of one moment, in the order of registration.
pub type Slots = Arc<Vec<Arc<dyn Slot>>>;

/// A model that a pipe lists.
pub struct ServedModel {
    /// The full id: of the pipe, a dot, and the model's own id.
    pub id: String,
    /// The model as its pipe describes it.
    pub model: Model,
    /// The kind of its pipe in Open WebUI's words: `pipe` or `manifold`.
    pub pipe_kind: &'static str,
}

/// The running pipes. Those that are compiled in stay; others come and go while the host runs.
pub struct Registry {
    slots: ArcSwap<Vec<Arc<dyn Slot>>>,
    meter: Meter,
    ledger: Arc<dyn Ledger>,
    conversations: Arc<dyn Conversations>,
    embedding_cache: EmbeddingCache,
}

impl Registry {
    /// Returns a registry of these pipes.
    pub fn new(
        slots: Vec<Arc<dyn Slot>>,
        meter: Meter,
        ledger: Arc<dyn Ledger>,
        conversations: Arc<dyn Conversations>,
        embedding_cache: EmbeddingCache,
    ) -> Self {
        let slots = ArcSwap::from_pointee(slots);
        Self { slots, meter, ledger, conversations, embedding_cache }
    }

    /// Returns the cache of embeddings.
    pub fn embedding_cache(&self) -> &EmbeddingCache {
        &self.embedding_cache
    }

    /// Returns all pipes.
    pub fn slots(&self) -> Slots {
        self.slots.load_full()
    }

    /// Returns the pipe with this id.
    pub fn slot(&self, id: &str) -> Option<Arc<dyn Slot>> {
        self.slots.load().iter().find(|slot| slot.id() == id).cloned()
    }

    /// Registers a pipe, in the place of another one or else as the last one.
    pub fn register(&self, slot: &Arc<dyn Slot>, replaced: Option<&Arc<dyn Slot>>) {
        self.slots.rcu(|slots| {
            let mut slots = Vec::clone(slots);
            match slots.iter_mut().find(|one| replaced.is_some_and(|old| is_same(one, old))) {
                Some(place) => *place = Arc::clone(slot),
                None => slots.push(Arc::clone(slot)),
            }
            slots
        });
    }

    /// Removes a pipe. Its answers that have begun continue.
    pub fn unregister(&self, slot: &Arc<dyn Slot>) {
        self.slots.rcu(|slots| {
            let others = slots.iter().filter(|one| !is_same(one, slot));
            others.cloned().collect::<Vec<_>>()
        });
    }

    /// Returns the pipe that a full model id names, and the model's id within it.
    ///
    /// `pipe.model` is split at the first dot. A connection's prefix before it is passed over: Open
    /// WebUI keeps it in the paths of filter calls (`docs/reference/open-webui.md`, "Ids and
    /// paths").
    pub fn resolve(&self, id: &str) -> Option<(Arc<dyn Slot>, String)> {
        let (start, slot, model) = suffixes(id).find_map(|(start, id)| {
            let (pipe, model) = id.split_once('.').unwrap_or((id, id));
            self.slot(pipe).map(|slot| (start, slot, model.to_owned()))
        })?;
        // In `moa-a.b.c`, the text before a pipe's name is not the prefix of a connection in Open
        // WebUI.
        (start == 0 || !self.is_derived(id)).then_some((slot, model))
    }

    /// Returns whether a pipe derives a model of this id from another one.
    fn is_derived(&self, id: &str) -> bool {
        let is_derived_by = |slot: &Arc<dyn Slot>| {
            matches!(slot.resolve_model(id), Some(ModelResolution::Derived(_)))
        };
        self.slots.load().iter().any(is_derived_by)
    }

    /// Returns the pipe and model for this id.
    ///
    /// An id without a pipe's name before it goes to the one pipe that has such a model. At the
    /// start it may have to wait for the lists.
    pub async fn route(&self, id: &str) -> Result<CallRoute> {
        if let Some(route) = self.route_within_pipe(id) {
            return Ok(route);
        }
        if !matches!(self.lookup_model(id)?, Some((_, ModelResolution::Available(_)))) {
            self.wait_for_discovery(DISCOVERY_TIMEOUT).await;
        }
        self.route_if_known(id)?.ok_or_else(|| PipeError::ModelNotFound(id.into()))
    }

    /// Returns the pipe and model for this id, without waiting for model lists.
    pub fn route_if_known(&self, id: &str) -> Result<Option<CallRoute>> {
        if let Some(route) = self.route_within_pipe(id) {
            return Ok(Some(route));
        }
        match self.lookup_model(id)? {
            Some((_, ModelResolution::Unavailable(reason))) => Err(lookup_error(id, &reason)),
            known => Ok(known.map(|(slot, known)| CallRoute::new(slot, id.into(), Some(known)))),
        }
    }

    /// Returns the pipe that a full model id names, and its model.
    fn route_within_pipe(&self, id: &str) -> Option<CallRoute> {
        let (slot, model) = self.resolve(id)?;
        let known = slot.resolve_model(&model);
        Some(CallRoute::new(slot, model, known))
    }

    /// Returns the pipe that knows this id without a pipe's prefix, and its statement about the id.
    ///
    /// A pipe that has the model wins over pipes with a fallback for it. If several pipes have it,
    /// the lookup is an error, because the choice would be arbitrary.
    pub fn lookup_model(&self, id: &str) -> Result<Option<(Arc<dyn Slot>, ModelResolution)>> {
        let slots = self.slots();
        let all = slots.iter().filter_map(|slot| Some((slot, slot.resolve_model(id)?)));
        let mut all: Vec<_> = all.collect();
        all.sort_by_key(|(_, known)| lookup_rank(known));
        let mut first = all.into_iter();
        let Some((slot, known)) = first.next() else { return Ok(None) };
        match first.next() {
            Some((other, like))
                if lookup_rank(&like) == lookup_rank(&known)
                    && lookup_rank(&known) < UNAVAILABLE_RANK =>
            {
                let (one, other) = (slot.id(), other.id());
                let message = format!(
                    "model `{id}` is served by two pipes: ask for `{one}.{id}` or `{other}.{id}`"
                );
                Err(PipeError::bad_field("model", message))
            }
            _ => Ok(Some((Arc::clone(slot), known))),
        }
    }

    /// Returns whether this model stores responses of the Responses API.
    pub fn stores_responses(&self, id: &str) -> bool {
        self.resolve(id).is_some_and(|(slot, _)| slot.stores_responses())
    }

    /// Lets pipes take over a chat by other fields than the model's name.
    pub fn take_over(&self, body: &mut Body) {
        for slot in self.slots().iter() {
            slot.take_over(body, self);
        }
    }

    /// Returns whether a pipe takes over chats with images for the model with this full id.
    pub fn describes_images_for(&self, id: &str) -> bool {
        self.slots.load().iter().any(|slot| slot.describes_images_for(id))
    }

    /// Reads the valves of all pipes again. A pipe whose files cannot be used keeps its valves, and
    /// so do answers that have begun.
    ///
    /// # Errors
    /// The error of the first pipe that was not reloaded.
    pub async fn reload(&self) -> Result<()> {
        let mut refused = None;
        for slot in self.slots().iter() {
            if let Err(error) = Arc::clone(slot).reload().await {
                tracing::error!(pipe.id = slot.id(), "`{}` was not reloaded: {error}.", slot.id());
                refused.get_or_insert(error);
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Prices answers by these prices from now on.
    pub fn set_prices(&self, prices: Prices) {
        self.meter.set_prices(prices);
    }

    /// Returns the document library of the first pipe that has one.
    pub fn library(&self) -> Option<Arc<dyn Library>> {
        self.library_with_pipe().map(|(_, library)| library)
    }

    /// Returns the document library and the id of its pipe.
    pub fn library_with_pipe(&self) -> Option<(&'static str, Arc<dyn Library>)> {
        self.slots.load().iter().find_map(|slot| Some((slot.id(), slot.library()?)))
    }

    /// Returns the counters of limits.
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::clone(&self.ledger)
    }

    /// Returns the store of conversations.
    pub fn conversations(&self) -> Arc<dyn Conversations> {
        Arc::clone(&self.conversations)
    }

    /// Returns all models that are listed now, in the order of their pipes.
    pub fn served_models(&self) -> Vec<ServedModel> {
        let slots = self.slots();
        let served = slots.iter().filter_map(|slot| Some((slot.id(), slot.serves()?)));
        served.flat_map(|(pipe, serves)| list_models(pipe, &serves)).collect()
    }

    /// Returns whether a pipe lists a chat model with this id, with or without a connection's
    /// prefix.
    pub fn lists_chat_model(&self, id: &str) -> bool {
        let slots = self.slots.load();
        suffixes(id).any(|(_, id)| slots.iter().any(|slot| lists_chat_model(slot.as_ref(), id)))
    }

    /// Returns the meter.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Returns the filters for this model, in the order in which they run.
    pub fn filters_for(&self, model: &str) -> Vec<Arc<dyn Slot>> {
        let slots = self.slots.load();
        let filters = slots.iter().filter_map(|slot| Some((slot.filter()?, slot)));
        let mut filters: Vec<_> = filters.filter(|(scope, _)| scope.includes(model)).collect();
        filters.sort_by_key(|(scope, _)| scope.priority);
        filters.into_iter().map(|(_, slot)| Arc::clone(slot)).collect()
    }

    /// Waits until every pipe has listed its models, but at most `limit`.
    pub async fn wait_for_discovery(&self, limit: Duration) {
        let all = join_all(self.slots().iter().map(|slot| slot.wait_until_ready()));
        // Models that are not known by then are listed the next time.
        _ = timeout(limit, all).await;
    }
}

/// Returns the whole id and what follows each of its dots, with the places where they start.
fn suffixes(id: &str) -> impl Iterator<Item = (usize, &str)> {
    let starts = [0].into_iter().chain(id.match_indices('.').map(|(dot, _)| dot + 1));
    starts.filter_map(move |start| Some((start, id.get(start..)?)))
}

/// Returns whether this pipe lists a chat model with this full id.
fn lists_chat_model(slot: &dyn Slot, id: &str) -> bool {
    let Some(rest) = id.strip_prefix(slot.id()) else { return false };
    match slot.serves() {
        Some(Serves::Model(model)) => rest.is_empty() && model.kind.answers_chats(),
        Some(Serves::Manifold(models)) => rest.strip_prefix('.').is_some_and(|id| {
            models.iter().any(|model| model.id == id && model.kind.answers_chats())
        }),
        Some(Serves::Filter { .. }) | None => false,
    }
}

/// Returns whether two slots are the same object.
fn is_same(one: &Arc<dyn Slot>, other: &Arc<dyn Slot>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

/// The longest time that a chat waits for the lists of models.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the order of the answers of pipes that know an id.
fn lookup_rank(known: &ModelResolution) -> u8 {
    match known {
        ModelResolution::Available(_) => 0,
        ModelResolution::Derived(_) => 1,
        ModelResolution::Fallback(_) => 2,
        ModelResolution::Denied(_) => 3,
        ModelResolution::Unavailable(_) => UNAVAILABLE_RANK,
    }
}

/// The rank of pipes that cannot tell whether they have the model.
const UNAVAILABLE_RANK: u8 = 4;

/// Returns the error for a model that cannot be looked up now.
pub fn lookup_error(id: &str, reason: &str) -> PipeError {
    let message = format!("model `{id}` cannot be looked up now: {reason}");
    PipeError::Unavailable { message, retry_after: Some(Duration::from_secs(5)) }
}

/// Returns all models of this pipe.
fn list_models(pipe: &str, serves: &Serves) -> Vec<ServedModel> {
    let pipe_kind = serves.kind();
    match serves {
        Serves::Model(model) => {
            vec![ServedModel { id: pipe.to_owned(), model: model.clone(), pipe_kind }]
        }
        Serves::Manifold(models) => {
            let served = |model: &Model| ServedModel {
                id: format!("{pipe}.{}", model.id),
                model: model.clone(),
                pipe_kind,
            };
            models.iter().map(served).collect()
        }
        Serves::Filter { .. } => Vec::new(),
    }
}
