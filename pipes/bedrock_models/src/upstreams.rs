//! The resilience of calls to each model in each region: retries, circuit breaker and concurrency
//! limit.

use crate::location::ModelLocation;
use pipe_sdk::UpstreamState;
use resilience::{Limits, Upstream};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// The models that have been asked. Each is an upstream of its own, so that one that is throttled
/// or ill costs the others nothing.
pub struct Upstreams {
    limits: Limits,
    by_region: RwLock<RegionUpstreams>,
}

/// The upstreams of models by model id, within each region.
type RegionUpstreams = HashMap<Arc<str>, HashMap<Arc<str>, Arc<Upstream>>>;

/// The largest number of models of a region. More than an account has.
const MAX_MODELS: usize = 1024;

impl Upstreams {
    /// Creates an empty map. Upstreams that are added get these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, by_region: RwLock::default() }
    }

    /// Returns the upstream of a model in a region, which is created at the first call.
    pub fn get(&self, ModelLocation { model, region, .. }: &ModelLocation) -> Arc<Upstream> {
        let known = self.by_region.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(upstream) = known.get(region).and_then(|models| models.get(model)) {
            return Arc::clone(upstream);
        }
        drop(known);
        let mut known = self.by_region.write().unwrap_or_else(PoisonError::into_inner);
        let models = known.entry(Arc::clone(region)).or_default();
        if models.len() >= MAX_MODELS {
            models.retain(|_, upstream| Arc::strong_count(upstream) > 1);
        }
        let create = || Arc::new(Upstream::new(metric_name(model, region), self.limits.clone()));
        Arc::clone(models.entry(Arc::clone(model)).or_insert_with(create))
    }

    /// Returns whether these are its limits.
    pub fn has_limits(&self, limits: &Limits) -> bool {
        self.limits == *limits
    }

    /// Returns their states, for metrics.
    pub fn states(&self) -> Vec<UpstreamState> {
        let known = self.by_region.read().unwrap_or_else(PoisonError::into_inner);
        known.values().flat_map(HashMap::values).map(|upstream| upstream.state()).collect()
    }
}

/// Returns the name in metrics. An ARN holds the number of the account, which not everyone who
/// reads metrics may see.
fn metric_name(model: &str, region: &str) -> String {
    let model = if model.starts_with("arn:") {
        model.rsplit(':').next().unwrap_or_default()
    } else {
        model
    };
    format!("{region}/{model}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(model: &str) -> ModelLocation {
        ModelLocation { model: model.into(), name: model.into(), region: "us-east-1".into() }
    }

    #[test]
    fn no_more_are_kept_than_fit_but_those_that_are_asked() {
        let upstreams = Upstreams::new(Limits::default());
        let asked = upstreams.get(&source("asked"));
        for number in 0..MAX_MODELS {
            upstreams.get(&source(&number.to_string()));
        }
        assert_eq!(upstreams.states().len(), 2);
        assert!(Arc::ptr_eq(&asked, &upstreams.get(&source("asked"))));
    }

    #[test]
    fn an_account_s_number_is_in_no_name() {
        let arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc";
        assert_eq!(metric_name(arn, "us-east-1"), "us-east-1/application-inference-profile/abc");
        assert_eq!(metric_name("a.b-v1:0", "us-east-1"), "us-east-1/a.b-v1:0");
    }
}
