//! The models of all regions: listed in the background and served at once, from an older list if
//! need be.

mod access_policy;
mod display_name;
mod fallback_chains;
mod geography;
mod list_calls;
mod list_error;
mod listing;
mod listing_gap;
mod model_entry;
mod model_route;
mod picker;
mod region_models;
mod saved_lists;
mod unknown_model_name;
mod unknown_names;

pub use geography::{doubt_region, geography, profile_prefix};
pub use list_error::ListError;
pub use listing::{Listing, Lookup};
pub use model_entry::ModelEntry;

use crate::{clients::Clients, valves::BedrockValves};
use arc_swap::ArcSwap;
use futures_util::{StreamExt, stream::FuturesUnordered};
use list_calls::list_region;
use pipe_sdk::{PipeError, Result, StateFolder, Task};
use region_models::RegionModels;
use saved_lists::ListFile;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use unknown_model_name::{have_names_changed, valve_errors};
use unknown_names::find_unknown_names;

/// The models of all regions, and the task that refreshes their lists.
pub struct ModelCatalog {
    shared: Arc<Shared>,
    max_age: Duration,
    created: Instant,
    refresh: Mutex<Option<Task>>,
}

/// The state that the catalog shares with its refresh task.
struct Shared {
    clients: Arc<Clients>,
    valves: BedrockValves,
    /// One entry a region. Only the refresh task writes, and there is at most one.
    regions: Mutex<Vec<RegionModels>>,
    listing: ArcSwap<Listing>,
    file: ListFile,
    /// The time at which all regions had last answered.
    last_listed: watch::Sender<Option<Instant>>,
}

/// The age at which a list with gaps is refreshed: people are at work on what its entries say is
/// missing.
const MAX_AGE_WITH_ERRORS: Duration = Duration::from_secs(30);

/// The time that saving valves waits for a new list with the models that they name.
const NAME_CHECK_TIMEOUT: Duration = Duration::from_secs(5);

impl ModelCatalog {
    /// Creates the catalog of the valves' regions and begins to list them. Until AWS has answered,
    /// it has the lists that were saved in this folder.
    pub async fn start(clients: Arc<Clients>, valves: &BedrockValves, folder: StateFolder) -> Self {
        let file = ListFile::new(folder, clients.account().identity());
        let saved = file.load().await;
        let region = |name: &Arc<str>| {
            let saved = saved.iter().find(|saved| saved.region == **name);
            match saved {
                Some(saved) => RegionModels::from_saved(Arc::clone(name), saved, valves),
                None => RegionModels::empty(Arc::clone(name), valves),
            }
        };
        let regions: Vec<_> = clients.regions().map(region).collect();
        for region in &regions {
            if let Some(age) = region.saved_age() {
                let name = &*region.name;
                tracing::info!(
                    aws.region = name,
                    "Until {name} has listed its models, its models of {age} ago are served."
                );
            }
        }
        Self::spawn(clients, valves, regions, None, file)
    }

    /// Creates the catalog for valves of another account, of which nothing is known.
    pub fn for_account(&self, clients: Arc<Clients>, valves: &BedrockValves) -> Self {
        let region = |name: &Arc<str>| RegionModels::empty(Arc::clone(name), valves);
        let regions = clients.regions().map(region).collect();
        let file = self.shared.file.for_account(clients.account().identity());
        Self::spawn(clients, valves, regions, None, file)
    }

    /// Creates the catalog for new valves of the same account. It begins with what this one knows.
    pub fn with_valves(&self, clients: Arc<Clients>, valves: &BedrockValves) -> Self {
        let known = self.shared.regions();
        let region = |name: &Arc<str>| {
            let known = known.iter().find(|region| region.name == *name);
            let empty = || RegionModels::empty(Arc::clone(name), valves);
            known.map_or_else(empty, |region| region.with_valves(valves))
        };
        let regions: Vec<_> = clients.regions().map(region).collect();
        let is_complete = regions.iter().all(RegionModels::is_listed);
        let last_listed = *self.shared.last_listed.borrow();
        let file = self.shared.file.for_account(clients.account().identity());
        Self::spawn(clients, valves, regions, last_listed.filter(|_| is_complete), file)
    }

