//! The error of a backend, with what it says about the backend's health.

use openai_client::OpenAiError;
use pipe_sdk::PipeError;
use resilience::{CallError, Classify, FailureKind, FailureSource, Verdict};
use std::time::Duration;

/// The error of a backend.
#[derive(Debug)]
pub(crate) struct BackendError {
    pub error: PipeError,
    verdict: Verdict,
}

impl BackendError {
    /// Returns the error of a server that answers as this model.
    pub fn from_server(error: OpenAiError, model: &str) -> Self {
        let verdict = error.verdict();
        Self { error: error.into_pipe_error(model), verdict }
    }

    /// Returns the error of an answer without a token within this time.
    pub fn first_token_timeout(model: &str, limit: Duration) -> Self {
        let seconds = limit.as_secs();
        let error = format!("`{model}` did not begin to answer within {seconds} s");
        Self { error: PipeError::Timeout(error), verdict: Verdict::failure(FailureKind::Timeout) }
    }

    /// Returns the error of an answer that ended without output.
    pub fn empty_answer(model: &str) -> Self {
        let error = format!("`{model}` ended its answer before it had begun");
        Self {
            error: PipeError::Upstream(error),
            verdict: Verdict::failure(FailureKind::ConnectionLost),
        }
    }

    /// Returns the error of a limit of the user, which says nothing about the backend.
    pub fn not_admitted(error: PipeError) -> Self {
        Self { error, verdict: Verdict::success() }
    }

    /// Returns the error of a pipe that panicked.
    pub fn panic() -> Self {
        PipeError::internal("the model's pipe panicked").into()
    }

    /// Returns the error of a reached concurrency limit.
    pub fn concurrency_limit(model: &str) -> Self {
        let message =
            format!("`{model}` has reached its limit of concurrent chats: try again in a moment");
        Self {
            error: PipeError::Unavailable { message, retry_after: None },
            verdict: Verdict::success(),
        }
    }

    /// Returns the error of a call; `None` if the open circuit breaker refused it.
    pub fn from_call(error: CallError<Self>, model: &str) -> Option<Self> {
        match error {
            CallError::CircuitOpen { .. } => None,
            CallError::ConcurrencyLimit => Some(Self::concurrency_limit(model)),
            CallError::Failed(error) => Some(error),
        }
    }
}

impl From<PipeError> for BackendError {
    fn from(error: PipeError) -> Self {
        let verdict = match &error {
            PipeError::Throttled { .. } => Verdict::failure(FailureKind::Throttled),
            PipeError::Timeout(_) => Verdict::failure(FailureKind::Timeout),
            PipeError::Unavailable { .. } | PipeError::NotReady { .. } => {
                Verdict::failure(FailureKind::Server).with_failure_source(FailureSource::Upstream)
            }
            PipeError::Upstream(_) | PipeError::Internal(_) => {
                Verdict::failure(FailureKind::Server)
            }
            PipeError::Refused { status: 500.., .. } => Verdict::failure(FailureKind::Server),
            // The request or a valve is at fault, and the backend is healthy.
            _ => Verdict::success(),
        };
        Self { error, verdict }
    }
}

impl Classify for BackendError {
    fn verdict(&self) -> Verdict {
        // The other backend is a better choice than a retry.
        Verdict { is_retryable: false, ..self.verdict }
    }
}
