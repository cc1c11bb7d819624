//! The AWS clients: one for the control plane and one for the runtime, in each region.

use crate::{account::Account, valves::BedrockValves};
use aws_config::{retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig};
use aws_sdk_bedrock as control;
use aws_sdk_bedrockruntime::{self as runtime, config::retry::RetryPartition};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
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
    runtime: OnceCell<runtime::Config>,
    /// By the id of the model.
    models: Mutex<HashMap<String, runtime::Client>>,
}

impl Clients {
    /// The clients of these valves' regions, for this account.
    pub fn new(account: Arc<Account>, valves: &BedrockValves) -> Self {
        let client = |name: &String| RegionClients {
            name: name.as_str().into(),
            control: OnceCell::new(),
            runtime: OnceCell::new(),
            models: Mutex::default(),
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

    /// The runtime of the region at this place, for this model: answers.
    ///
    /// Each model has a client of its own, over the same connections, because a throttled model must not use up the retries of the
    /// others. It is kept, because making it costs as much as signing a request.
    pub async fn runtime(&self, place: usize, model: &str) -> runtime::Client {
        let region = &self.regions[place];
        if let Some(client) = region.models().get(model) {
            return client.clone();
        }
        let retries = RetryPartition::new(format!("{}/{model}", region.name));
        let config = region.runtime.get_or_init(|| self.runtime_config(&region.name)).await;
        let config = config.to_builder().retry_partition(retries).build();
        region
            .models()
            .entry(model.into())
            .or_insert_with(|| runtime::Client::from_conf(config))
            .clone()
    }

    async fn runtime_config(&self, region: &str) -> runtime::Config {
        let config = self.account.config(region).await;
        runtime::config::Builder::from(&config)
            // It would end an answer that thinks, and have it generated again. Our own timeouts stand in its place.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .retry_config(self.retries.clone())
            .build()
    }
}

impl RegionClients {
    fn models(&self) -> MutexGuard<'_, HashMap<String, runtime::Client>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
