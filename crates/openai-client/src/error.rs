//! The error of a call to an OpenAI-compatible server.

use crate::ApiError;
use http_client::ConnectionError;
use pipe_sdk::PipeError;
use resilience::{CallError, FailureKind, FirstByteElapsed, IdleElapsed, Verdict};
use std::time::Duration;

/// The error of a call to an OpenAI-compatible server.
#[derive(Clone, Debug, PartialEq)]
pub enum OpenAiError {
    /// The circuit breaker is open: the server has failed again and again.
    CircuitOpen {
        /// The time until the server is tried again.
        wait: Duration,
        /// The kind of the server's last failure.
        cause: FailureKind,
    },
    /// The concurrency limit is reached.
    ConcurrencyLimit,
    /// No connection was established.
    Unreachable {
        /// `true` if connecting timed out; otherwise it was refused.
        timed_out: bool,
    },
    /// The server's host is at a link-local address, which is not connected to.
    MetadataAddress,
    /// No answer started in time, or none in one piece came in time.
    FirstByteTimeout,
    /// The connection broke before an answer started.
    ConnectionLost,
    /// A tool must be called, and the server has no tools of these types, the only ones of the
    /// chat.
    MissingTools(String),
    /// The server answered with an error.
    Api(ApiError),
    /// The server answered with a web page.
    HtmlPage,
    /// The response cannot be decoded, for this reason.
    InvalidResponse(&'static str),
    /// The connection broke in the middle of an answer.
    Interrupted,
    /// The answer was silent for too long.
    IdleTimeout,
    /// The answer ended without a finish reason.
    Incomplete,
}

/// The time after which a request that found no free connection may be sent again.
const CONCURRENCY_RETRY_AFTER: Duration = Duration::from_secs(1);

impl OpenAiError {
    /// Returns the error of a chat with the model of this name. It names no address.
    pub fn into_pipe_error(self, model: &str) -> PipeError {
        match self {
            Self::CircuitOpen { wait, cause } => PipeError::Unavailable {
                message: format!(
                    "the server of `{model}` has failed again and again (the last time, {}): try again in {} s",
                    cause.cause(),
                    wait.as_secs_f64().ceil()
                ),
                retry_after: Some(wait),
            },
            Self::ConcurrencyLimit => PipeError::Unavailable {
                message: format!(
                    "the server of `{model}` has reached its limit of concurrent chats: try again in a moment"
                ),
                retry_after: Some(CONCURRENCY_RETRY_AFTER),
            },
            Self::Unreachable { timed_out: true } => PipeError::Timeout(format!(
                "the server of `{model}` cannot be reached: there was no connection in time"
            )),
            Self::Unreachable { timed_out: false } => {
                PipeError::Upstream(format!("the server of `{model}` cannot be reached"))
            }
            Self::MetadataAddress => PipeError::Upstream(format!(
                "the server of `{model}` has a link-local address, which is not connected to because clouds keep their secrets there: enter another \
                 address in the valves"
            )),
            Self::FirstByteTimeout => PipeError::Timeout(format!(
                "the server of `{model}` did not begin to answer in time"
            )),
            Self::ConnectionLost => PipeError::Upstream(format!(
                "the server of `{model}` broke the connection off before it answered"
            )),
            Self::MissingTools(kinds) => PipeError::bad_field(
                "tool_choice",
                format!(
                    "tool_choice: the server of `{model}` has no tools of these types: {kinds}"
                ),
            ),
            Self::Api(api_error) => to_pipe_error(&api_error, model),
            Self::HtmlPage => PipeError::Upstream(format!(
                "the server of `{model}` answered with a web page: check that its address is that of its API, mostly with `/v1` at the end"
            )),
            Self::InvalidResponse(what) => PipeError::Upstream(format!(
                "the answer of the server of `{model}` cannot be read: {what}"
            )),
            Self::Interrupted => PipeError::Upstream(format!(
                "the answer of `{model}` ended early: its server broke the connection off"
            )),
            Self::IdleTimeout => PipeError::Timeout(format!(
                "`{model}` has fallen silent in the middle of its answer"
            )),
            Self::Incomplete => PipeError::Upstream(format!(
                "the answer of `{model}` ended early: its server did not say that it is whole"
            )),
        }
    }

    /// Returns whether another model might answer.
    pub fn should_fall_back(&self) -> bool {
        match self {
            Self::Api(api_error) => match api_error.status {
                401..=404 | 408 | 424 | 425 | 429 => true,
                400..=499 => false,
                _ => true,
            },
            _ => true,
        }
    }

    /// Returns the error that the server sent.
    pub(crate) fn api_error(&self) -> Option<&ApiError> {
        match self {
            Self::Api(api_error) => Some(api_error),
            _ => None,
        }
    }

    /// Removes these texts from the error that the server sent.
    pub(crate) fn redact(self, secrets: &[String]) -> Self {
        match self {
            Self::Api(error) => Self::Api(error.redact(secrets)),
            error => error,
        }
    }

