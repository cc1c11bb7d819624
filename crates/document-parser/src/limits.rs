//! The limits of one file.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The limits of one file. A file that exceeds one is an error; no file is read in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The largest size of the file, in bytes.
    pub file_bytes: usize,
    /// The largest size of its text, in bytes. A block counts a little more than its text.
    pub text_bytes: usize,
    /// The most pages of a PDF.
    pub pages: u32,
    /// The time from the start of the process to its end.
    pub time: Duration,
    /// The address space of the process, in bytes. The process starts with about 100 MB.
    pub memory_bytes: u64,
}

impl Default for Limits {
    /// Returns 100 MB of file, 64 MB of text, 5,000 pages, a minute, 1 GB of memory.
    fn default() -> Self {
        Self {
            file_bytes: 100_000_000,
            text_bytes: 64_000_000,
            pages: 5_000,
            time: Duration::from_secs(60),
            memory_bytes: 1_000_000_000,
        }
    }
}
