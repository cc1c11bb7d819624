//! The error of a call, or of a stream that broke off.

use super::{is_model_refusal, should_fall_back, to_pipe_error};
use crate::location::ModelLocation;
use bedrock_runtime::{OperationError, SendError, ServiceError};
use pipe_sdk::PipeError;
use resilience::{CallError, FailureKind, FailureSource, IdleElapsed, Verdict};
use std::time::Duration;

/// The error of a call, or of a stream that broke off.
#[derive(Debug)]
pub enum BedrockError {
    /// The circuit breaker of the model is open, because calls have failed repeatedly.
    CircuitOpen {
        /// The time until the model is called again.
        wait: Duration,
        /// The kind of the last failure.
        cause: FailureKind,
    },
    /// The concurrency limit is reached.
    ConcurrencyLimit,
    /// No answer has begun within this time.
    FirstByteTimeout(Duration),
    /// The request has failed, or the service has while it answered.
    Send(SendError),
    /// The connection was cut.
    ConnectionClosed,
    /// The response was silent for longer than the idle time-out.
    IdleTimeout,
    /// Something cannot be read.
    Protocol(String),
    /// The model has ended without saying anything, for this reason.
    EmptyAnswer(String),
}

/// The time after which a client may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl BedrockError {
    /// Returns the error of the service, if it has sent one.
    pub fn service_error(&self) -> Option<&ServiceError> {
        match self {
            Self::Send(SendError::Service(service_error)) => Some(service_error),
            _ => None,
        }
    }

    /// Returns whether another model, or the same one elsewhere, might answer.
    pub fn should_fall_back(&self) -> bool {
        match self {
            Self::Send(error) => should_fall_back(error),
            _ => true,
        }
    }

    /// Returns whether AWS refuses the credentials rather than the request.
    pub fn is_credentials_error(&self) -> bool {
        matches!(self, Self::Send(error) if error.is_credentials_error())
    }

    /// Returns whether the model was not asked, because it has failed again and again.
    pub fn is_circuit_open(&self) -> bool {
        matches!(self, Self::CircuitOpen { .. })
    }

    /// Returns the error of a chat with this model.
    pub fn into_pipe_error(self, location: &ModelLocation) -> PipeError {
        let ModelLocation { name, region, .. } = location;
        match self {
            Self::CircuitOpen { wait, cause } => PipeError::Unavailable {
                message: format!(
                    "{name} in {region} has failed again and again (the last time, {}): try again in {} s",
                    cause.cause(),
                    wait.as_secs_f64().ceil()
                ),
                retry_after: Some(wait),
            },
            Self::ConcurrencyLimit => PipeError::Unavailable {
                message: format!(
                    "{name} in {region} has reached its limit of concurrent requests: try again in a moment"
                ),
                retry_after: Some(RETRY_AFTER),
            },
            Self::FirstByteTimeout(limit) => PipeError::Timeout(format!(
                "{name} in {region} did not begin to answer within {} s",
                limit.as_secs()
            )),
            Self::Send(error) => to_pipe_error(error, location),
            Self::ConnectionClosed => PipeError::Upstream(format!(
                "The answer of {name} from Amazon Bedrock in {region} ended early: the connection was cut"
            )),
            Self::IdleTimeout => PipeError::Timeout(format!(
                "{name} in {region} has fallen silent in the middle of its answer"
            )),
            Self::Protocol(what) => PipeError::Upstream(format!(
                "The answer of {name} from Amazon Bedrock in {region} cannot be read: {what}"
            )),
            Self::EmptyAnswer(reason) => PipeError::Upstream(format!(
                "{name} in {region} has given no answer that can be used ({reason}): try again"
            )),
        }
    }
}

impl resilience::Classify for BedrockError {
    fn verdict(&self) -> Verdict {
        match self {
            Self::CircuitOpen { .. } | Self::ConcurrencyLimit | Self::EmptyAnswer(_) => {
                Verdict::success()
            }
            Self::FirstByteTimeout(_) => Verdict::failure(FailureKind::Timeout),
            Self::Send(error) => Verdict {
                kind: failure_kind(error),
                is_retryable: error.is_retryable(),
                retry_after: error.retry_after(),
                failure_source: failure_source(error),
            },
            Self::ConnectionClosed => Verdict::failure(FailureKind::Truncated),
            Self::IdleTimeout => Verdict::failure(FailureKind::IdleTimeout),
            Self::Protocol(_) => Verdict::failure(FailureKind::Protocol),
        }
    }
}

