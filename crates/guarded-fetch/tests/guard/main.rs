//! Tests of the public API against hosts on loopback.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod error_texts;
mod hostile;
mod limits;
mod redirects;
mod success;
mod support;
