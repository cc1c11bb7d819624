//! Tries candidates until one answers (`docs/reference/bedrock.md`, "Choosing a model").

use super::CallDeps;
use crate::{catalog::ModelEntry, error::BedrockError, location::ModelLocation};
use bedrock_runtime::{SendError, ServiceError};
use pipe_sdk::{PipeError, Result};
use std::sync::Arc;

/// The error of a candidate.
pub struct CandidateError {
    /// The error for the client, if no other candidate answers.
    pub error: PipeError,
    /// The meaning of the error for other candidates.
    pub cause: FailureCause,
}

/// The meaning of a candidate's error for other candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCause {
    /// The candidate was not called, because its circuit breaker is open.
    CircuitOpen,
    /// The candidate failed, is busy, or must not be called; another one may answer.
    Unavailable,
    /// The service rejects the request itself.
    RejectedByService,
    /// The request cannot be written for this candidate.
    Rejected,
}

impl CandidateError {
    /// Creates the error of a call.
    pub fn from_call(error: BedrockError, location: &ModelLocation) -> Self {
        let cause = if error.is_circuit_open() {
            FailureCause::CircuitOpen
        } else if error.should_fall_back() {
            FailureCause::Unavailable
        } else {
            FailureCause::RejectedByService
        };
        Self { error: error.into_pipe_error(location), cause }
    }

    /// Creates the error of a request that cannot be written.
    pub fn from_rejection(error: PipeError) -> Self {
        Self { error, cause: FailureCause::Rejected }
    }

    /// Creates the error of a candidate that must not be called.
    fn not_admitted(error: PipeError) -> Self {
        Self { error, cause: FailureCause::Unavailable }
    }

    /// Creates the failure that a request has asked for.
    pub fn for_forced_failure(entry: &ModelEntry) -> Self {
        let message = "the request asked for this failure, by x-pipewright-fail";
        let error = ServiceError::new("ThrottlingException", message, 429);
        Self::from_call(BedrockError::Send(SendError::Service(error)), &entry.location())
    }
}

impl FailureCause {
    /// Returns whether another candidate may answer.
    fn should_fall_back(self) -> bool {
        matches!(self, Self::CircuitOpen | Self::Unavailable)
    }
}

/// Returns the answer of the first candidate that has one, and the candidate.
///
/// If none has, the error is that of the first, which was requested. But if the first was only busy
/// or unreachable and another one has said what is wrong with the request, that is the error: to
/// try again later would not help. If the circuit breakers of all candidates are open, the first is
/// called all the same, so never are all regions closed at once.
pub async fn try_candidates<'a, T, F>(
    candidates: &'a [Arc<ModelEntry>],
    deps: CallDeps<'a>,
    mut call: impl FnMut(&'a ModelEntry, CallDeps<'a>) -> F,
) -> Result<(&'a ModelEntry, T)>
where
    F: Future<Output = Result<T, CandidateError>>,
{
    let (mut first_error, mut are_all_open) = (None, candidates.len() > 1);
    for (position, entry) in candidates.iter().enumerate() {
        let answer = if deps.forced_failure.applies_to(entry, position) {
            Err(CandidateError::for_forced_failure(entry))
        } else {
            match deps.check_admission(entry).await {
                Ok(()) => call(entry, deps).await,
                Err(error) => Err(CandidateError::not_admitted(error)),
            }
        };
        let CandidateError { error, cause } = match answer {
            Ok(answer) => return Ok((entry, answer)),
            Err(error) => error,
        };
        are_all_open &= cause == FailureCause::CircuitOpen;
        // A further candidate may not accept what the first would have accepted; that ends nothing.
        if !cause.should_fall_back() && first_error.is_none() {
            return Err(error);
        }
        if let Some(next) = candidates.get(position + 1) {
            log_fallback(entry, next, &error);
        }
        let explains_request = cause == FailureCause::RejectedByService
            && matches!(error, PipeError::BadRequest { .. });
        match &first_error {
            Some(first) if !(explains_request && is_transient(first)) => {}
            _ => first_error = Some(error),
        }
    }
    if let Some(entry) = candidates.first().filter(|_| are_all_open) {
        let answer = call(entry, CallDeps { ignores_breaker: true, ..deps }).await;
        return answer.map(|answer| (&**entry, answer)).map_err(|failed| failed.error);
    }
    Err(first_error.unwrap_or_else(|| PipeError::internal("there is no candidate")))
}

fn log_fallback(entry: &ModelEntry, next: &ModelEntry, error: &PipeError) {
    let ModelEntry { id, region, .. } = entry;
    let (next, next_region) = (&next.id, &next.region);
    let kind = error.kind();
    tracing::warn!(
        aws.model = &**id,
        aws.region = &**region,
        "`{id}` in {region} does not answer, so `{next}` in {next_region} is called: {kind}."
    );
    // AWS may quote the prompt.
    tracing::debug!(aws.model = &**id, %error, "Why `{id}` does not answer.");
}

/// Returns whether an error only means that the model is busy or unreachable.
fn is_transient(error: &PipeError) -> bool {
    matches!(
        error,
        PipeError::Throttled { .. }
            | PipeError::Unavailable { .. }
            | PipeError::NotReady { .. }
            | PipeError::Timeout(_)
            | PipeError::Upstream(_)
    )
}
