//! Tends what pipes keep beside answering: documents come in from watched folders, and texts get their vectors.

use crate::registry::Registry;
use pipe_sdk::{CallContext, ChatRef, Host, Task};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Notify, time::timeout};

/// How long it waits when nobody wakes it.
const PAUSE: Duration = Duration::from_secs(5);

/// What tends the library of the host, until it is dropped.
pub struct Tender {
    woken: Arc<Notify>,
    _task: Task,
}

impl Tender {
    /// Tends the library of these pipes, if one has some.
    pub fn of(registry: &Arc<Registry>) -> Self {
        let (woken, registry) = (Arc::new(Notify::new()), Arc::clone(registry));
        let waits = Arc::clone(&woken);
        let tend = async move {
            let mut told = BTreeMap::new();
            loop {
                warn_of_lost_models(&registry, &mut told);
                if let Some(library) = registry.library() {
                    let host = Host::new(
                        registry.clone(),
                        CallContext::of_the_host(None),
                        ChatRef::default(),
                    );
                    library.tend(host).await;
                }
                // Woken or not, it looks again.
                _ = timeout(PAUSE, waits.notified()).await;
            }
        };
        Self { woken, _task: Task::spawn(tend) }
    }

    /// There is something to do.
    pub fn wake(&self) {
        self.woken.notify_one();
    }
}

/// Logs which valves name models that are not there, once each time.
fn warn_of_lost_models(registry: &Registry, told: &mut BTreeMap<&'static str, BTreeSet<String>>) {
    for slot in registry.slots() {
        let lost = registry.lost_references(slot);
        let before = told.insert(slot.id(), lost.clone()).unwrap_or_default();
        for words in lost.difference(&before) {
            tracing::warn!(pipe.id = slot.id(), "A valve of `{}`: {words}.", slot.id());
        }
    }
}
