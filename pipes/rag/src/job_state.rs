//! The state of the background jobs over collections.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The collections that wait for background jobs, and the problems of the others.
#[derive(Default)]
pub(crate) struct JobState(Mutex<State>);

/// The state, behind a lock.
#[derive(Default)]
struct State {
    /// The collections to look at in the next pass; `None` for all of them.
    pending: Option<BTreeSet<String>>,
    /// The embedding model of the last pass.
    model: Option<String>,
    /// The reasons why collections are not embedded or cut as they should be.
    problems: BTreeMap<String, String>,
}

impl JobState {
    /// Locks the state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a collection must be looked at in the next pass.
    pub(crate) fn mark_pending(&self, name: &str) {
        if let Some(pending) = self.lock().pending.as_mut() {
            pending.insert(name.to_owned());
        }
    }

    /// Returns the collections to look at, and clears the list; `None` means all of them.
    pub(crate) fn take_pending(&self) -> Option<BTreeSet<String>> {
        self.lock().pending.replace(BTreeSet::new())
    }

    /// Records the embedding model of a pass. With another model, all collections are looked at.
    pub(crate) fn set_model(&self, model: Option<String>) {
        let mut state = self.lock();
        if state.model != model {
            (state.model, state.pending) = (model, None);
        }
    }

    /// Returns the problem of a collection, if it has one.
    pub(crate) fn problem(&self, name: &str) -> Option<String> {
        self.lock().problems.get(name).cloned()
    }

    /// Records the problem of a collection, or that it has none.
    pub(crate) fn set_problem(&self, name: String, problem: Option<String>) {
        let mut state = self.lock();
        let Some(problem) = problem else {
            state.problems.remove(&name);
            return;
        };
        if state.problems.get(&name) != Some(&problem) {
            tracing::warn!(collection = name, "A collection has a problem: `/rag` shows it.");
            // An upstream may quote the texts.
            tracing::debug!(collection = name, "{problem}");
            state.problems.insert(name, problem);
        }
    }
}
