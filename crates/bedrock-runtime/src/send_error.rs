//! The errors of a request that got no answer.

use crate::{CredentialsFault, ServiceError};
use aws_credential_types::provider::error::{CredentialsError, TokenError};
use http_client::ConnectionError;
use std::time::Duration;

/// The error of a request that got no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SendError {
    /// No credentials were found anywhere.
    #[error("no AWS credentials were found")]
    NoCredentials,
    /// There are credentials, but they could not be fetched: a role, a profile, an SSO session.
    #[error("the AWS credentials could not be loaded")]
    CredentialsUnavailable(CredentialsFault),
    /// AWS did not answer in time.
    #[error("AWS did not answer in time")]
    Timeout,
    /// No connection to AWS, or it broke before the answer began.
    #[error("AWS cannot be reached")]
    Unreachable,
    /// The endpoint's host is at a link-local address, which is not connected to.
    #[error("the endpoint is at a link-local address")]
    MetadataAddress,
    /// An error that AWS sent.
    #[error(transparent)]
    Service(ServiceError),
}

impl SendError {
    /// Returns whether the same request may succeed in a moment (`docs/reference/bedrock.md`,
    /// "Errors").
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NoCredentials | Self::CredentialsUnavailable(_) | Self::MetadataAddress => false,
            Self::Timeout | Self::Unreachable => true,
            Self::Service(error) => error.is_retryable(),
        }
    }

    /// Returns whether AWS refuses the credentials rather than the request.
    pub fn is_credentials_error(&self) -> bool {
        match self {
            Self::NoCredentials | Self::CredentialsUnavailable(_) => true,
            Self::Timeout | Self::Unreachable | Self::MetadataAddress => false,
            Self::Service(error) => error.is_credentials_error(),
        }
    }

    /// Returns the wait that AWS asks for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Service(error) => error.retry_after,
            _ => None,
        }
    }
}

impl From<&ConnectionError> for SendError {
    fn from(error: &ConnectionError) -> Self {
        match (error.is_metadata_address(), error.is_timeout()) {
            (true, _) => Self::MetadataAddress,
            (false, true) => Self::Timeout,
            (false, false) => Self::Unreachable,
        }
    }
}

impl From<&CredentialsError> for SendError {
    fn from(error: &CredentialsError) -> Self {
        match error {
            CredentialsError::CredentialsNotLoaded(_)
                if CredentialsFault::is_undefined_profile(error) =>
            {
                Self::CredentialsUnavailable(CredentialsFault::UndefinedProfile)
            }
            CredentialsError::CredentialsNotLoaded(_) | CredentialsError::ProviderTimedOut(_) => {
                Self::NoCredentials
            }
            _ => Self::CredentialsUnavailable(CredentialsFault::from_error(error)),
        }
    }
}

impl From<&TokenError> for SendError {
    fn from(error: &TokenError) -> Self {
        match error {
            TokenError::TokenNotLoaded(_) | TokenError::ProviderTimedOut(_) => Self::NoCredentials,
            _ => Self::CredentialsUnavailable(CredentialsFault::from_error(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_worth_a_retry() {
        let said = |code: &str, message: &str, status| {
            SendError::Service(ServiceError::new(code, message, status))
        };
        for (error, worth) in [
            (said("ThrottlingException", "Too many requests", 429), true),
            (said("ThrottlingException", "Too many tokens per day", 429), false),
            (said("", "", 429), true),
            (said("ModelNotReadyException", "", 429), true),
            (said("InternalServerException", "", 500), true),
            (said("ServiceUnavailableException", "", 503), true),
            (said("", "", 502), true),
            (said("SomethingNewException", "", 500), true),
            (said("SomethingNewException", "", 418), false),
            (said("ValidationException", "", 400), false),
            (said("AccessDeniedException", "", 403), false),
            (said("ExpiredTokenException", "", 403), false),
            (said("ResourceNotFoundException", "", 404), false),
            (said("ModelTimeoutException", "", 408), false),
            (said("ModelErrorException", "", 424), false),
            (said("ServiceQuotaExceededException", "", 400), false),
            (said("", "", 301), false),
            (SendError::Unreachable, true),
            (SendError::Timeout, true),
            (SendError::MetadataAddress, false),
            (SendError::NoCredentials, false),
            (SendError::CredentialsUnavailable(CredentialsFault::Unknown), false),
        ] {
            assert_eq!(error.is_retryable(), worth, "{error:?}");
        }
    }
}
