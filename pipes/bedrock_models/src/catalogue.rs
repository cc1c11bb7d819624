//! The models of all regions: asked for in the background, served at once, old if need be.

mod entry;
mod gap;
mod list;
mod listing;
mod policy;
mod saved;
mod strays;
mod trouble;
mod way;

pub use entry::Entry;
pub use listing::{Listing, Search};

use crate::{clients::Clients, valves::BedrockValves};
use arc_swap::ArcSwap;
use futures_util::{StreamExt, stream::FuturesUnordered};
use list::Shelf;
use pipe_sdk::{PipeError, Result, StateFolder, Task};
use saved::ListFile;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use strays::{are_names_turned, slips};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// The catalogue, and the task that renews it.
pub struct Catalogue {
    shared: Arc<Shared>,
    age: Duration,
    began: Instant,
    refresh: Mutex<Option<Task>>,
}

struct Shared {
    clients: Arc<Clients>,
    valves: BedrockValves,
    /// One a region. Only the refresh writes, and there is never more than one.
    shelves: Mutex<Vec<Shelf>>,
    listing: ArcSwap<Listing>,
    file: ListFile,
    /// When all regions were last heard of.
    listed: watch::Sender<Option<Instant>>,
}

/// A list with gaps is asked for again so soon: people are at work on what its entries say is missing.
const AGE_WITH_TROUBLE: Duration = Duration::from_secs(30);

/// How long an admin who has entered the name of a model may wait to hear whether there is one.
const PATIENCE: Duration = Duration::from_secs(5);

impl Catalogue {
    /// A catalogue of these regions, whose first listing is already under way. Until AWS has answered, it has what was saved in this folder.
    pub async fn start(clients: Arc<Clients>, valves: &BedrockValves, folder: StateFolder) -> Self {
        let file = ListFile::new(folder, clients.account().identity());
        let saved = file.load().await;
        let shelf = |region: &Arc<str>| {
            let saved = saved.iter().find(|saved| saved.region == **region);
            match saved {
                Some(saved) => Shelf::of_saved(Arc::clone(region), saved, valves),
                None => Shelf::empty(Arc::clone(region), valves),
            }
        };
        let shelves: Vec<_> = clients.regions().map(shelf).collect();
        for shelf in &shelves {
            if let Some(age) = shelf.saved_age() {
                let region = &*shelf.region;
                tracing::info!(
                    aws.region = region,
                    "Until {region} has listed its models, those are served that it had {age} ago."
                );
            }
        }
        Self::begin(clients, valves, shelves, None, file)
    }

    /// A catalogue for valves of another account, of which nothing is known.
    pub fn of_another(&self, clients: Arc<Clients>, valves: &BedrockValves) -> Self {
        let shelf = |region: &Arc<str>| Shelf::empty(Arc::clone(region), valves);
        let shelves = clients.regions().map(shelf).collect();
        let file = self.shared.file.turned(clients.account().identity());
        Self::begin(clients, valves, shelves, None, file)
    }

    /// A catalogue for new valves of the same account. It begins with what the old one knows.
    pub fn turned(&self, clients: Arc<Clients>, valves: &BedrockValves) -> Self {
        let known = self.shared.shelves();
        let shelf = |region: &Arc<str>| {
            let kept = known.iter().find(|shelf| shelf.matches(region));
            let empty = || Shelf::empty(Arc::clone(region), valves);
            kept.map_or_else(empty, |shelf| shelf.turned(valves))
        };
        let shelves: Vec<_> = clients.regions().map(shelf).collect();
        let complete = shelves.iter().all(Shelf::is_listed);
        let listed = *self.shared.listed.borrow();
        let file = self.shared.file.turned(clients.account().identity());
        Self::begin(clients, valves, shelves, listed.filter(|_| complete), file)
    }

    fn begin(
        clients: Arc<Clients>,
        valves: &BedrockValves,
        shelves: Vec<Shelf>,
        listed: Option<Instant>,
        file: ListFile,
    ) -> Self {
        let listing = ArcSwap::from_pointee(Listing::of(&shelves, valves));
        let shared = Shared {
            clients,
            valves: valves.clone(),
            shelves: Mutex::new(shelves),
            listing,
            file,
            listed: watch::Sender::new(listed),
        };
        let catalogue = Self {
            shared: Arc::new(shared),
            age: Duration::from_secs(valves.model_list_seconds),
            began: Instant::now(),
            refresh: Mutex::new(None),
        };
        catalogue.refresh();
        catalogue
    }

    /// The list as it is now. If it is old, a new one is asked for beside.
    pub fn listing(&self) -> Arc<Listing> {
        let listing = self.shared.listing.load_full();
        let age =
            if listing.has_troubled_regions() { self.age.min(AGE_WITH_TROUBLE) } else { self.age };
        if self.shared.listed.borrow().is_some_and(|listed| listed.elapsed() >= age) {
            self.refresh();
        }
        listing
    }

    /// Ends when all regions have been heard of, well or ill, for the first time.
    pub async fn wait_until_ready(&self) {
        let mut listed = self.shared.listed.subscribe();
        // The sender lives as long as this catalogue, so the wait cannot fail.
        _ = listed.wait_for(Option::is_some).await;
    }

    /// Refuses names that no model has if an admin has entered them since these valves. With a list that has gaps
    /// all names are believed.
    pub async fn check_names(&self, before: &BedrockValves) -> Result<()> {
        let now = &self.shared.valves;
        let are_known = self.listing().strays().is_some_and(<[_]>::is_empty);
        if are_known || !are_names_turned(before, now) {
            return Ok(());
        }
        // The model may be new, so it takes a new list to tell.
        _ = timeout(PATIENCE.min(now.list_timeout()), self.refreshed()).await;
        let faults = slips(self.listing().strays().unwrap_or_default(), before, now);
        if faults.is_empty() { Ok(()) } else { Err(PipeError::BadValves(faults)) }
    }

    /// Ends when all regions have been heard of since this catalogue began.
    async fn refreshed(&self) {
        let mut listed = self.shared.listed.subscribe();
        _ = listed.wait_for(|listed| listed.is_some_and(|at| at >= self.began)).await;
    }

    /// Begins a refresh, unless one is under way.
    fn refresh(&self) {
        let mut refresh = self.refresh.lock().unwrap_or_else(PoisonError::into_inner);
        if refresh.as_ref().is_none_or(Task::is_finished) {
            let shared = Arc::clone(&self.shared);
            *refresh = Some(Task::spawn(async move { shared.refresh().await }));
        }
    }
}

impl Shared {
    fn shelves(&self) -> Vec<Shelf> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks all regions at once, and shows what each says as soon as it says it.
    async fn refresh(&self) {
        let ask =
            |place| async move { (place, list::region(&self.clients, place, &self.valves).await) };
        let mut heard: FuturesUnordered<_> = (0..self.clients.regions().len()).map(ask).collect();
        while let Some((place, lists)) = heard.next().await {
            let mut shelves = self.shelves();
            shelves[place].put(lists);
            self.listing.store(Arc::new(Listing::of(&shelves, &self.valves)));
            *self.shelves.lock().unwrap_or_else(PoisonError::into_inner) = shelves;
        }
        for stray in self.listing.load().strays().unwrap_or_default() {
            tracing::warn!("{}.", stray.line());
        }
        self.listed.send_replace(Some(Instant::now()));
        self.file.save(self.shelves().iter().filter_map(Shelf::to_saved).collect()).await;
    }
}
