//! The state of upstream services, read at each scrape.

use super::register;
use pipe_sdk::{BreakerState, UpstreamState};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The labels of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabels {
    pipe: &'static str,
    upstream: String,
}

/// The labels of failed calls to an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    pipe: &'static str,
    upstream: String,
    kind: &'static str,
}

/// The labels of an upstream's circuit breaker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BreakerLabels {
    pipe: &'static str,
    upstream: String,
    state: &'static str,
}

const BREAKER_STATES: [BreakerState; 3] =
    [BreakerState::Closed, BreakerState::HalfOpen, BreakerState::Open];

/// Returns the upstreams of these pipes, as metrics of this moment.
pub fn build_registry(upstreams: Vec<(&'static str, UpstreamState)>) -> Registry {
    let mut registry = Registry::default();
    let all = &mut registry;
    let in_flight: Family<UpstreamLabels, Gauge> =
        register(all, "pipewright_upstream_in_flight", "Calls in flight", Family::default());
    let mut counters = |name: &str, help: &str| -> Family<UpstreamLabels, Counter> {
        register(all, name, help, Family::default())
    };
    let calls = counters("pipewright_upstream_calls", "Calls that went out");
    let retries = counters("pipewright_upstream_retries", "Calls that were tried again");
    let shed = counters("pipewright_upstream_shed", "Calls refused by the concurrency limit");
    let refused =
        counters("pipewright_upstream_refused", "Calls refused because the upstream was failing");
    let failures: Family<FailureLabels, Counter> = register(
        all,
        "pipewright_upstream_failures",
        "Calls that failed, by kind",
        Family::default(),
    );
    let breakers: Family<BreakerLabels, Gauge> = register(
        all,
        "pipewright_upstream_breaker",
        "1 for the breaker's state",
        Family::default(),
    );
    for (pipe, state) in upstreams {
        let labels = UpstreamLabels { pipe, upstream: state.name.clone() };
        let under_way = i64::try_from(state.in_flight).unwrap_or(i64::MAX);
        in_flight.get_or_create(&labels).set(under_way);
        calls.get_or_create(&labels).inc_by(state.calls);
        retries.get_or_create(&labels).inc_by(state.retries);
        shed.get_or_create(&labels).inc_by(state.shed);
        refused.get_or_create(&labels).inc_by(state.refused);
        for (kind, count) in state.failures {
            let labels = FailureLabels { pipe, upstream: state.name.clone(), kind };
            failures.get_or_create(&labels).inc_by(count);
        }
        for breaker in BREAKER_STATES {
            let labels =
                BreakerLabels { pipe, upstream: state.name.clone(), state: breaker.name() };
            breakers.get_or_create(&labels).set((breaker == state.breaker).into());
        }
    }
    registry
}
