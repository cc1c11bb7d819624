//! The clock of the embedded limits. It starts at the system time and is monotonic from then on.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A monotonic clock in milliseconds since 1970.
#[derive(Debug)]
pub(crate) struct Clock {
    base: i64,
    started: Instant,
}

impl Clock {
    /// Creates a clock that starts now, but not before `last`, the latest stored time. If the
    /// system time was set back between two runs, stored hits would otherwise lie in the future and
    /// never expire.
    pub fn not_before(last: i64) -> Self {
        Self { base: unix_millis().max(last), started: Instant::now() }
    }

    /// Returns the current time in milliseconds.
    pub fn now(&self) -> i64 {
        self.base + self.started.elapsed().as_millis() as i64
    }
}

/// Returns the system time in milliseconds since 1970.
pub(crate) fn unix_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
