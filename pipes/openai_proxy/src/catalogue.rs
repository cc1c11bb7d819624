//! The models of all upstreams: asked for in the background, served at once, old if need be.

mod listing;
mod saved;
mod shelf;
mod trouble;

pub(crate) use listing::{Entry, Listing};
pub(crate) use saved::{ListFile, SavedList};

use crate::{
    upstreams::{Connected, Upstreams},
    ways::Ways,
};
use arc_swap::ArcSwap;
use futures_util::{StreamExt, stream::FuturesUnordered};
use openai_client::{Complaint, Listed, Trouble};
use pipe_sdk::Task;
use shelf::Shelf;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// The catalogue, and the task that renews it.
pub(crate) struct Catalogue {
    shared: Arc<Shared>,
    age: Duration,
    refresh: Mutex<Option<Task>>,
}

struct Shared {
    upstreams: Arc<Upstreams>,
    builtin_tools: bool,
    /// One an upstream. Only the refresh writes, and there is never more than one.
    shelves: Mutex<Vec<Shelf>>,
    listing: ArcSwap<Listing>,
    file: ListFile,
    /// When all upstreams were last heard of.
    listed: watch::Sender<Option<Instant>>,
}

/// What is known of upstreams before they have been asked.
#[derive(Clone, Copy)]
pub(crate) enum ModelResolution<'a> {
    /// What the catalogue knows that runs.
    Running(&'a Catalogue),
    /// What was saved before the start.
    Saved(&'a [SavedList]),
}

/// A list with gaps is asked for again so soon: people are at work on what its entries say is missing.
const AGE_WITH_TROUBLE: Duration = Duration::from_secs(15);

/// How long an upstream may take to list its models. Open WebUI waits for ten seconds.
const PATIENCE: Duration = Duration::from_secs(8);

impl Catalogue {
    /// A catalogue of these upstreams, whose first listing is already under way. It begins with what another one knows of those that are
    /// the same, or with what was saved of them.
    pub fn new(
        upstreams: Arc<Upstreams>,
        age: Duration,
        builtin_tools: bool,
        file: ListFile,
        known: ModelResolution<'_>,
    ) -> Self {
        let kept = |connected: &Connected| match known {
            ModelResolution::Running(before) => before.shelf(connected),
            ModelResolution::Saved(lists) => {
                let list = lists.iter().find_map(|list| list.of(&connected.way))?;
                let name = connected.way.name();
                tracing::info!(
                    "Until {name} has listed its models, those are served that it had before."
                );
                Some(Shelf::of_saved(list))
            }
        };
        let shelves: Vec<_> =
            upstreams.connected().iter().map(|one| kept(one).unwrap_or_default()).collect();
        let listing = Listing::of(upstreams.ways(), &shelves, builtin_tools);
        let nothing = shelves.is_empty().then(Instant::now);
        let shared = Shared {
            upstreams,
            builtin_tools,
            shelves: Mutex::new(shelves),
            listing: ArcSwap::from_pointee(listing),
            file,
            listed: watch::Sender::new(nothing),
        };
        let catalogue = Self { shared: Arc::new(shared), age, refresh: Mutex::new(None) };
        catalogue.refresh();
        catalogue
    }

    /// What is known of an upstream that is the same but for what does not change its list.
    fn shelf(&self, connected: &Connected) -> Option<Shelf> {
        let place =
            self.shared.upstreams.connected().iter().position(|one| one.lists_as(connected))?;
        self.shared.shelves().get(place).cloned()
    }

    /// The file of the lists, for the next catalogue.
    pub fn file(&self) -> ListFile {
        self.shared.file.again()
    }

    /// The list as it is now. If it is old, a new one is asked for beside.
    pub fn listing(&self) -> Arc<Listing> {
        let listing = self.shared.listing.load_full();
        let has_trouble = listing.health_problem().is_some();
        let age = if has_trouble { self.age.min(AGE_WITH_TROUBLE) } else { self.age };
        if self.shared.listed.borrow().is_some_and(|listed| listed.elapsed() >= age) {
            self.refresh();
        }
        listing
    }

    /// The upstreams that the list is of.
    pub fn ways(&self) -> &Ways {
        self.shared.upstreams.ways()
    }

    /// Ends when all upstreams have been heard of, well or ill, for the first time.
    pub async fn wait_until_ready(&self) {
        let mut listed = self.shared.listed.subscribe();
        // The sender lives as long as this catalogue, so the wait cannot fail.
        _ = listed.wait_for(Option::is_some).await;
    }

    /// Begins a refresh, unless one is under way.
    fn refresh(&self) {
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

impl Shared {
    fn shelves(&self) -> MutexGuard<'_, Vec<Shelf>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks all upstreams at once, and shows what each says as soon as it says it.
    async fn refresh(&self) {
        let (ways, all) = (self.upstreams.ways(), self.upstreams.connected().iter().enumerate());
        let mut heard: FuturesUnordered<_> =
            all.map(async |(place, one)| (place, listed(one).await)).collect();
        while let Some((place, answer)) = heard.next().await {
            let mut shelves = self.shelves();
            shelves[place].put(&ways.0[place], answer);
            self.listing.store(Arc::new(Listing::of(ways, &shelves, self.builtin_tools)));
        }
        self.listed.send_replace(Some(Instant::now()));
        let shelves = self.shelves().clone();
        self.file.save(self.upstreams.connected(), &shelves).await;
    }
}

/// What this upstream lists. One that gives nothing without a key is not asked without one.
async fn listed(Connected { way, server, .. }: &Connected) -> Result<Vec<Listed>, Trouble> {
    if way.address.needs_key() && !way.credentials.key.is_set() {
        return Err(Trouble::Said(Complaint { status: 401, ..Complaint::default() }));
    }
    server.models(way.timeout.min(PATIENCE)).await
}
