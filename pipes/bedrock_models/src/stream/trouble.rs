//! Why there is no answer, or no more of it.

use super::{Source, events::Unread};
use crate::error::{is_another_s_turn, is_model_s_refusal, of_chat};
use bedrock_runtime::{Complaint, Failure};
use pipe_sdk::PipeError;
use std::time::Duration;
use resilience::{Kind, Silent, Unanswered, Verdict};

/// Why there is no answer, or no more of it.
#[derive(Debug)]
pub enum Trouble {
    /// The model has failed again and again, and is left in peace for so long.
    Resting(Duration),
    /// As many requests are under way as may be.
    Full,
    /// No answer has begun within this time.
    Late(Duration),
    /// The request has failed, or the service has while it answered.
    Failure(Failure),
    /// The connection was cut.
    Cut,
    /// Nothing has come for too long.
    Silent,
    /// Something cannot be read.
    Garbled(String),
    /// The model has ended without saying anything, for this reason.
    Nothing(String),
}

const SOON: Duration = Duration::from_secs(1);

impl Trouble {
    /// What AWS says it is about, if it says something.
    pub fn complaint(&self) -> Option<&Complaint> {
        match self {
            Self::Failure(Failure::Said(complaint)) => Some(complaint),
            _ => None,
        }
    }

    /// Whether another model, or the same one elsewhere, might answer.
    pub fn passes_on(&self) -> bool {
        match self {
            Self::Failure(failure) => is_another_s_turn(failure),
            _ => true,
        }
    }

    /// The error of a chat with this model.
    pub fn error(self, Source { model, region }: &Source) -> PipeError {
        match self {
            Self::Resting(wait) => PipeError::Unavailable {
                message: format!(
                    "`{model}` in {region} has failed again and again: try again in {} s",
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
            Self::Failure(failure) => of_chat(failure, model, region),
            Self::Cut => PipeError::Upstream(format!(
                "the answer of `{model}` from Amazon Bedrock in {region} ended early: the connection was cut"
            )),
            Self::Silent => PipeError::Timeout(format!(
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

impl resilience::Trouble for Trouble {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Resting(_) | Self::Full | Self::Nothing(_) => Verdict::fine(),
            Self::Late(_) => Verdict::failed(Kind::Timeout),
            Self::Failure(failure) => Verdict {
                kind: kind(failure),
                again: failure.is_worth_a_retry(),
                retry_after: failure.retry_after(),
            },
            Self::Cut => Verdict::failed(Kind::Cut),
            Self::Silent => Verdict::failed(Kind::Idle),
            Self::Garbled(_) => Verdict::failed(Kind::Protocol),
        }
    }
}

/// How the model has failed; `None` if it is the request that is at fault, or who we are.
fn kind(failure: &Failure) -> Option<Kind> {
    match failure {
        Failure::NoCredentials | Failure::LostCredentials => None,
        Failure::Timeout | Failure::Unreachable => Some(Kind::Connect),
        Failure::Said(complaint) => match complaint.code.as_str() {
            // One that is being loaded answers too, and says when to come back.
            "ThrottlingException" | "ServiceQuotaExceededException" | "ModelNotReadyException" => {
                Some(Kind::Throttled)
            }
            "ModelTimeoutException" => Some(Kind::Timeout),
            "ModelErrorException" | "ModelStreamErrorException" => {
                (!is_model_s_refusal(complaint)).then_some(Kind::Server)
            }
            "ServiceUnavailableException" | "InternalServerException" => Some(Kind::Server),
            _ => match complaint.status {
                408 | 504 => Some(Kind::Timeout),
                429 => Some(Kind::Throttled),
                500..=599 => Some(Kind::Server),
                _ => None,
            },
        },
    }
}

impl From<Unread> for Trouble {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Complaint(complaint) => Self::Failure(Failure::Said(complaint)),
            Unread::Payload(event) => Self::Garbled(format!("an unreadable `{event}`")),
            Unread::Nothing(reason) => Self::Nothing(reason),
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Silent> for Trouble {
    fn from(_: Silent) -> Self {
        Self::Silent
    }
}

impl From<Unanswered<Self>> for Trouble {
    fn from(unanswered: Unanswered<Self>) -> Self {
        match unanswered {
            Unanswered::Resting(wait) => Self::Resting(wait),
            Unanswered::Full => Self::Full,
            Unanswered::Failed(trouble) => trouble,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilience::Trouble as _;

    #[test]
    fn only_what_the_model_did_is_held_against_it() {
        for (code, status, kind) in [
            ("ValidationException", 400, None),
            ("AccessDeniedException", 403, None),
            ("ExpiredTokenException", 403, None),
            ("ResourceNotFoundException", 404, None),
            ("ThrottlingException", 429, Some(Kind::Throttled)),
            ("ServiceQuotaExceededException", 400, Some(Kind::Throttled)),
            ("ModelNotReadyException", 503, Some(Kind::Throttled)),
            ("ModelTimeoutException", 408, Some(Kind::Timeout)),
            ("ModelErrorException", 424, Some(Kind::Server)),
            ("InternalServerException", 500, Some(Kind::Server)),
            ("SomethingNewException", 503, Some(Kind::Server)),
            ("", 429, Some(Kind::Throttled)),
            ("", 502, Some(Kind::Server)),
            ("", 301, None),
        ] {
            let complaint = Complaint::in_stream(code, "words", status);
            let trouble = Trouble::Failure(Failure::Said(complaint));
            assert_eq!(trouble.verdict().kind, kind, "{code} {status}");
        }
        assert_eq!(Trouble::from(Failure::NoCredentials).verdict(), Verdict::fine());
    }
}
