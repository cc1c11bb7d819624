//! AWS's own chain of credentials: environment, profile, SSO, web identity, ECS, and EC2's metadata service at last.

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

/// The chain, which does not keep people waiting for what is not there.
///
/// The metadata service is asked on every machine, and on most there is none. Where it answers, it does so within milliseconds.
#[derive(Debug)]
pub struct Chain {
    chain: DefaultCredentialsChain,
    came_to_nothing: Mutex<Option<Instant>>,
}

/// How long the metadata service is waited for.
const PATIENCE: Duration = Duration::from_millis(400);

/// How long it holds that there are no credentials: the lists of all regions ask at once, and the SDK would let them wait in a row.
const HOLDS: Duration = Duration::from_secs(2);

impl Chain {
    /// The chain in these surroundings.
    pub async fn new(surroundings: &ProviderConfig, home: Region) -> Self {
        let metadata = imds::Client::builder()
            .configure(surroundings)
            .connect_timeout(PATIENCE)
            .read_timeout(PATIENCE)
            .max_attempts(1);
        let chain = DefaultCredentialsChain::builder()
            .region(home)
            .configure(surroundings.clone())
            .imds_client(metadata.build());
        Self { chain: chain.build().await, came_to_nothing: Mutex::new(None) }
    }

    async fn ask(&self) -> provider::Result {
        let nothing = *self.came_to_nothing.lock().unwrap_or_else(PoisonError::into_inner);
        if nothing.is_some_and(|since| since.elapsed() < HOLDS) {
            return Err(CredentialsError::not_loaded_no_source());
        }
        let error = match self.chain.provide_credentials().await {
            Err(error) if is_nothing(&error) => error,
            credentials => return credentials,
        };
        *self.came_to_nothing.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Err(CredentialsError::not_loaded(error))
    }
}

/// The metadata service comes last, so when it is what fails, there was nothing anywhere else.
fn is_nothing(error: &CredentialsError) -> bool {
    matches!(error, CredentialsError::CredentialsNotLoaded(_))
        || error.source().is_some_and(|cause| cause.is::<ImdsError>())
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.ask())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.chain.fallback_on_interrupt()
    }
}
