//! The runtime against a Bedrock on loopback that checks every request.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod bodies;
mod credentials;
mod operations;
mod requests;
mod service_errors;
mod support;
