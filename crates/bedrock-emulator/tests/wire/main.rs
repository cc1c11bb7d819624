//! The emulator from outside: what a client meets on the wire.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod answers;
mod auth;
mod client;
mod families;
mod lifetime;
mod mishaps;
mod record;
mod relay;
mod validation;
