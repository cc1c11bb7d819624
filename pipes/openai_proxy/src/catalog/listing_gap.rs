//! The reason why the models of an upstream cannot be listed.

use crate::valves::UpstreamConfig;
use openai_client::OpenAiError;
use pipe_sdk::PipeError;
use std::time::Duration;

/// The reason why the models of an upstream cannot be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListingGap {
    /// The upstream needs a key, and none is set.
    NoKey,
    /// The upstream does not accept the key.
    BadKey,
    /// There is no connection, or no answer.
    Unreachable,
    /// The upstream is at a link-local address, which is not connected to.
    MetadataAddress,
    /// The server at the address is not an OpenAI-compatible API.
    NotAnApi,
    /// The upstream has no route that lists models.
    NoList,
    /// The upstream failed.
    Failing,
    /// The first answer is not there yet.
    Loading,
}

/// The time after which a client may try again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl ListingGap {
    /// Returns the gap that this error of listing leaves.
    pub fn from_error(error: &OpenAiError, config: &UpstreamConfig) -> Self {
        match error {
            OpenAiError::Api(error) if matches!(error.status, 401 | 403) => {
                if config.credentials.key.is_set() { Self::BadKey } else { Self::NoKey }
            }
            OpenAiError::Api(error) if (300..400).contains(&error.status) => Self::NotAnApi,
            OpenAiError::HtmlPage | OpenAiError::InvalidResponse(_) => Self::NotAnApi,
            OpenAiError::MetadataAddress => Self::MetadataAddress,
            OpenAiError::Unreachable { .. }
            | OpenAiError::FirstByteTimeout
            | OpenAiError::ConnectionLost => Self::Unreachable,
            _ => Self::Failing,
        }
    }

    /// Returns whether the upstream may have models all the same.
    pub fn hides_models(self) -> bool {
        !matches!(self, Self::NoKey | Self::NoList)
    }

    /// Returns the text for people, without a full stop.
    pub fn message(self) -> &'static str {
        match self {
            Self::NoKey => "API key required",
            Self::BadKey => "the API key is not accepted",
            Self::Unreachable => "the upstream cannot be reached",
            Self::MetadataAddress => {
                "the upstream has a link-local address, which is not connected to because clouds keep their secrets there"
            }
            Self::NotAnApi => "what answers at its address is no OpenAI-compatible API",
            Self::NoList => "the upstream does not list its models: name them in the valves",
            Self::Failing => "the upstream failed to list its models",
            Self::Loading => "the upstream has not listed its models yet: reload in a moment",
        }
    }

    /// Returns the error of a chat with a model of this upstream.
    pub fn to_pipe_error(self, config: &UpstreamConfig) -> PipeError {
        let message = format!("{}: {}", config.name(), self.message());
        match self {
            Self::NoKey => PipeError::Credentials(format!(
                "{message}: enter it in the valves of the OpenAI proxy"
            )),
            Self::BadKey => PipeError::Credentials(format!(
                "{message}: enter another in the valves of the OpenAI proxy"
            )),
            Self::Unreachable | Self::NotAnApi | Self::Failing => PipeError::Upstream(format!(
                "{message}: check the base URL in the valves of the OpenAI proxy, and whether the upstream runs"
            )),
            Self::MetadataAddress => PipeError::Upstream(format!(
                "{message}: enter another in the valves of the OpenAI proxy"
            )),
            Self::NoList => PipeError::bad_field("model", message),
            Self::Loading => PipeError::Unavailable { message, retry_after: Some(RETRY_AFTER) },
        }
    }
}
