//! AWS's own chain of credentials: environment, profile, SSO, web identity, ECS, and EC2's metadata
//! service at last.

use aws_config::{
    Region,
    default_provider::credentials::DefaultCredentialsChain,
    imds::{self, client::error::ImdsError},
    provider_config::ProviderConfig,
};
use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, error::CredentialsError, future},
};
use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The default chain, without long waits for sources that do not exist.
///
/// The metadata service is called on every machine, and most machines have none. If there is one,
/// it answers within milliseconds.
#[derive(Debug)]
pub struct CredentialsChain {
    chain: DefaultCredentialsChain,
    last_failure: Mutex<Option<Instant>>,
}

/// The time-out of the metadata service.
const METADATA_TIMEOUT: Duration = Duration::from_millis(400);

/// The time for which a missing source of credentials is remembered: the lists of all regions ask
/// at once, and the SDK would make them wait one after the other.
const FAILURE_LIFETIME: Duration = Duration::from_secs(2);

impl CredentialsChain {
    /// Returns the chain in this configuration.
    pub async fn new(config: &ProviderConfig, region: Region) -> Self {
        let metadata = imds::Client::builder()
            .configure(config)
            .connect_timeout(METADATA_TIMEOUT)
            .read_timeout(METADATA_TIMEOUT)
            .max_attempts(1);
        let chain = DefaultCredentialsChain::builder()
            .region(region)
            .configure(config.clone())
            .imds_client(metadata.build());
        Self { chain: chain.build().await, last_failure: Mutex::new(None) }
    }

    /// Asks the default credential chain, unless it had no source a moment ago.
    async fn load(&self) -> provider::Result {
        let last_failure = *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        if last_failure.is_some_and(|since| since.elapsed() < FAILURE_LIFETIME) {
            return Err(CredentialsError::not_loaded_no_source());
        }
        let error = match self.chain.provide_credentials().await {
            Err(error) if has_no_source(&error) => error,
            credentials => return credentials,
        };
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Err(CredentialsError::not_loaded(error))
    }
}

/// Returns whether the chain found no source at all. The metadata service comes last, so if it is
/// the one that fails, there was nothing anywhere else.
fn has_no_source(error: &CredentialsError) -> bool {
    matches!(error, CredentialsError::CredentialsNotLoaded(_))
        || error.source().is_some_and(|cause| cause.is::<ImdsError>())
}

impl ProvideCredentials for CredentialsChain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.chain.fallback_on_interrupt()
    }
}
