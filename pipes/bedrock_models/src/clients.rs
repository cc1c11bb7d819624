//! The clients of AWS: of the control plane in each region, and of the runtime in all of them.

use crate::{account::Account, upstreams::Upstreams, valves::BedrockValves};
use aws_config::retry::RetryConfig;
use aws_sdk_bedrock as control;
use bedrock_runtime::Runtime;
use std::{sync::Arc, time::Duration};
use tokio::sync::OnceCell;

/// The clients of all regions. Each is made when it is first used.
pub struct Clients {
    account: Arc<Account>,
    regions: Box<[Region]>,
    runtime: OnceCell<Runtime>,
    upstreams: Arc<Upstreams>,
    max_attempts: u32,
}

/// A region, and the client of its control plane.
struct Region {
    name: Arc<str>,
    control: OnceCell<control::Client>,
}

impl Clients {
    /// Returns the clients of these valves' regions, for this account.
    pub fn new(account: Arc<Account>, valves: &BedrockValves) -> Self {
        let upstreams = Arc::new(Upstreams::new(valves.limits()));
        Self::from_parts(account, upstreams, valves)
    }

    /// Returns the clients of new valves for the same account. How its models fare is kept, unless
    /// that is now measured otherwise.
    pub fn with_valves(&self, valves: &BedrockValves) -> Self {
        let account = Arc::clone(&self.account);
        if self.upstreams.has_limits(&valves.limits()) {
            return Self::from_parts(account, Arc::clone(&self.upstreams), valves);
        }
        Self::new(account, valves)
    }

    fn from_parts(
        account: Arc<Account>,
        upstreams: Arc<Upstreams>,
        valves: &BedrockValves,
    ) -> Self {
        let region =
            |name: &String| Region { name: name.as_str().into(), control: OnceCell::new() };
        Self {
            account,
            regions: valves.regions.iter().map(region).collect(),
            runtime: OnceCell::new(),
            upstreams,
            max_attempts: valves.max_attempts,
        }
    }

    /// Returns the account of these clients.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Returns the regions, the preferred first.
    pub fn regions(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.regions.iter().map(|region| &region.name)
    }

    /// Returns the control plane of the region at this place: lists.
    pub async fn control(&self, index: usize) -> &control::Client {
        let region = &self.regions[index];
        let make = async || {
            let config = control::config::Builder::from(&self.account.config(&region.name).await);
            let retries = RetryConfig::standard()
                .with_max_attempts(self.max_attempts)
                .with_initial_backoff(Duration::from_millis(200))
                .with_max_backoff(Duration::from_secs(2));
            control::Client::from_conf(config.retry_config(retries).build())
        };
        region.control.get_or_init(make).await
    }

    /// Returns the runtime: answers.
    pub async fn runtime(&self) -> &Runtime {
        self.runtime.get_or_init(|| self.account.runtime()).await
    }

    /// Returns the upstreams, one for each model and region.
    pub fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }
}
