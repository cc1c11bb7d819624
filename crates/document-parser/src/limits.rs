//! What the reading of one file may cost.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the reading of one file may cost. What would cost more is refused, never cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How large the file may be, in bytes.
    pub bytes: usize,
    /// How much text it may hold, in bytes; a block counts a little more than its text.
    pub text: usize,
    /// How many pages a PDF may have.
    pub pages: u32,
    /// How long it may take, from the start of its process to its end.
    pub time: Duration,
    /// How much address space its process may have, in bytes. It starts with about 100 MB.
    pub memory: u64,
}

impl Default for Limits {
    /// 100 MB of file, 64 MB of text, 5,000 pages, a minute, 1 GB of memory.
    fn default() -> Self {
        Self {
            bytes: 100_000_000,
            text: 64_000_000,
            pages: 5_000,
            time: Duration::from_secs(60),
            memory: 1_000_000_000,
        }
    }
}
