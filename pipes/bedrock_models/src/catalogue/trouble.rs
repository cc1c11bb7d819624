//! Why a region's models cannot be listed, in words for whoever reads the model list.

use crate::error::{LOST_CREDENTIALS, NO_CREDENTIALS, SendError, ServiceError};
use pipe_sdk::PipeError;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

/// What went wrong, and what to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// A word for programs: AWS's code, or ours.
    pub code: String,
    /// For people, without a full stop.
    pub words: String,
    kind: Kind,
}

/// Who can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Credentials,
    Denied,
    Upstream,
    /// Time will.
    Nobody,
}

impl Trouble {
    /// No region has answered yet.
    pub fn loading() -> Self {
        let words = "AWS has not said yet which models there are: reload in a moment".into();
        Self { code: "Loading".into(), words, kind: Kind::Nobody }
    }

    /// Why this action failed.
    pub fn new(failure: SendError, action: &str) -> Self {
        let (kind, code, words) = match failure {
            SendError::NoCredentials => {
                (Kind::Credentials, "NoCredentials".into(), NO_CREDENTIALS.into())
            }
            SendError::LostCredentials => {
                (Kind::Credentials, "LostCredentials".into(), LOST_CREDENTIALS.into())
            }
            SendError::Timeout => {
                (Kind::Upstream, "Timeout".into(), "AWS did not answer in time".into())
            }
            SendError::Unreachable => (
                Kind::Upstream,
                "Unreachable".into(),
                "AWS cannot be reached: check the network and the region's name".into(),
            ),
            SendError::Said(complaint) => said(&complaint, action),
        };
        Self { code, words, kind }
    }

    /// Whether it may be over soon, without anybody's doing.
    pub fn is_passing(&self) -> bool {
        matches!(self.kind, Kind::Upstream | Kind::Nobody)
    }

    /// The same, as an answer to a chat with a model that may be there.
    pub fn lookup_error(&self, region: Option<&str>) -> PipeError {
        match self.error(region) {
            PipeError::Upstream(message) => {
                PipeError::Unavailable { message, retry_after: Some(SOON) }
            }
            error => error,
        }
    }

    /// The same, as an answer to a chat.
    pub fn error(&self, region: Option<&str>) -> PipeError {
        let region = region.map_or_else(String::new, |region| format!(" in {region}"));
        let words = format!("Amazon Bedrock's models{region} cannot be listed: {}", self.words);
        match self.kind {
            Kind::Credentials => PipeError::Credentials(words),
            Kind::Denied => PipeError::Denied(words),
            Kind::Upstream => PipeError::Upstream(words),
            Kind::Nobody => PipeError::Unavailable { message: words, retry_after: Some(SOON) },
        }
    }
}

fn said(complaint: &ServiceError, action: &str) -> (Kind, String, String) {
    let code = match complaint.code.as_str() {
        "" => format!("status {}", complaint.status),
        code => code.into(),
    };
    if complaint.is_about_credentials() {
        let words = format!(
            "AWS does not accept the credentials ({code}): renew them, or check the clock of this machine"
        );
        return (Kind::Credentials, code, words);
    }
    match (complaint.code.as_str(), complaint.status) {
        ("AccessDeniedException", _) | (_, 401 | 403) => {
            (Kind::Denied, code, format!("access denied: allow {action}"))
        }
        ("ThrottlingException", _) | (_, 429) => {
            (Kind::Upstream, code, "AWS is too busy; it is asked again soon".into())
        }
        _ => {
            let words = format!("AWS answered with {code}");
            (Kind::Upstream, code, words)
        }
    }
}
