//! Graceful shutdown: running requests may finish within a time limit, and new ones are refused.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::watch;

/// The stage of the shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainStage {
    /// All requests are served.
    Serving,
    /// New chats are refused; running requests continue.
    Draining,
    /// Requests that still run are ended with an error.
    Aborting,
}

/// The stage of the shutdown and the number of running requests. A clone refers to the same state.
#[derive(Clone, Debug)]
pub struct Drain {
    stage: Arc<watch::Sender<DrainStage>>,
    in_flight: Arc<InFlightCount>,
}

/// The number of requests in flight.
#[derive(Debug)]
struct InFlightCount {
    count: AtomicUsize,
    changed: tokio::sync::Notify,
}

impl Default for Drain {
    fn default() -> Self {
        let in_flight =
            InFlightCount { count: AtomicUsize::new(0), changed: tokio::sync::Notify::new() };
        Self {
            stage: Arc::new(watch::Sender::new(DrainStage::Serving)),
            in_flight: Arc::new(in_flight),
        }
    }
}

impl Drain {
    /// Returns the current stage.
    pub fn stage(&self) -> DrainStage {
        *self.stage.borrow()
    }

    /// Advances to this stage. An earlier stage is ignored.
    pub fn advance(&self, stage: DrainStage) {
        self.stage.send_if_modified(|now| stage > std::mem::replace(now, stage.max(*now)));
    }

    /// Counts one request until the returned guard is dropped.
    pub fn track_request(&self) -> InFlightRequest {
        self.in_flight.count.fetch_add(1, Ordering::Relaxed);
        InFlightRequest(Arc::clone(&self.in_flight))
    }

    /// Returns the number of running requests.
    pub fn in_flight(&self) -> usize {
        self.in_flight.count.load(Ordering::Relaxed)
    }

    /// Waits until no request runs.
    pub async fn wait_until_idle(&self) {
        loop {
            let changed = self.in_flight.changed.notified();
            if self.in_flight.count.load(Ordering::Acquire) == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Waits until running requests have to end.
    pub async fn wait_for_abort(&self) {
        // An error means that the host is gone, which is as good as cut.
        _ = self.stage.subscribe().wait_for(|stage| *stage == DrainStage::Aborting).await;
    }
}

/// A guard that counts one running request.
#[derive(Debug)]
pub struct InFlightRequest(Arc<InFlightCount>);

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}
