//! Why a side does not answer, and what that says of its health.

use pipe_sdk::PipeError;
use resilience::{CallError, Classify, FailureKind, Verdict};

/// Why a side does not answer, or no further.
#[derive(Debug)]
pub(crate) struct Failure {
    pub error: PipeError,
    kind: Option<FailureKind>,
}

impl Failure {
    /// A server has failed to answer as this model.
    pub fn of_server(trouble: openai_client::Trouble, model: &str) -> Self {
        let kind = trouble.verdict().kind;
        Self { error: trouble.error(model), kind }
    }

    /// It has said nothing for so long.
    pub fn late(model: &str, seconds: u64) -> Self {
        let error = format!("`{model}` did not begin to answer within {seconds} s");
        Self { error: PipeError::Timeout(error), kind: Some(FailureKind::Timeout) }
    }

    /// It has ended without a word.
    pub fn mute(model: &str) -> Self {
        let error = format!("`{model}` ended its answer before it had begun");
        Self { error: PipeError::Upstream(error), kind: Some(FailureKind::Broken) }
    }

    /// A filter does not let this person ask it.
    pub fn not_admitted(error: PipeError) -> Self {
        Self { error, kind: None }
    }

    /// It has panicked.
    pub fn panicked() -> Self {
        PipeError::internal("the model's pipe panicked").into()
    }

    /// It has as many chats under way as it may have.
    pub fn full(model: &str) -> Self {
        let message =
            format!("`{model}` has as many chats under way as it may have: try again in a moment");
        Self { error: PipeError::Unavailable { message, retry_after: None }, kind: None }
    }
}

impl From<PipeError> for Failure {
    fn from(error: PipeError) -> Self {
        let kind = match &error {
            PipeError::Throttled { .. } => Some(FailureKind::Throttled),
            PipeError::Timeout(_) => Some(FailureKind::Timeout),
            PipeError::Upstream(_)
            | PipeError::Unavailable { .. }
            | PipeError::NotReady { .. }
            | PipeError::Internal(_) => Some(FailureKind::Server),
            PipeError::Refused { status: 500.., .. } => Some(FailureKind::Server),
            // The request is at fault, or the valves are: it would fail again, whatever the side's health.
            _ => None,
        };
        Self { error, kind }
    }
}

impl Classify for Failure {
    fn verdict(&self) -> Verdict {
        self.kind.map_or_else(Verdict::fine, Verdict::failed)
    }
}

/// What a call comes to that was not let through to a side.
pub(crate) fn answered(unanswered: CallError<Failure>, model: &str) -> Option<Failure> {
    match unanswered {
        CallError::Resting(_) => None,
        CallError::Full => Some(Failure::full(model)),
        CallError::Failed(failure) => Some(failure),
    }
}