/// Returns the kind of the model's failure; `None` if the request or the credentials are at fault.
fn failure_kind(error: &SendError) -> Option<FailureKind> {
    match error {
        SendError::NoCredentials
        | SendError::CredentialsUnavailable(_)
        | SendError::MetadataAddress => None,
        SendError::Timeout | SendError::Unreachable => Some(FailureKind::Connect),
        SendError::Service(service_error) => match service_error.code.as_str() {
            // One that is being loaded answers too, and says when to come back.
            "ThrottlingException" | "ServiceQuotaExceededException" | "ModelNotReadyException" => {
                Some(FailureKind::Throttled)
            }
            "ModelTimeoutException" => Some(FailureKind::Timeout),
            "ModelErrorException" | "ModelStreamErrorException" => {
                (!is_model_refusal(service_error)).then_some(FailureKind::Server)
            }
            "ServiceUnavailableException" | "InternalServerException" => Some(FailureKind::Server),
            _ => match service_error.status {
                408 | 504 => Some(FailureKind::Timeout),
                429 => Some(FailureKind::Throttled),
                500..=599 => Some(FailureKind::Server),
                _ => None,
            },
        },
    }
}

/// Returns the part at fault, if that is clearer than from the kind alone: the model's own errors
/// may be caused by the prompt.
fn failure_source(error: &SendError) -> Option<FailureSource> {
    let SendError::Service(service_error) = error else { return None };
    match (service_error.code.as_str(), service_error.status) {
        ("ModelErrorException" | "ModelStreamErrorException", _) => Some(FailureSource::Request),
        ("ServiceUnavailableException", _) | ("", 502 | 503) => Some(FailureSource::Upstream),
        (_, 424) => Some(FailureSource::Request),
        _ => None,
    }
}

impl From<SendError> for BedrockError {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<OperationError> for BedrockError {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Send(error) => Self::Send(error),
            OperationError::Body(_) => Self::ConnectionClosed,
            OperationError::Unreadable => {
                Self::Protocol("it is not what this operation returns".into())
            }
        }
    }
}

impl From<IdleElapsed> for BedrockError {
    fn from(_: IdleElapsed) -> Self {
        Self::IdleTimeout
    }
}

impl From<CallError<Self>> for BedrockError {
    fn from(unanswered: CallError<Self>) -> Self {
        match unanswered {
            CallError::CircuitOpen { wait, cause } => Self::CircuitOpen { wait, cause },
            CallError::ConcurrencyLimit => Self::ConcurrencyLimit,
            CallError::Failed(trouble) => trouble,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilience::Classify as _;

    #[test]
    fn only_what_the_model_did_is_held_against_it() {
        for (code, status, kind) in [
            ("ValidationException", 400, None),
            ("AccessDeniedException", 403, None),
            ("ExpiredTokenException", 403, None),
            ("ResourceNotFoundException", 404, None),
            ("ThrottlingException", 429, Some(FailureKind::Throttled)),
            ("ServiceQuotaExceededException", 400, Some(FailureKind::Throttled)),
            ("ModelNotReadyException", 503, Some(FailureKind::Throttled)),
            ("ModelTimeoutException", 408, Some(FailureKind::Timeout)),
            ("ModelErrorException", 424, Some(FailureKind::Server)),
            ("InternalServerException", 500, Some(FailureKind::Server)),
            ("SomethingNewException", 503, Some(FailureKind::Server)),
            ("", 429, Some(FailureKind::Throttled)),
            ("", 502, Some(FailureKind::Server)),
            ("", 301, None),
        ] {
            let service_error = ServiceError::new(code, "words", status);
            let trouble = BedrockError::Send(SendError::Service(service_error));
            assert_eq!(trouble.verdict().kind, kind, "{code} {status}");
        }
        assert_eq!(BedrockError::from(SendError::NoCredentials).verdict(), Verdict::success());
    }
}
