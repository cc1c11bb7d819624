//! The behaviour of the store on both engines.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod conversations;
mod file;
mod fixture;
mod limits;
mod postgres;
mod usage;
