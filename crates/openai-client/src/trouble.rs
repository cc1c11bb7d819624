//! Why there is no answer, or no more of it.

use crate::Complaint;
use http_client::ConnectionError;
use pipe_sdk::PipeError;
use resilience::{CallError, FailureKind, FirstByteElapsed, IdleElapsed, Verdict};
use std::time::Duration;

/// Why there is no answer, or no more of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// The server has failed again and again, and is not asked for a while.
    Resting {
        /// For so long.
        wait: Duration,
        /// How it has failed the last time.
        cause: FailureKind,
    },
    /// As many calls are under way as may be.
    Full,
    /// There is no connection; `late` if one was not refused but did not come in time.
    Unreachable {
        /// Whether time was the reason.
        late: bool,
    },
    /// No answer began in time.
    Late,
    /// The connection broke before an answer began.
    Broken,
    /// The server said that it cannot, or will not.
    Said(Complaint),
    /// It has answered with a page for people.
    Page,
    /// What has come cannot be read; what it was.
    Garbled(&'static str),
    /// The connection broke in the middle of an answer.
    Cut,
    /// An answer has fallen silent.
    IdleElapsed,
    /// An answer has ended without saying why.
    Early,
}

const SOON: Duration = Duration::from_secs(1);

impl Trouble {
    /// What people are told who have asked this model. It names no address.
    pub fn error(self, model: &str) -> PipeError {
        match self {
            Self::Resting { wait, cause } => PipeError::Unavailable {
                message: format!(
                    "the upstream of `{model}` has failed again and again (the last time, {}): try again in {} s",
                    cause.cause(),
                    wait.as_secs_f64().ceil()
                ),
                retry_after: Some(wait),
            },
            Self::Full => PipeError::Unavailable {
                message: format!(
                    "the upstream of `{model}` has as many chats under way as it may have: try again in a moment"
                ),
                retry_after: Some(SOON),
            },
            Self::Unreachable { late: true } => PipeError::Timeout(format!(
                "the upstream of `{model}` cannot be reached: there was no connection in time"
            )),
            Self::Unreachable { late: false } => {
                PipeError::Upstream(format!("the upstream of `{model}` cannot be reached"))
            }
            Self::Late => PipeError::Timeout(format!(
                "the upstream of `{model}` did not begin to answer in time"
            )),
            Self::Broken => PipeError::Upstream(format!(
                "the upstream of `{model}` broke the connection off before it answered"
            )),
            Self::Said(complaint) => of_complaint(&complaint, model),
            Self::Page => PipeError::Upstream(format!(
                "the upstream of `{model}` answered with a web page: check that its address is that of its API, mostly with `/v1` at the end"
            )),
            Self::Garbled(what) => PipeError::Upstream(format!(
                "the answer of `{model}`'s upstream cannot be read: {what}"
            )),
            Self::Cut => PipeError::Upstream(format!(
                "the answer of `{model}` ended early: its upstream broke the connection off"
            )),
            Self::IdleElapsed => PipeError::Timeout(format!(
                "`{model}` has fallen silent in the middle of its answer"
            )),
            Self::Early => PipeError::Upstream(format!(
                "the answer of `{model}` ended early: its upstream did not say that it is whole"
            )),
        }
    }

    /// Whether another model might answer where this one does not.
    pub fn passes_on(&self) -> bool {
        match self {
            Self::Said(complaint) => match complaint.status {
                401..=404 | 408 | 424 | 425 | 429 => true,
                400..=499 => false,
                _ => true,
            },
            _ => true,
        }
    }

    /// What the server says, if it says something.
    pub(crate) fn complaint(&self) -> Option<&Complaint> {
        match self {
            Self::Said(complaint) => Some(complaint),
            _ => None,
        }
    }

    pub(crate) fn of_connection(error: &ConnectionError) -> Self {
        match (error.is_connect(), error.is_timeout()) {
            (true, late) => Self::Unreachable { late },
            (false, true) => Self::Late,
            (false, false) => Self::Broken,
        }
    }
}

fn of_complaint(complaint: &Complaint, model: &str) -> PipeError {
    let quoted = complaint.quoted();
    match complaint.status {
        // What is said here may hold the key.
        401 => PipeError::Credentials(format!(
            "the upstream of `{model}` does not accept the API key: check the key in the valves"
        )),
        403 => {
            PipeError::Denied(format!("the upstream of `{model}` does not allow this: {quoted}"))
        }
        404 => PipeError::ModelGone { model: model.into(), reason: quoted },
        408 | 504 => PipeError::Timeout(format!("`{model}` took too long to answer: {quoted}")),
        409 => PipeError::Conflict(quoted),
        429 => PipeError::Throttled {
            message: format!("the upstream limits `{model}`: {quoted}"),
            retry_after: complaint.retry_after,
        },
        status @ (402 | 413) => PipeError::Refused {
            status,
            message: format!("the upstream of `{model}` refuses the request: {quoted}"),
            retry_after: None,
        },
        400..=499 => PipeError::BadRequest {
            message: format!("the upstream of `{model}` refuses the request: {quoted}"),
            param: complaint.param.clone(),
            code: complaint.is_about_length().then_some("context_length_exceeded"),
        },
        503 | 529 => PipeError::Unavailable {
            message: format!("the upstream of `{model}` is not available: {quoted}"),
            retry_after: complaint.retry_after,
        },
        300..=399 => PipeError::Upstream(format!(
            "the upstream of `{model}` points to another address: enter that one in the valves"
        )),
        _ => PipeError::Upstream(format!("the upstream of `{model}` failed: {quoted}")),
    }
}

impl resilience::Classify for Trouble {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Resting { .. } | Self::Full => Verdict::fine(),
            Self::Unreachable { .. } => Verdict::failed(FailureKind::Connect).again(),
            Self::Late => Verdict::failed(FailureKind::Timeout),
            Self::Broken => Verdict::failed(FailureKind::Broken).again(),
            Self::Said(complaint) => complaint.verdict(),
            Self::Page | Self::Garbled(_) => Verdict::failed(FailureKind::Protocol),
            Self::Cut | Self::Early => Verdict::failed(FailureKind::Cut),
            Self::IdleElapsed => Verdict::failed(FailureKind::IdleTimeout),
        }
    }
}

impl From<FirstByteElapsed> for Trouble {
    fn from(_: FirstByteElapsed) -> Self {
        Self::Late
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

    fn said(status: u16, code: &str, message: &str) -> Trouble {
        let (code, message) = (code.into(), message.into());
        Trouble::Said(Complaint { status, code, message, ..Complaint::default() })
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
            let error = format!("{:?}", said(status, "", "words").error("m"));
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
            let error = said(400, code, words).error("m");
            assert!(matches!(
                error,
                PipeError::BadRequest { code: Some("context_length_exceeded"), .. }
            ));
        }
    }

    #[test]
    fn a_quota_that_is_used_up_is_not_asked_for_again() {
        assert!(said(429, "", "slow down").verdict().again);
        assert!(!said(429, "insufficient_quota", "check your plan").verdict().again);
    }

    #[test]
    fn a_key_that_is_not_accepted_is_not_quoted() {
        let error = said(401, "", "Incorrect API key provided: sk-hunter2").error("m");
        assert!(!error.to_string().contains("hunter2"));
    }
}
