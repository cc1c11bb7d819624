//! The model lists of all upstreams: refreshed in the background and served at once, stale if need
//! be.

mod listing_gap;
mod model_list;
mod saved_lists;
mod upstream_models;

pub(crate) use model_list::{ModelEntry, ModelList};
pub(crate) use saved_lists::{SavedListsFile, SavedModelList};

use crate::{
    upstreams::{ConnectedUpstream, Upstreams},
    valves::UpstreamConfigs,
};
use arc_swap::ArcSwap;
use futures_util::{StreamExt, stream::FuturesUnordered};
use openai_client::{ApiError, ModelListEntry, OpenAiError};
use pipe_sdk::Task;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use upstream_models::UpstreamModels;

/// The models of all upstreams, with the background task that refreshes them.
pub(crate) struct ModelCatalog {
    shared: Arc<Shared>,
    max_age: Duration,
    refresh: Mutex<Option<Task>>,
}

/// The state that the catalog shares with its refresh task.
struct Shared {
    upstreams: Arc<Upstreams>,
    builtin_tools: bool,
    /// The models of each upstream. Only the refresh task writes them, and there is at most one.
    models: Mutex<Vec<UpstreamModels>>,
    list: ArcSwap<ModelList>,
    file: SavedListsFile,
    /// The time at which the last refresh of all upstreams ended.
    refreshed_at: watch::Sender<Option<Instant>>,
}

/// The models that are known of upstreams before they have been asked.
#[derive(Clone, Copy)]
pub(crate) enum KnownModels<'a> {
    /// The models of the catalog that the new one replaces.
    Running(&'a ModelCatalog),
    /// The models that were saved before the start.
    Saved(&'a [SavedModelList]),
}

/// The age at which an incomplete list is refreshed: an admin may be correcting the cause.
const MAX_AGE_OF_INCOMPLETE_LIST: Duration = Duration::from_secs(15);

/// The time that an upstream has to list its models. Open WebUI waits for ten seconds.
const LISTING_TIMEOUT: Duration = Duration::from_secs(8);

impl ModelCatalog {
    /// Creates a catalog of these upstreams and starts its first refresh. Until that ends, it
    /// serves the models that are already known of upstreams with the same address and key.
    pub fn new(
        upstreams: Arc<Upstreams>,
        max_age: Duration,
        builtin_tools: bool,
        file: SavedListsFile,
        known: KnownModels<'_>,
    ) -> Self {
        let connected = upstreams.connected().iter();
        let models: Vec<_> =
            connected.map(|upstream| known.models_of(upstream).unwrap_or_default()).collect();
        let list = ModelList::new(upstreams.configs(), &models, builtin_tools);
        let refreshed_at = models.is_empty().then(Instant::now);
        let shared = Shared {
            upstreams,
            builtin_tools,
            models: Mutex::new(models),
            list: ArcSwap::from_pointee(list),
            file,
            refreshed_at: watch::Sender::new(refreshed_at),
        };
        let catalog = Self { shared: Arc::new(shared), max_age, refresh: Mutex::new(None) };
        catalog.spawn_refresh();
        catalog
    }

    /// Returns the models of the upstream with the same address and key.
    fn models_of(&self, upstream: &ConnectedUpstream) -> Option<UpstreamModels> {
        let mut connected = self.shared.upstreams.connected().iter();
        let index = connected.position(|known| known.lists_same_models(upstream))?;
        self.shared.models().get(index).cloned()
    }

    /// Returns the file of the saved lists, for the catalog that replaces this one.
    pub fn file(&self) -> SavedListsFile {
        self.shared.file.reopen()
    }

    /// Returns the current list, and starts a refresh if it is too old.
    pub fn list(&self) -> Arc<ModelList> {
        let list = self.shared.list.load_full();
        let is_complete = list.health_problem().is_none();
        let max_age =
            if is_complete { self.max_age } else { self.max_age.min(MAX_AGE_OF_INCOMPLETE_LIST) };
        if self.shared.refreshed_at.borrow().is_some_and(|at| at.elapsed() >= max_age) {
            self.spawn_refresh();
        }
        list
    }

    /// Returns the configurations of the upstreams in the list.
    pub fn configs(&self) -> &UpstreamConfigs {
        self.shared.upstreams.configs()
    }

    /// Waits until every upstream has answered or failed once.
    pub async fn wait_until_ready(&self) {
        let mut refreshed_at = self.shared.refreshed_at.subscribe();
        // The sender lives as long as this catalog, so the wait cannot fail.
        _ = refreshed_at.wait_for(Option::is_some).await;
    }

    /// Starts a refresh, unless one is running.
    fn spawn_refresh(&self) {
        if self.shared.upstreams.connected().is_empty() {
            return;
        }
        let mut refresh = self.refresh.lock().unwrap_or_else(PoisonError::into_inner);
        if refresh.as_ref().is_none_or(Task::is_finished) {
            let shared = Arc::clone(&self.shared);
            *refresh = Some(Task::spawn(async move { shared.refresh().await }));
        }
    }
}

impl KnownModels<'_> {
    /// Returns the models that are known of this upstream.
    fn models_of(self, upstream: &ConnectedUpstream) -> Option<UpstreamModels> {
        match self {
            Self::Running(catalog) => catalog.models_of(upstream),
            Self::Saved(lists) => {
                let models = lists.iter().find_map(|list| list.models_of(&upstream.config))?;
                let name = upstream.config.name();
                tracing::info!(
                    "Until {name} has listed its models, its previous models are served."
                );
                Some(UpstreamModels::from_saved(models))
            }
        }
    }
}

impl Shared {
    /// Locks the model lists of all upstreams.
    fn models(&self) -> MutexGuard<'_, Vec<UpstreamModels>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks all upstreams concurrently, and publishes each answer as soon as it is there.
    async fn refresh(&self) {
        let (configs, connected) = (self.upstreams.configs(), self.upstreams.connected());
        let mut answers: FuturesUnordered<_> = connected
            .iter()
            .enumerate()
            .map(async |(index, upstream)| (index, list_models(upstream).await))
            .collect();
        while let Some((index, answer)) = answers.next().await {
            let mut models = self.models();
            models[index].update(&configs.0[index], answer);
            self.list.store(Arc::new(ModelList::new(configs, &models, self.builtin_tools)));
        }
        self.refreshed_at.send_replace(Some(Instant::now()));
        let models = self.models().clone();
        self.file.save(connected, &models).await;
    }
}

/// Asks an upstream for its models. One that needs a key is not asked without one.
async fn list_models(upstream: &ConnectedUpstream) -> Result<Vec<ModelListEntry>, OpenAiError> {
    let ConnectedUpstream { config, server, .. } = upstream;
    if config.base_url.needs_key() && !config.credentials.key.is_set() {
        return Err(OpenAiError::Api(ApiError { status: 401, ..ApiError::default() }));
    }
    server.models(config.timeout.min(LISTING_TIMEOUT)).await
}
