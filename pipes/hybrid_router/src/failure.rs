//! Why a side does not answer, and what that says of its health.

use pipe_sdk::PipeError;
use resilience::{CallError, Classify, FailureKind, Suspect, Verdict};

/// Why a side does not answer, or no further.
#[derive(Debug)]
pub(crate) struct Failure {
    pub error: PipeError,
    verdict: Verdict,
}

impl Failure {
    /// A server has failed to answer as this model.
    pub fn of_server(trouble: openai_client::Trouble, model: &str) -> Self {
        let verdict = trouble.verdict();
        Self { error: trouble.error(model), verdict }
    }

    /// It has said nothing for so long.
    pub fn late(model: &str, seconds: u64) -> Self {
        let error = format!("`{model}` did not begin to answer within {seconds} s");
        Self { error: PipeError::Timeout(error), verdict: Verdict::failed(FailureKind::Timeout) }
    }

    /// It has ended without a word.
    pub fn mute(model: &str) -> Self {
        let error = format!("`{model}` ended its answer before it had begun");
        Self { error: PipeError::Upstream(error), verdict: Verdict::failed(FailureKind::Broken) }
    }

    /// A filter does not let this person ask it.
    pub fn not_admitted(error: PipeError) -> Self {
        Self { error, verdict: Verdict::fine() }
    }

    /// It has panicked.
    pub fn panicked() -> Self {
        PipeError::internal("the model's pipe panicked").into()
    }

    /// It has as many chats under way as it may have.
    pub fn full(model: &str) -> Self {
        let message =
            format!("`{model}` has as many chats under way as it may have: try again in a moment");
        Self {
            error: PipeError::Unavailable { message, retry_after: None },
            verdict: Verdict::fine(),
        }
    }
}

impl From<PipeError> for Failure {
    fn from(error: PipeError) -> Self {
        let verdict = match &error {
            PipeError::Throttled { .. } => Verdict::failed(FailureKind::Throttled),
            PipeError::Timeout(_) => Verdict::failed(FailureKind::Timeout),
            PipeError::Unavailable { .. } | PipeError::NotReady { .. } => {
                Verdict::failed(FailureKind::Server).suspecting(Suspect::Upstream)
            }
            PipeError::Upstream(_) | PipeError::Internal(_) => Verdict::failed(FailureKind::Server),
            PipeError::Refused { status: 500.., .. } => Verdict::failed(FailureKind::Server),
            // The request is at fault, or the valves are: it would fail again, whatever the side's health.
            _ => Verdict::fine(),
        };
        Self { error, verdict }
    }
}

impl Classify for Failure {
    fn verdict(&self) -> Verdict {
        // Whoever waits is better served by the other side.
        Verdict { again: false, ..self.verdict }
    }
}

/// What a call comes to that was not let through to a side.
pub(crate) fn answered(unanswered: CallError<Failure>, model: &str) -> Option<Failure> {
    match unanswered {
        CallError::Resting { .. } => None,
        CallError::Full => Some(Failure::full(model)),
        CallError::Failed(failure) => Some(failure),
    }
}
