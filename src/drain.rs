//! Leaving in order: what is under way may end, what is new is refused, and nobody waits for ever.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::watch;

/// How far the host is with leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// All is served.
    Serving,
    /// New chats are refused, those under way go on.
    Draining,
    /// What is still under way ends now, with a word.
    Cut,
}

/// The host's stage, and how many requests are under way. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct Drain {
    stage: Arc<watch::Sender<Stage>>,
    under_way: Arc<UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    count: AtomicUsize,
    changed: tokio::sync::Notify,
}

impl Default for Drain {
    fn default() -> Self {
        let under_way =
            UnderWay { count: AtomicUsize::new(0), changed: tokio::sync::Notify::new() };
        Self { stage: Arc::new(watch::Sender::new(Stage::Serving)), under_way: Arc::new(under_way) }
    }
}

impl Drain {
    /// How far it is.
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Goes on to this stage; never back.
    pub fn advance(&self, stage: Stage) {
        self.stage.send_if_modified(|now| stage > std::mem::replace(now, stage.max(*now)));
    }

    /// Counts one request for as long as the guard lives.
    pub fn enter(&self) -> InFlight {
        self.under_way.count.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.under_way))
    }

    /// Waits until nothing is under way.
    pub async fn idle(&self) {
        loop {
            let changed = self.under_way.changed.notified();
            if self.under_way.count.load(Ordering::Acquire) == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Waits until what is under way has to end.
    pub async fn cut(&self) {
        // An error means that the host is gone, which is as good as cut.
        _ = self.stage.subscribe().wait_for(|stage| *stage == Stage::Cut).await;
    }
}

/// One request under way.
#[derive(Debug)]
pub struct InFlight(Arc<UnderWay>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}
