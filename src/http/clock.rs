//! The clock of the host.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the present time, in seconds since 1970.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
