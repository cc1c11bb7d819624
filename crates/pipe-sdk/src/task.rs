//! A background task that ends with its owner.

use std::future::Future;
use tokio::task::AbortHandle;

/// Runs a future beside its owner, and ends it when the owner is dropped.
///
/// For what outlives a call but not the pipe, such as refreshing a model list. Never for an answer:
/// that lives in its stream.
#[derive(Debug)]
pub struct Task(AbortHandle);

impl Task {
    /// Starts the future on the current runtime.
    #[expect(
        clippy::disallowed_methods,
        reason = "the handle is kept, and dropping it ends the task"
    )]
    /// Spawns a task that is aborted when this value is dropped.
    pub fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future).abort_handle())
    }

    /// Returns whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
