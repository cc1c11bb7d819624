//! Explains why a region's models cannot be listed, for readers of the model list.

use super::geography::doubt_region;
use crate::error::{METADATA_ADDRESS_ADVICE, missing_credentials, unavailable_credentials};
use bedrock_runtime::{SendError, ServiceError};
use pipe_sdk::PipeError;
use std::time::Duration;

/// The time after which a client may try again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The reason why a list call failed, and the remedy.
#[derive(Clone, Debug, PartialEq)]
pub struct ListError {
    /// A code for programs: AWS's, or one of ours.
    pub code: String,
    /// A message for people, without a full stop.
    pub message: String,
    kind: ListErrorKind,
}

/// The kind of a list error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ListErrorKind {
    Credentials,
    AccessDenied,
    Upstream,
    /// The first answer has not arrived yet.
    Loading,
}

impl ListError {
    /// Creates the error of a list that has not arrived yet.
    pub fn for_pending_list() -> Self {
        let message = "AWS has not said yet which models there are: reload in a moment".into();
        Self { code: "Loading".into(), message, kind: ListErrorKind::Loading }
    }

    /// Creates the error of a call of this IAM action in this region.
    pub fn new(error: SendError, action: &str, region: &str) -> Self {
        let (kind, code, message) = match error {
            SendError::NoCredentials => {
                (ListErrorKind::Credentials, "NoCredentials".into(), missing_credentials().into())
            }
            SendError::CredentialsUnavailable(fault) => (
                ListErrorKind::Credentials,
                "CredentialsUnavailable".into(),
                unavailable_credentials(fault),
            ),
            SendError::Timeout => {
                (ListErrorKind::Upstream, "Timeout".into(), "AWS did not answer in time".into())
            }
            SendError::Unreachable => {
                let words = "AWS cannot be reached: check the network and the region's name";
                let doubt = doubt_region(region).map(|doubt| format!("{doubt}, and "));
                let message = doubt.unwrap_or_default() + words;
                (ListErrorKind::Upstream, "Unreachable".into(), message)
            }
            SendError::MetadataAddress => {
                (ListErrorKind::Upstream, "LinkLocalAddress".into(), METADATA_ADDRESS_ADVICE.into())
            }
            SendError::Service(error) => classify(&error, action),
        };
        Self { code, message, kind }
    }

    /// Returns whether the cause may pass without anyone's doing.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ListErrorKind::Upstream | ListErrorKind::Loading)
    }

    /// Returns the error of a request for a model that may be in the missing list.
    pub fn to_lookup_error(&self, region: Option<&str>) -> PipeError {
        match self.to_pipe_error(region) {
            PipeError::Upstream(message) => {
                PipeError::Unavailable { message, retry_after: Some(RETRY_AFTER) }
            }
            error => error,
        }
    }

    /// Returns the sentence that reports the missing list, without a full stop.
    pub fn describe(&self, region: Option<&str>) -> String {
        let region = region.map_or_else(String::new, |region| format!(" in {region}"));
        format!("Amazon Bedrock's models{region} cannot be listed: {}", self.message)
    }

    /// Returns the error of a chat with the entry that is shown for a missing list.
    pub fn to_pipe_error(&self, region: Option<&str>) -> PipeError {
        let message = self.describe(region);
        match self.kind {
            ListErrorKind::Credentials => PipeError::Credentials(message),
            ListErrorKind::AccessDenied => PipeError::Denied(message),
            ListErrorKind::Upstream => PipeError::Upstream(message),
            ListErrorKind::Loading => {
                PipeError::Unavailable { message, retry_after: Some(RETRY_AFTER) }
            }
        }
    }
}

/// Returns the kind of a service's error, the sentence for the admin, and the sentence for the log.
fn classify(error: &ServiceError, action: &str) -> (ListErrorKind, String, String) {
    let code = match error.code.as_str() {
        "" => format!("status {}", error.status),
        code => code.into(),
    };
    if error.is_credentials_error() {
        let message = format!(
            "AWS does not accept the credentials ({code}): renew them, or check the clock of this machine"
        );
        return (ListErrorKind::Credentials, code, message);
    }
    match (error.code.as_str(), error.status) {
        ("AccessDeniedException", _) | (_, 401 | 403) => {
            (ListErrorKind::AccessDenied, code, format!("access denied: allow {action}"))
        }
        ("ThrottlingException", _) | (_, 429) => {
            (ListErrorKind::Upstream, code, "AWS throttles the call; it is repeated soon".into())
        }
        _ => {
            let message = format!("AWS answered with {code}");
            (ListErrorKind::Upstream, code, message)
        }
    }
}
