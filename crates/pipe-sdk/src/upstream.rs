//! The state of the services that a pipe calls, for metrics.

use std::collections::BTreeMap;

/// The state of one upstream of a pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamState {
    /// The name for people; never its address.
    pub name: String,
    /// The state of its circuit breaker.
    pub breaker: BreakerState,
    /// The number of calls in flight.
    pub in_flight: usize,
    /// The number of calls since the start.
    pub calls: u64,
    /// The number of retries.
    pub retries: u64,
    /// The number of calls that the concurrency limit refused.
    pub shed: u64,
    /// The number of calls that the circuit breaker refused.
    pub refused: u64,
    /// The number of failures, by kind.
    pub failures: BTreeMap<&'static str, u64>,
}

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls are made.
    Closed,
    /// Calls are refused, because the upstream has failed repeatedly.
    Open,
    /// One call is made, to find out whether the upstream works again.
    HalfOpen,
}

impl BreakerState {
    /// Returns the word for it in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}
