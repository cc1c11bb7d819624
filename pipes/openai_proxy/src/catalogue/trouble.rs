//! Why an upstream's models cannot be listed, in words for whoever reads the model list.

use crate::ways::Way;
use openai_client::Trouble;
use pipe_sdk::PipeError;
use std::time::Duration;

/// Why an upstream's models cannot be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// There is no key, and without one there is nothing.
    NoKey,
    /// There is a key, but not a good one.
    BadKey,
    /// There is no connection, or no answer.
    Unreachable,
    /// What answers is no such API.
    Page,
    /// It tells nobody which models there are.
    NoList,
    /// It has failed.
    Failing,
    /// It has not said anything yet.
    Loading,
}

const SOON: Duration = Duration::from_secs(5);

impl Gap {
    /// What the trouble of listing means.
    pub fn of(trouble: &Trouble, way: &Way) -> Self {
        match trouble {
            Trouble::Said(said) if matches!(said.status, 401 | 403) => {
                if way.credentials.key.is_set() { Self::BadKey } else { Self::NoKey }
            }
            Trouble::Said(said) if (300..400).contains(&said.status) => Self::Page,
            Trouble::Page | Trouble::Garbled(_) => Self::Page,
            Trouble::Unreachable { .. } | Trouble::Late | Trouble::Broken => Self::Unreachable,
            _ => Self::Failing,
        }
    }

    /// Whether there may be models all the same. Without a key there are none, and an upstream that lists nothing fails at nothing.
    pub fn hides_models(self) -> bool {
        !matches!(self, Self::NoKey | Self::NoList)
    }

    /// For people, without a full stop.
    pub fn words(self) -> &'static str {
        match self {
            Self::NoKey => "API key required",
            Self::BadKey => "the API key is not accepted",
            Self::Unreachable => "the upstream cannot be reached",
            Self::Page => "what answers at its address is no OpenAI-compatible API",
            Self::NoList => "the upstream does not list its models: name them in the valves",
            Self::Failing => "the upstream failed to list its models",
            Self::Loading => "the upstream has not listed its models yet: reload in a moment",
        }
    }

    /// The same as the answer to a chat.
    pub fn error(self, way: &Way) -> PipeError {
        let message = format!("{}: {}", way.name(), self.words());
        match self {
            Self::NoKey => PipeError::Credentials(format!(
                "{message}: enter it in the valves of the OpenAI proxy"
            )),
            Self::BadKey => PipeError::Credentials(format!(
                "{message}: enter another in the valves of the OpenAI proxy"
            )),
            Self::Unreachable | Self::Page | Self::Failing => PipeError::Upstream(format!(
                "{message}: check the base URL in the valves of the OpenAI proxy, and whether the upstream runs"
            )),
            Self::NoList => PipeError::bad_field("model", message),
            Self::Loading => PipeError::Unavailable { message, retry_after: Some(SOON) },
        }
    }
}
