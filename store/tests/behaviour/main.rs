//! What the store does, whatever engine it has.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

mod file;
mod fixture;
mod limits;
mod usage;
