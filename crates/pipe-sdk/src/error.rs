//! The errors of pipes, in terms that a pipe can know.

use crate::ValveError;
use std::{error::Error, time::Duration};

/// The code of the error of a model that does not count tokens.
const UNCOUNTED: &str = "not_supported";

/// A result whose error is a [`PipeError`].
pub type Result<T, E = PipeError> = std::result::Result<T, E>;

/// An error of a pipe, for the person who chats or turns valves.
///
/// The host turns each into a status (in brackets) and a body; the pipe never does. Texts name the
/// thing and the way out, and hold no secret, no address of an upstream, and nothing of the chat.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeError {
    /// No such model here. \[404\]
    #[error("model `{0}` was not found")]
    ModelNotFound(String),

    /// The upstream has this model no longer, or not for us. \[404\]
    #[error("model `{model}` was not found: {reason}")]
    ModelGone {
        /// The model.
        model: String,
        /// The reason, in the upstream's words.
        reason: String,
    },

    /// The request cannot be so. \[400\]
    #[error("{message}")]
    BadRequest {
        /// The fault, and what to send instead.
        message: String,
        /// The field, as in `messages[2].content[1]`.
        param: Option<String>,
        /// A word for programs, as in `context_length_exceeded`.
        code: Option<&'static str>,
    },

    /// These valves cannot be so. \[422\]
    #[error("{}", ValveError::join(.0))]
    BadValves(Vec<ValveError>),

    /// A verdict with a status of its own: a filter's, or that of a model's own server. \[as said\]
    #[error("{message}")]
    Refused {
        /// 400–599.
        status: u16,
        /// The reason, for the user.
        message: String,
        /// The time after which a retry makes sense.
        retry_after: Option<Duration>,
    },

    /// The upstream account may not use this. \[403\]
    #[error("{0}")]
    Denied(String),

    /// The upstream is in a state that contradicts the request. \[409\]
    #[error("{0}")]
    Conflict(String),

    /// Too many requests or tokens. \[429\]
    #[error("{message}")]
    Throttled {
        /// The limit, if known.
        message: String,
        /// The time after which a retry makes sense.
        retry_after: Option<Duration>,
    },

    /// The upstream refuses the host's own credentials, or there are none. The caller's key is
    /// fine. \[500\]
    #[error("{0}")]
    Credentials(String),

    /// The upstream answered with a failure, or not in its own protocol. \[502\]
    #[error("{0}")]
    Upstream(String),

    /// The model is being loaded, and will be there soon. \[503\]
    #[error("{message}")]
    NotReady {
        /// The limit.
        message: String,
        /// The time after which a retry makes sense.
        retry_after: Duration,
    },

    /// The model or the host is starting, loading, overloaded or draining. \[503\]
    #[error("{message}")]
    Unavailable {
        /// The part that is not ready.
        message: String,
        /// The time after which a retry makes sense.
        retry_after: Option<Duration>,
    },

    /// The upstream did not answer in time. \[504\]
    #[error("{0}")]
    Timeout(String),

    /// Pipes call each other in a circle. \[508\]
    #[error("the call went through more than {0} pipes: check which models they are set to call")]
    Circle(u8),

    /// A defect. The cause goes to the log, the caller sees a request id. \[500\]
    #[error("internal error")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

impl PipeError {
    /// Returns the kind of error as one word, for metrics and log lines. It quotes no one, while
    /// the message of an error may quote an upstream, and that a prompt.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ModelNotFound(_) | Self::ModelGone { .. } => "model_not_found",
            Self::BadRequest { .. } => "bad_request",
            Self::Refused { .. } => "refused",
            Self::Denied(_) => "denied",
            Self::Conflict(_) => "conflict",
            Self::Throttled { .. } => "throttled",
            Self::Credentials(_) => "credentials",
            Self::Upstream(_) => "upstream",
            Self::NotReady { .. } | Self::Unavailable { .. } => "unavailable",
            Self::Timeout(_) => "timeout",
            Self::Circle(_) => "circle",
            _ => "internal",
        }
    }

    /// Returns a bad request that names no single field.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::BadRequest { message: message.into(), param: None, code: None }
    }

    /// Returns a bad request whose fault is in this field, as in `messages[2].content[1]`.
    pub fn bad_field(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::BadRequest { message: message.into(), param: Some(param.into()), code: None }
    }

    /// Returns the error of a model that does not count tokens.
    pub fn uncounted(model: &str) -> Self {
        let message = format!("model `{model}` does not count tokens: pick one that does");
        Self::BadRequest { message, param: Some("model".into()), code: Some(UNCOUNTED) }
    }

    /// Returns whether the model does not count tokens, so that they can only be estimated.
    pub fn is_uncounted(&self) -> bool {
        matches!(self, Self::BadRequest { code: Some(UNCOUNTED), .. })
    }

    /// Returns the error of a request that the model's own filters, or the provider's, refuse
    /// because of its content.
    pub fn against_policy(message: impl Into<String>) -> Self {
        let code = Some("content_policy_violation");
        Self::BadRequest { message: message.into(), param: None, code }
    }

    /// Returns an internal error with its cause.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }
}
