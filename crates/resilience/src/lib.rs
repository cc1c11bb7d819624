//! Resilience for calls of upstream services: time-outs, retries with a budget, a circuit breaker
//! and a concurrency limit.
//!
//! An [`Upstream`] is one service at one address. [`Upstream::call`] runs attempts until one
//! succeeds or further ones are useless; the caller decides what an attempt does, and by which
//! client. Errors implement [`Classify`], which says what they mean for the upstream. The caller's
//! [`CallerId`](pipe_sdk::CallerId) makes sure that one caller's failures do not close the upstream
//! to the others.
//!
//! ```
//! # use std::sync::Arc;
//! # use pipe_sdk::CallerId;
//! # use resilience::{Classify, FailureKind, FirstByteElapsed, Limits, Upstream, Verdict};
//! # #[derive(Debug, PartialEq)]
//! enum DemoError { Busy, FirstByteElapsed }
//!
//! impl Classify for DemoError {
//!     fn verdict(&self) -> Verdict {
//!         match self {
//!             Self::Busy => Verdict::failure(FailureKind::Server).retryable(),
//!             Self::FirstByteElapsed => Verdict::failure(FailureKind::Timeout),
//!         }
//!     }
//! }
//! impl From<FirstByteElapsed> for DemoError {
//!     fn from(_: FirstByteElapsed) -> Self { Self::FirstByteElapsed }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let upstream = Arc::new(Upstream::new("example", Limits::default()));
//! let answered = upstream.call(CallerId::default(), async |attempt| {
//!     attempt.with_deadline(async {
//!         if attempt.number == 1 { Err(DemoError::Busy) } else { Ok("hello") }
//!     }).await?
//! }).await;
//! let (answer, call) = answered.unwrap();
//! call.complete(None);
//! assert_eq!((answer, upstream.state().retries), ("hello", 1));
//! # }
//! ```
//!
//! Not part of this crate: an HTTP client, texts for people, tasks. A call that is dropped frees
//! its permit and counts neither as success nor as failure; an answer in progress holds its permit
//! in an [`InFlightCall`].

mod breaker;
mod budget;
mod call;
mod idle_timeout;
mod in_flight_call;
mod limits;
mod upstream;
mod verdict;
mod window;

pub use call::{Attempt, CallError, FirstByteElapsed};
pub use idle_timeout::{IdleElapsed, IdleTimeout, IdleTimer};
pub use in_flight_call::{InFlightCall, TrackedStream};
pub use limits::Limits;
pub use upstream::Upstream;
pub use verdict::{Classify, FailureKind, FailureSource, Verdict};
