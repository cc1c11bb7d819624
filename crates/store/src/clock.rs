//! The time by which embedded limits slide: it begins as the wall's and then goes on by itself.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A clock that nobody can set while it runs.
#[derive(Debug)]
pub(crate) struct Clock {
    base: i64,
    started: Instant,
}

impl Clock {
    /// Begins now, but not before the last moment that was ever stored: a wall clock that was set back between two runs must not
    /// put hits into the future, where they would never end.
    pub fn after(last: i64) -> Self {
        Self { base: wall().max(last), started: Instant::now() }
    }

    /// In ms.
    pub fn now(&self) -> i64 {
        self.base + self.started.elapsed().as_millis() as i64
    }
}

/// What the wall says, in ms since 1970.
pub(crate) fn wall() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
