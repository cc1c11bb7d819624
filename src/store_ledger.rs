//! The ledger that pipes use for limits and budgets, kept in the store.

use futures_util::future::BoxFuture;
use pipe_sdk::{Booking, Charge, Exceeded, Ledger, PipeError, Result, Task, Window};
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use store::{Refusal, Spending, Store, StoreError};
use tokio::sync::{mpsc, oneshot};

/// The largest number of reservations that wait to be released. Further ones expire by themselves.
const MAX_QUEUED_RELEASES: usize = 8192;

/// The largest number of reservations that are released in one call.
const MAX_RELEASES: usize = 256;

/// A ledger that is kept in the store.
pub struct StoreLedger {
    store: Arc<Store>,
    releases: mpsc::Sender<String>,
    /// The task that releases reservations; it ends when this is dropped.
    _release_task: Task,
}

impl StoreLedger {
    /// Returns the ledger of this store.
    pub fn new(store: Arc<Store>) -> Self {
        let (releases, released) = mpsc::channel(MAX_QUEUED_RELEASES);
        let release_task = Task::spawn(release_reservations(Arc::clone(&store), released));
        Self { store, releases, _release_task: release_task }
    }
}

async fn release_reservations(store: Arc<Store>, mut released: mpsc::Receiver<String>) {
    let mut holders = Vec::new();
    while released.recv_many(&mut holders, MAX_RELEASES).await > 0 {
        if let Err(error) = store.limits().release(std::mem::take(&mut holders)).await {
            tracing::debug!(%error, "Reservations are left to expire.");
        }
    }
}

impl Ledger for StoreLedger {
    fn take(
        &self,
        charges: Vec<Charge>,
        holder: String,
    ) -> BoxFuture<'_, Result<Option<Exceeded>>> {
        Box::pin(async move {
            // Without limits, no chat waits for the store.
            if charges.is_empty() {
                return Ok(None);
            }
            let charges: Vec<_> = charges.into_iter().map(to_store_charge).collect();
            match reserve(Arc::clone(&self.store), charges, holder).await {
                Ok(()) => Ok(None),
                Err(Refusal::Exceeded(exceeded)) => Ok(Some(from_store_exceeded(exceeded))),
                Err(Refusal::Unknown(error)) => Err(unavailable_error(&error)),
            }
        })
    }

    fn book(&self, bookings: Vec<Booking>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let to_store_booking =
                |Booking { key, amount, is_spending }| store::Booking { key, amount, is_spending };
            let bookings: Vec<_> = bookings.into_iter().map(to_store_booking).collect();
            self.store.limits().book(&bookings).await.map_err(|error| unavailable_error(&error))
        })
    }

    fn release(&self, holder: String) {
        // An entry that does not fit expires by itself.
        _ = self.releases.try_send(holder);
    }

    fn spent(&self, user: String, since: SystemTime) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let spent = self.store.budget_spent(&user, unix_millis(since)).await;
            let spent = spent.map_err(|error| unavailable_error(&error))?;
            Ok(spent.and_then(|spent| u64::try_from(spent).ok()).unwrap_or_default())
        })
    }
}

/// Takes and reserves. This completes even if the client disconnects; then the reservation is
/// released again.
#[expect(clippy::disallowed_methods, reason = "it ends by itself, after two seconds at most")]
async fn reserve(
    store: Arc<Store>,
    charges: Vec<store::Charge>,
    holder: String,
) -> Result<(), Refusal> {
    if holder.is_empty() {
        return store.limits().admit(&charges).await.map(|_| ());
    }
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let result = store.limits().reserve(&charges, &holder).await.map(|_| ());
        if let Err(Ok(())) = sender.send(result) {
            // An error leaves it to expire.
            _ = store.limits().release(vec![holder]).await;
        }
    });
    let stopping = || StoreError::Unavailable("the host is stopping".into());
    receiver.await.unwrap_or_else(|_| Err(Refusal::Unknown(stopping())))
}

fn to_store_charge(Charge { key, window, max, amount, reserved }: Charge) -> store::Charge {
    let window = match window {
        Window::Sliding(window) => store::Window::Sliding(window),
        Window::Spending { since, until, user, models } => {
            let (since, until) = (unix_millis(since), unix_millis(until));
            store::Window::Spending(Spending { since, until, user, models })
        }
    };
    store::Charge { key, window, max, amount, reserved }
}

fn unix_millis(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    i64::try_from(since).unwrap_or(i64::MAX)
}

fn from_store_exceeded(exceeded: store::Exceeded) -> Exceeded {
    let store::Exceeded { index, used, held, retry_after, .. } = exceeded;
    Exceeded { index, used, held, retry_after }
}

/// Returns the error for limits that cannot be checked.
fn unavailable_error(error: &StoreError) -> PipeError {
    tracing::debug!(%error, "The store could not be asked.");
    let message = "limits cannot be checked because the database is away: try again soon".into();
    PipeError::Unavailable { message, retry_after: Some(Duration::from_secs(5)) }
}
