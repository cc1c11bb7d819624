//! The pipe from outside: through its trait, against a Bedrock on loopback that checks every
//! request.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod answers;
mod credentials;
mod failures;
mod fallbacks;
mod listing;
mod requests;
mod support;
