//! Why a side does not answer, and what that says of its health.

use pipe_sdk::PipeError;
use resilience::{Kind, Trouble, Unanswered, Verdict};

/// Why a side does not answer, or no further.
#[derive(Debug)]
pub(crate) struct Failure {
    pub error: PipeError,
    kind: Option<Kind>,
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
        Self { error: PipeError::Timeout(error), kind: Some(Kind::Timeout) }
    }

    /// It has ended without a word.
    pub fn mute(model: &str) -> Self {
        let error = format!("`{model}` ended its answer before it had begun");
        Self { error: PipeError::Upstream(error), kind: Some(Kind::Broken) }
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
            PipeError::Throttled { .. } => Some(Kind::Throttled),
            PipeError::Timeout(_) => Some(Kind::Timeout),
            PipeError::Upstream(_)
            | PipeError::Unavailable { .. }
            | PipeError::NotReady { .. }
            | PipeError::Internal(_) => Some(Kind::Server),
            PipeError::Refused { status: 500.., .. } => Some(Kind::Server),
            // The request is at fault, or the valves are: it would fail again, whatever the side's health.
            _ => None,
        };
        Self { error, kind }
    }
}

impl Trouble for Failure {
    fn verdict(&self) -> Verdict {
        self.kind.map_or_else(Verdict::fine, Verdict::failed)
    }
}

/// What a call comes to that was not let through to a side.
pub(crate) fn answered(unanswered: Unanswered<Failure>, model: &str) -> Option<Failure> {
    match unanswered {
        Unanswered::Resting(_) => None,
        Unanswered::Full => Some(Failure::full(model)),
        Unanswered::Failed(failure) => Some(failure),
    }
}