    /// Returns the error of a request without a response.
    pub(crate) fn from_connection(error: &ConnectionError) -> Self {
        if error.is_metadata_address() {
            return Self::MetadataAddress;
        }
        match (error.is_connect(), error.is_timeout()) {
            (true, timed_out) => Self::Unreachable { timed_out },
            (false, true) => Self::FirstByteTimeout,
            (false, false) => Self::ConnectionLost,
        }
    }
}

fn to_pipe_error(api_error: &ApiError, model: &str) -> PipeError {
    let message = api_error.display_text();
    match api_error.status {
        // The message may hold the key.
        401 => PipeError::Credentials(format!(
            "the server of `{model}` does not accept the API key: check the key in the valves"
        )),
        403 => PipeError::Denied(format!("the server of `{model}` does not allow this: {message}")),
        404 => PipeError::ModelGone { model: model.into(), reason: message },
        408 | 504 => PipeError::Timeout(format!("`{model}` took too long to answer: {message}")),
        409 => PipeError::Conflict(message),
        429 => PipeError::Throttled {
            message: format!("the upstream limits `{model}`: {message}"),
            retry_after: api_error.retry_after,
        },
        status @ (402 | 413) => PipeError::Refused {
            status,
            message: format!("the server of `{model}` refuses the request: {message}"),
            retry_after: None,
        },
        400..=499 => PipeError::BadRequest {
            message: format!("the server of `{model}` refuses the request: {message}"),
            param: api_error.param.clone(),
            code: api_error.is_context_length().then_some("context_length_exceeded"),
        },
        503 | 529 => PipeError::Unavailable {
            message: format!("the server of `{model}` is not available: {message}"),
            retry_after: api_error.retry_after,
        },
        300..=399 => PipeError::Upstream(format!(
            "the server of `{model}` points to another address: enter that one in the valves"
        )),
        _ => PipeError::Upstream(format!("the server of `{model}` failed: {message}")),
    }
}

impl resilience::Classify for OpenAiError {
    fn verdict(&self) -> Verdict {
        match self {
            Self::CircuitOpen { .. } | Self::ConcurrencyLimit | Self::MissingTools(_) => {
                Verdict::success()
            }
            Self::Unreachable { .. } => Verdict::failure(FailureKind::Connect).retryable(),
            Self::MetadataAddress => Verdict::failure(FailureKind::Connect),
            Self::FirstByteTimeout => Verdict::failure(FailureKind::Timeout),
            Self::ConnectionLost => Verdict::failure(FailureKind::ConnectionLost).retryable(),
            Self::Api(api_error) => api_error.verdict(),
            Self::HtmlPage | Self::InvalidResponse(_) => Verdict::failure(FailureKind::Protocol),
            Self::Interrupted | Self::Incomplete => Verdict::failure(FailureKind::Truncated),
            Self::IdleTimeout => Verdict::failure(FailureKind::IdleTimeout),
        }
    }
}

impl From<FirstByteElapsed> for OpenAiError {
    fn from(_: FirstByteElapsed) -> Self {
        Self::FirstByteTimeout
    }
}

impl From<IdleElapsed> for OpenAiError {
    fn from(_: IdleElapsed) -> Self {
        Self::IdleTimeout
    }
}

impl From<CallError<Self>> for OpenAiError {
    fn from(unanswered: CallError<Self>) -> Self {
        match unanswered {
            CallError::CircuitOpen { wait, cause } => Self::CircuitOpen { wait, cause },
            CallError::ConcurrencyLimit => Self::ConcurrencyLimit,
            CallError::Failed(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilience::Classify as _;

    fn api_error(status: u16, code: &str, message: &str) -> OpenAiError {
        let (code, message) = (code.into(), message.into());
        OpenAiError::Api(ApiError { status, code, message, ..ApiError::default() })
    }

    #[test]
    fn each_complaint_becomes_one_of_our_errors() {
        for (status, kind) in [
            (301, "Upstream"),
            (400, "BadRequest"),
            (401, "Credentials"),
            (402, "Refused"),
            (403, "Denied"),
            (404, "ModelGone"),
            (408, "Timeout"),
            (409, "Conflict"),
            (413, "Refused"),
            (422, "BadRequest"),
            (429, "Throttled"),
            (500, "Upstream"),
            (502, "Upstream"),
            (503, "Unavailable"),
            (504, "Timeout"),
            (529, "Unavailable"),
            (0, "Upstream"),
        ] {
            let error = format!("{:?}", api_error(status, "", "words").into_pipe_error("m"));
            assert!(error.starts_with(kind), "{status}: {error}");
        }
    }

    #[test]
    fn a_conversation_that_is_too_long_has_its_own_code() {
        for (code, words) in [
            ("context_length_exceeded", ""),
            ("", "This model's maximum context length is 8192 tokens"),
            ("", "the request exceeds the available context size, try increasing it"),
        ] {
            let error = api_error(400, code, words).into_pipe_error("m");
            assert!(matches!(
                error,
                PipeError::BadRequest { code: Some("context_length_exceeded"), .. }
            ));
        }
    }

    #[test]
    fn a_quota_that_is_used_up_is_not_asked_for_again() {
        assert!(api_error(429, "", "slow down").verdict().is_retryable);
        assert!(!api_error(429, "insufficient_quota", "check your plan").verdict().is_retryable);
    }

    #[test]
    fn a_key_that_is_not_accepted_is_not_quoted() {
        let error =
            api_error(401, "", "Incorrect API key provided: sk-hunter2").into_pipe_error("m");
        assert!(!error.to_string().contains("hunter2"));
    }
}
