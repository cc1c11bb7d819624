//! The identity of the chats, as the AWS SDK asks for it.

use crate::{Identity, OperationError, SendError};
use aws_credential_types::provider::{
    self, ProvideCredentials,
    error::{CredentialsError, TokenError},
    future,
    token::{self, ProvideToken},
};

/// Provides the cached credentials or the cached token of an [`Identity`].
#[derive(Clone, Debug)]
pub struct IdentityProvider(pub Identity);

impl IdentityProvider {
    async fn credentials(&self) -> provider::Result {
        let Self(identity) = self;
        let key = identity.auth_key().await;
        let key =
            key.map_err(|error| CredentialsError::provider_error(OperationError::from(error)))?;
        let none = || CredentialsError::not_loaded(OperationError::from(SendError::NoCredentials));
        key.credentials().cloned().ok_or_else(none)
    }

    async fn token(&self) -> token::Result {
        let Self(identity) = self;
        let key = identity.auth_key().await;
        let key = key.map_err(|error| TokenError::provider_error(OperationError::from(error)))?;
        let none = || TokenError::not_loaded(OperationError::from(SendError::NoCredentials));
        key.token().cloned().ok_or_else(none)
    }
}

impl ProvideCredentials for IdentityProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl ProvideToken for IdentityProvider {
    fn provide_token<'a>(&'a self) -> future::ProvideToken<'a>
    where
        Self: 'a,
    {
        future::ProvideToken::new(self.token())
    }
}
