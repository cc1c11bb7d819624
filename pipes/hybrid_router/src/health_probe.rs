//! Probes of the local backend, beside all chats, until it is healthy again.

use crate::backend::Backend;
use pipe_sdk::{CallContext, Hints, Host, Task};
use std::sync::{Arc, Mutex, PoisonError};

/// The task that probes the local backend. At most one runs; it ends when the backend is healthy,
/// or with the pipe.
#[derive(Debug, Default)]
pub(crate) struct HealthProbe(Mutex<Option<Task>>);

/// The name of the task in usage records.
const TASK: &str = "health_check";

impl HealthProbe {
    /// Starts to probe this backend, unless a probe is running.
    pub fn spawn(&self, backend: &Arc<Backend>, host: &Host) {
        let mut task = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        // Probes are the host's own requests: no user pays for them.
        let host = host
            .clone()
            .with_context(CallContext::for_host(Some(TASK)))
            .with_hints(Hints::default());
        let backend = Arc::clone(backend);
        *task = Some(Task::spawn(async move { backend.probe_until_healthy(&host).await }));
    }

    /// Stops the probe.
    pub fn stop(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
