//! Why there is no answer, or no more of it.

use super::{Source, events::Unread};
use crate::error::{is_another_s_turn, is_model_s_refusal, of_chat};
use bedrock_runtime::{SendError, ServiceError};
use pipe_sdk::PipeError;
use resilience::{CallError, FailureKind, IdleElapsed, Suspect, Verdict};
use std::time::Duration;

/// Why there is no answer, or no more of it.
#[derive(Debug)]
pub enum Trouble {
    /// The model has failed again and again, and is not asked for so long.
    Resting {
        /// For so long.
        wait: Duration,
        /// How it has failed the last time.
        cause: FailureKind,
    },
    /// As many requests are under way as may be.
    Full,
    /// No answer has begun within this time.
    Late(Duration),
    /// The request has failed, or the service has while it answered.
    SendError(SendError),
    /// The connection was cut.
    Cut,
    /// Nothing has come for too long.
    IdleElapsed,
    /// Something cannot be read.
    Garbled(String),
    /// The model has ended without saying anything, for this reason.
    Nothing(String),
}

const SOON: Duration = Duration::from_secs(1);

impl Trouble {
    /// What AWS says it is about, if it says something.
    pub fn complaint(&self) -> Option<&ServiceError> {
        match self {
            Self::SendError(SendError::Said(complaint)) => Some(complaint),
            _ => None,
        }
    }

    /// Whether another model, or the same one elsewhere, might answer.
    pub fn passes_on(&self) -> bool {
        match self {
            Self::SendError(failure) => is_another_s_turn(failure),
            _ => true,
        }
    }

    /// Whether the model was not asked, because it has failed again and again.
    pub fn is_resting(&self) -> bool {
        matches!(self, Self::Resting { .. })
    }

    /// The error of a chat with this model.
    pub fn error(self, Source { model, region }: &Source) -> PipeError {
        match self {
            Self::Resting { wait, cause } => PipeError::Unavailable {
                message: format!(
                    "`{model}` in {region} has failed again and again (the last time, {}): try again in {} s",
                    cause.cause(),
                    wait.as_secs_f64().ceil()
                ),
                retry_after: Some(wait),
            },
            Self::Full => PipeError::Unavailable {
                message: format!(
                    "`{model}` in {region} has as many requests under way as it may have: try again in a moment"
                ),
                retry_after: Some(SOON),
            },
            Self::Late(patience) => PipeError::Timeout(format!(
                "`{model}` in {region} did not begin to answer within {} s",
                patience.as_secs()
            )),
            Self::SendError(failure) => of_chat(failure, model, region),
            Self::Cut => PipeError::Upstream(format!(
                "the answer of `{model}` from Amazon Bedrock in {region} ended early: the connection was cut"
            )),
            Self::IdleElapsed => PipeError::Timeout(format!(
                "`{model}` in {region} has fallen silent in the middle of its answer"
            )),
            Self::Garbled(what) => PipeError::Upstream(format!(
                "the answer of `{model}` from Amazon Bedrock in {region} cannot be read: {what}"
            )),
            Self::Nothing(reason) => PipeError::Upstream(format!(
                "`{model}` in {region} has given no answer that can be used ({reason}): try again"
            )),
        }
    }
}

impl resilience::Classify for Trouble {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Resting { .. } | Self::Full | Self::Nothing(_) => Verdict::fine(),
            Self::Late(_) => Verdict::failed(FailureKind::Timeout),
            Self::SendError(failure) => Verdict {
                kind: kind(failure),
                again: failure.is_worth_a_retry(),
                retry_after: failure.retry_after(),
                suspect: suspect(failure),
            },
            Self::Cut => Verdict::failed(FailureKind::Cut),
            Self::IdleElapsed => Verdict::failed(FailureKind::IdleTimeout),
            Self::Garbled(_) => Verdict::failed(FailureKind::Protocol),
        }
    }
}

/// How the model has failed; `None` if it is the request that is at fault, or who we are.
fn kind(failure: &SendError) -> Option<FailureKind> {
    match failure {
        SendError::NoCredentials | SendError::LostCredentials => None,
        SendError::Timeout | SendError::Unreachable => Some(FailureKind::Connect),
        SendError::Said(complaint) => match complaint.code.as_str() {
            // One that is being loaded answers too, and says when to come back.
            "ThrottlingException" | "ServiceQuotaExceededException" | "ModelNotReadyException" => {
                Some(FailureKind::Throttled)
            }
            "ModelTimeoutException" => Some(FailureKind::Timeout),
            "ModelErrorException" | "ModelStreamErrorException" => {
                (!is_model_s_refusal(complaint)).then_some(FailureKind::Server)
            }
            "ServiceUnavailableException" | "InternalServerException" => Some(FailureKind::Server),
            _ => match complaint.status {
                408 | 504 => Some(FailureKind::Timeout),
                429 => Some(FailureKind::Throttled),
                500..=599 => Some(FailureKind::Server),
                _ => None,
            },
        },
    }
}

/// Whose fault it is, where that is clearer than from its kind alone: the model's own errors may be the prompt's.
fn suspect(failure: &SendError) -> Option<Suspect> {
    let SendError::Said(complaint) = failure else { return None };
    match (complaint.code.as_str(), complaint.status) {
        ("ModelErrorException" | "ModelStreamErrorException", _) => Some(Suspect::Request),
        ("ServiceUnavailableException", _) | ("", 502 | 503) => Some(Suspect::Upstream),
        (_, 424) => Some(Suspect::Request),
        _ => None,
    }
}

impl From<Unread> for Trouble {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::ServiceError(complaint) => Self::SendError(SendError::Said(complaint)),
            Unread::Payload(event) => Self::Garbled(format!("an unreadable `{event}`")),
            Unread::Nothing(reason) => Self::Nothing(reason),
        }
    }
}

impl From<SendError> for Trouble {
    fn from(failure: SendError) -> Self {
        Self::SendError(failure)
    }
}

impl From<IdleElapsed> for Trouble {
    fn from(_: IdleElapsed) -> Self {
        Self::IdleElapsed
    }
}

impl From<CallError<Self>> for Trouble {
    fn from(unanswered: CallError<Self>) -> Self {
        match unanswered {
            CallError::Resting { wait, cause } => Self::Resting { wait, cause },
            CallError::Full => Self::Full,
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
            let complaint = ServiceError::in_stream(code, "words", status);
            let trouble = Trouble::SendError(SendError::Said(complaint));
            assert_eq!(trouble.verdict().kind, kind, "{code} {status}");
        }
        assert_eq!(Trouble::from(SendError::NoCredentials).verdict(), Verdict::fine());
    }
}