    /// Creates the catalog, and spawns the task that refreshes its lists.
    fn spawn(
        clients: Arc<Clients>,
        valves: &BedrockValves,
        regions: Vec<RegionModels>,
        last_listed: Option<Instant>,
        file: ListFile,
    ) -> Self {
        let listing = ArcSwap::from_pointee(create_listing(&regions, valves));
        let shared = Shared {
            clients,
            valves: valves.clone(),
            regions: Mutex::new(regions),
            listing,
            file,
            last_listed: watch::Sender::new(last_listed),
        };
        let catalog = Self {
            shared: Arc::new(shared),
            max_age: Duration::from_secs(valves.model_list_seconds),
            created: Instant::now(),
            refresh: Mutex::new(None),
        };
        catalog.refresh();
        catalog
    }

    /// Returns the current list, and begins a refresh if it is old.
    pub fn listing(&self) -> Arc<Listing> {
        let listing = self.shared.listing.load_full();
        let max_age = match listing.has_list_errors() {
            true => self.max_age.min(MAX_AGE_WITH_ERRORS),
            false => self.max_age,
        };
        if self.shared.last_listed.borrow().is_some_and(|listed| listed.elapsed() >= max_age) {
            self.refresh();
        }
        listing
    }

    /// Waits until all regions have answered for the first time, with lists or with errors.
    pub async fn wait_until_ready(&self) {
        let mut listed = self.shared.last_listed.subscribe();
        // The sender lives as long as this catalog, so the wait cannot fail.
        _ = listed.wait_for(Option::is_some).await;
    }

    /// Refuses model names that an admin has entered since the valves `before` and that no model
    /// has. While lists are missing, all names are accepted.
    pub async fn check_names(&self, before: &BedrockValves) -> Result<()> {
        let valves = &self.shared.valves;
        let are_known = self.listing().unknown_names().is_some_and(<[_]>::is_empty);
        if are_known || !have_names_changed(before, valves) {
            return Ok(());
        }
        // The model may be new, so only a new list can tell.
        _ = timeout(NAME_CHECK_TIMEOUT.min(valves.list_timeout()), self.wait_for_refresh()).await;
        let listing = self.listing();
        let errors = valve_errors(listing.unknown_names().unwrap_or_default(), before, valves);
        if errors.is_empty() { Ok(()) } else { Err(PipeError::BadValves(errors)) }
    }

    /// Waits until all regions have answered since this catalog was created.
    async fn wait_for_refresh(&self) {
        let mut listed = self.shared.last_listed.subscribe();
        _ = listed.wait_for(|listed| listed.is_some_and(|at| at >= self.created)).await;
    }

    /// Begins a refresh, unless one is in progress.
    fn refresh(&self) {
        let mut refresh = self.refresh.lock().unwrap_or_else(PoisonError::into_inner);
        if refresh.as_ref().is_none_or(Task::is_finished) {
            let shared = Arc::clone(&self.shared);
            *refresh = Some(Task::spawn(async move { shared.refresh().await }));
        }
    }
}

impl Shared {
    /// Returns the lists of all regions.
    fn regions(&self) -> Vec<RegionModels> {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lists all regions at once, and publishes each answer as soon as it arrives.
    async fn refresh(&self) {
        let list =
            |index| async move { (index, list_region(&self.clients, index, &self.valves).await) };
        let mut answers: FuturesUnordered<_> =
            (0..self.clients.regions().len()).map(list).collect();
        while let Some((index, results)) = answers.next().await {
            let mut regions = self.regions();
            regions[index].update(results);
            self.listing.store(Arc::new(create_listing(&regions, &self.valves)));
            *self.regions.lock().unwrap_or_else(PoisonError::into_inner) = regions;
        }
        for name in self.listing.load().unknown_names().unwrap_or_default() {
            tracing::warn!("{}.", name.describe());
        }
        self.last_listed.send_replace(Some(Instant::now()));
        self.file.save(self.regions().iter().filter_map(RegionModels::to_saved).collect()).await;
    }
}

/// Creates the list of these regions, with the names in the valves that no model has.
fn create_listing(regions: &[RegionModels], valves: &BedrockValves) -> Listing {
    let listing = Listing::new(regions, valves);
    if !listing.is_complete() {
        return listing;
    }
    let unknown_names = find_unknown_names(&listing, valves);
    listing.with_unknown_names(unknown_names)
}
