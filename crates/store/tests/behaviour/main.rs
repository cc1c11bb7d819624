//! What the store does, whatever engine it has.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod conversations;
mod file;
mod fixture;
mod limits;
mod postgres;
mod usage;
