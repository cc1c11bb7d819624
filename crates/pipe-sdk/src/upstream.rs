//! How the services fare that a pipe calls, for metrics.

use std::collections::BTreeMap;

/// How one upstream of a pipe fares now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamState {
    /// What people call it; never its address.
    pub name: String,
    /// Whether calls go through.
    pub breaker: BreakerState,
    /// How many calls are under way.
    pub in_flight: usize,
    /// How many calls have gone out so far.
    pub calls: u64,
    /// How often one of them was tried again.
    pub retries: u64,
    /// How many were refused because too many were under way.
    pub shed: u64,
    /// How many were refused because the upstream was failing.
    pub refused: u64,
    /// How often it has failed, by the way in which it did.
    pub failures: BTreeMap<&'static str, u64>,
}

/// Whether calls of an upstream go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// They do.
    Closed,
    /// They do not: it has failed again and again.
    Open,
    /// One does, to try whether the upstream is well again.
    HalfOpen,
}

impl BreakerState {
    /// The word for it in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}
