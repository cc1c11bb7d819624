//! Counts the outcomes of recent calls by caller.

use crate::FailureSource;
use pipe_sdk::CallerId;
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// The outcomes of recent calls. Of each caller only its share is kept, the newest.
#[derive(Debug)]
pub(crate) struct Window {
    calls: VecDeque<CallOutcome>,
    length: Duration,
    volume: usize,
    max_per_caller: usize,
}

/// The outcome of one call.
#[derive(Clone, Copy, Debug)]
struct CallOutcome {
    at: Instant,
    caller: CallerId,
    failure: Option<FailureSource>,
}

/// The totals of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WindowTotals {
    pub calls: usize,
    pub failed: usize,
    /// Failures that the upstream itself reports.
    pub owned: usize,
    /// Failures that are not just as likely the request's fault.
    pub clear: usize,
    /// The number of callers that have seen a failure.
    pub callers: usize,
}

/// The maximum number of calls that are kept.
const MAX_CALLS: usize = 512;

impl Window {
    /// Returns an empty window, which is meaningful when it holds this number of calls, of at least
    /// this number of callers.
    pub fn new(length: Duration, volume: usize, callers: usize) -> Self {
        let volume = volume.min(MAX_CALLS);
        Self {
            calls: VecDeque::new(),
            length,
            volume,
            max_per_caller: volume.div_ceil(callers.max(1)),
        }
    }

    /// Returns the number of calls from which the totals are meaningful.
    pub fn min_calls(&self) -> usize {
        self.volume
    }

    /// Adds the outcome of a call.
    pub fn push(&mut self, at: Instant, caller: CallerId, failure: Option<FailureSource>) {
        self.expire_before(at);
        let mut own = self.calls.iter().enumerate().filter(|(_, call)| call.caller == caller);
        let oldest = own.next().map(|(place, _)| place);
        if let Some(place) = oldest
            && own.count() + 1 >= self.max_per_caller
        {
            self.calls.remove(place);
        }
        if self.calls.len() >= MAX_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(CallOutcome { at, caller, failure });
    }

    /// Returns the current totals.
    pub fn totals(&mut self, now: Instant) -> WindowTotals {
        self.expire_before(now);
        let count = |is: fn(FailureSource) -> bool| {
            self.calls.iter().filter(|call| call.failure.is_some_and(is)).count()
        };
        WindowTotals {
            calls: self.calls.len(),
            failed: count(|_| true),
            owned: count(|failure_source| failure_source == FailureSource::Upstream),
            clear: count(|failure_source| failure_source != FailureSource::Request),
            callers: self.witnesses(MAX_CALLS).len(),
        }
    }

    /// Returns the callers that have seen a failure.
    pub fn witnesses(&self, most: usize) -> Vec<CallerId> {
        let failed = self.calls.iter().filter(|call| call.failure.is_some());
        let mut callers: Vec<_> = failed.map(|call| call.caller).collect();
        callers.sort_unstable();
        callers.dedup();
        callers.truncate(most);
        callers
    }

    /// Forgets all calls.
    pub fn clear(&mut self) {
        self.calls.clear();
    }

    fn expire_before(&mut self, now: Instant) {
        while self.calls.front().is_some_and(|call| now.duration_since(call.at) > self.length) {
            self.calls.pop_front();
        }
    }
}
