//! A background task that ingests documents from watched folders and computes their embeddings.

use crate::registry::Registry;
use pipe_sdk::{CallContext, ChatRef, Host, Task};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Notify, time::timeout};

/// The pause between two rounds of jobs when nothing wakes them.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The background task of the host's document library. It ends when this is dropped.
pub struct BackgroundJobs {
    wake_up: Arc<Notify>,
    _task: Task,
}

impl BackgroundJobs {
    /// Spawns the background task for the library of these pipes.
    pub fn spawn(registry: &Arc<Registry>) -> Self {
        let (wake_up, registry) = (Arc::new(Notify::new()), Arc::clone(registry));
        let wait = Arc::clone(&wake_up);
        let run = async move {
            let mut reported = BTreeMap::new();
            loop {
                warn_about_missing_models(&registry, &mut reported);
                if let Some(library) = registry.library() {
                    let host = Host::new(
                        registry.clone(),
                        CallContext::for_host(None),
                        ChatRef::default(),
                    );
                    library.run_background_jobs(host).await;
                }
                // The task looks again after the interval even if nobody woke it.
                _ = timeout(POLL_INTERVAL, wait.notified()).await;
            }
        };
        Self { wake_up, _task: Task::spawn(run) }
    }

    /// Wakes the task.
    pub fn wake(&self) {
        self.wake_up.notify_one();
    }
}

/// Logs which valves name models that do not exist. Each is logged once until it changes.
fn warn_about_missing_models(
    registry: &Registry,
    reported: &mut BTreeMap<&'static str, BTreeSet<String>>,
) {
    for slot in registry.slots().iter() {
        let missing = registry.missing_references(slot);
        let before = reported.insert(slot.id(), missing.clone()).unwrap_or_default();
        for problem in missing.difference(&before) {
            tracing::warn!(pipe.id = slot.id(), "A valve of `{}`: {problem}.", slot.id());
        }
    }
}
