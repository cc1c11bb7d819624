//! Leaving in order: what is under way may end, what is new is refused, and nobody waits for ever.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::watch;

/// How far the host is with leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainStage {
    /// All is served.
    Serving,
    /// New chats are refused, those under way go on.
    Draining,
    /// What is still under way ends now, with a word.
    Aborting,
}

/// The host's stage, and how many requests are under way. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct Drain {
    stage: Arc<watch::Sender<DrainStage>>,
    in_flight: Arc<InFlightCount>,
}

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
    /// How far it is.
    pub fn stage(&self) -> DrainStage {
        *self.stage.borrow()
    }

    /// Goes on to this stage; never back.
    pub fn advance(&self, stage: DrainStage) {
        self.stage.send_if_modified(|now| stage > std::mem::replace(now, stage.max(*now)));
    }

    /// Counts one request for as long as the guard lives.
    pub fn track_request(&self) -> InFlightRequest {
        self.in_flight.count.fetch_add(1, Ordering::Relaxed);
        InFlightRequest(Arc::clone(&self.in_flight))
    }

    /// Waits until nothing is under way.
    pub async fn wait_until_idle(&self) {
        loop {
            let changed = self.in_flight.changed.notified();
            if self.in_flight.count.load(Ordering::Acquire) == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Waits until what is under way has to end.
    pub async fn wait_for_abort(&self) {
        // An error means that the host is gone, which is as good as cut.
        _ = self.stage.subscribe().wait_for(|stage| *stage == DrainStage::Aborting).await;
    }
}

/// One request under way.
#[derive(Debug)]
pub struct InFlightRequest(Arc<InFlightCount>);

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}
