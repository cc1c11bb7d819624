//! The error of an operation that goes through the AWS SDK.

use crate::{BodyError, SendError, ServiceError};
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse,
    result::{ConnectorError, SdkError},
};
use std::error::Error;

/// The error of an operation that is no chat.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OperationError {
    /// There is no response, or it is an error of the service.
    #[error(transparent)]
    Send(SendError),
    /// The body of the response did not arrive as a whole.
    #[error(transparent)]
    Body(BodyError),
    /// The response is not what the operation returns.
    #[error("the response cannot be read")]
    Unreadable,
}

impl OperationError {
    /// Returns the error that a client of the SDK reports, if its HTTP client is a
    /// [`SdkHttpClient`](crate::SdkHttpClient). The words of the service are read from its
    /// response, because the SDK drops the names that it does not know.
    pub fn from_sdk<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> Self {
        match error.raw_response() {
            Some(response) if response.status().is_success() => Self::Unreadable,
            Some(response) => {
                let header = |name: &str| response.headers().get(name);
                let body = response.body().bytes().unwrap_or_default();
                let status = response.status().as_u16();
                Self::Send(SendError::Service(ServiceError::from_parts(status, header, body)))
            }
            None => Self::Send(match error {
                SdkError::TimeoutError(_) => SendError::Timeout,
                _ => SendError::Unreachable,
            })
            .or_cause_of(error),
        }
    }

    /// Returns the error that is among the sources of another one, else this one. The SDK reports
    /// missing credentials as a failed dispatch.
    fn or_cause_of(self, error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<Self>() {
                return error.clone();
            }
            if let Some(error) = error.downcast_ref::<CredentialsError>()
                && !matches!(error.source(), Some(source) if source.is::<Self>())
            {
                return Self::Send(SendError::from(error));
            }
            cause = error.source();
        }
        self
    }

    /// Returns whether AWS refuses the credentials rather than the request.
    pub fn is_credentials_error(&self) -> bool {
        matches!(self, Self::Send(error) if error.is_credentials_error())
    }
}

impl From<SendError> for OperationError {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<BodyError> for OperationError {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl From<OperationError> for ConnectorError {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Send(SendError::Timeout) => Self::timeout(error.into()),
            OperationError::Send(SendError::Unreachable) | OperationError::Body(_) => {
                Self::io(error.into())
            }
            OperationError::Send(_) | OperationError::Unreadable => Self::user(error.into()),
        }
    }
}
