//! Finds out, beside all chats, whether the local side is well again.

use crate::party::Party;
use pipe_sdk::{CallContext, Hints, Host, Task};
use std::sync::{Arc, Mutex, PoisonError};

/// One look after the local side at a time. It ends when that is well, or with the pipe.
#[derive(Debug, Default)]
pub(crate) struct Recovery(Mutex<Option<Task>>);

/// What its questions are called in the books.
const TASK: &str = "health_check";

impl Recovery {
    /// Tries this side until it is well, unless that is being done already.
    pub fn look_after(&self, party: &Arc<Party>, host: &Host) {
        let mut task = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        // Nobody has asked for this, so nobody pays for it.
        let host = host
            .clone()
            .with_context(CallContext::for_host(Some(TASK)))
            .with_hints(Hints::default());
        let party = Arc::clone(party);
        *task = Some(Task::spawn(async move { party.nurse(&host).await }));
    }

    /// Looks after nobody any more.
    pub fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
