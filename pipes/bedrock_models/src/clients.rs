//! The AWS clients: one for the control plane and one for the runtime, in each region.

use crate::{account::Account, valves::BedrockValves};
use aws_config::{retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig};
use aws_sdk_bedrock as control;
use aws_sdk_bedrockruntime as runtime;
use std::{sync::Arc, time::Duration};
use tokio::sync::OnceCell;

/// The clients of all regions. Each is made when it is first used.
pub struct Clients {
    account: Arc<Account>,
    regions: Box<[RegionClients]>,
    retries: RetryConfig,
}

struct RegionClients {
    name: Arc<str>,
    control: OnceCell<control::Client>,
    runtime: OnceCell<runtime::Client>,
}

impl Clients {
    /// The clients of these valves' regions, for this account.
    pub fn new(account: Arc<Account>, valves: &BedrockValves) -> Self {
        let client = |name: &String| RegionClients {
            name: name.as_str().into(),
            control: OnceCell::new(),
            runtime: OnceCell::new(),
        };
        let retries = RetryConfig::standard()
            .with_max_attempts(valves.max_attempts)
            .with_initial_backoff(Duration::from_millis(200))
            .with_max_backoff(Duration::from_secs(2));
        Self { account, regions: valves.regions.iter().map(client).collect(), retries }
    }

    /// Who these clients are to AWS.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The regions, the preferred first.
    pub fn regions(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.regions.iter().map(|region| &region.name)
    }

    /// The control plane of the region at this place: lists.
    pub async fn control(&self, place: usize) -> &control::Client {
        let region = &self.regions[place];
        let make = async || {
            let config = self.account.config(&region.name).await;
            let config = control::config::Builder::from(&config);
            control::Client::from_conf(config.retry_config(self.retries.clone()).build())
        };
        region.control.get_or_init(make).await
    }

    /// The runtime of the region at this place: answers.
    pub async fn runtime(&self, place: usize) -> &runtime::Client {
        let region = &self.regions[place];
        let make = async || {
            let config = self.account.config(&region.name).await;
            let config = runtime::config::Builder::from(&config)
                // It would end an answer that thinks, and have it generated again. Our own timeouts stand in its place.
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                .retry_config(self.retries.clone());
            runtime::Client::from_conf(config.build())
        };
        region.runtime.get_or_init(make).await
    }
}
