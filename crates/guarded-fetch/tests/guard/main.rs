//! The client from outside, against hosts on loopback.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod hostile;
mod limits;
mod redirects;
mod success;
mod support;
mod words;
