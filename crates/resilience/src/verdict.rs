//! Classifies the errors of upstreams.

use std::time::Duration;

/// An error that classifies itself.
pub trait Classify {
    /// Classifies the error.
    fn verdict(&self) -> Verdict;
}

/// The classification of an error: the kind of failure, and whether a retry may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The kind of failure; `None` if the upstream worked, and the request was at fault.
    pub kind: Option<FailureKind>,
    /// `true` if the same request may succeed in a moment.
    pub is_retryable: bool,
    /// The wait that the upstream asks for, as in `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The suspected source of a failure, where it is not the usual one of its kind.
    pub failure_source: Option<FailureSource>,
}

/// The suspected source of a failure. A prompt that makes a model fail must not close the model to
/// everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureSource {
    /// The upstream: it reports that it is not available, or it cannot be reached.
    Upstream,
    /// The upstream or the request.
    Either,
    /// Just as likely the request: it took too long, or its answer broke off. It says nothing about
    /// the upstream until other callers see the same.
    Request,
}

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// There was no connection.
    Connect,
    /// No answer began in time.
    Timeout,
    /// The connection broke before an answer began.
    ConnectionLost,
    /// The upstream is overloaded or limits our rate. That is no failure to the circuit breaker:
    /// the upstream answers, and says when to retry.
    Throttled,
    /// The upstream reported a failure.
    Server,
    /// The upstream broke the protocol.
    Protocol,
    /// An answer broke off.
    Truncated,
    /// An answer fell silent.
    IdleTimeout,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Connect,
        Self::Timeout,
        Self::ConnectionLost,
        Self::Throttled,
        Self::Server,
        Self::Protocol,
        Self::Truncated,
        Self::IdleTimeout,
    ];

    /// Returns its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::ConnectionLost => "broken",
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::Protocol => "protocol",
            Self::Truncated => "cut",
            Self::IdleTimeout => "idle",
        }
    }

    /// Returns the cause in words for error messages: "the last time, …".
    pub fn cause(self) -> &'static str {
        match self {
            Self::Connect => "it could not be reached",
            Self::Timeout => "it did not answer in time",
            Self::ConnectionLost => "it broke the connection off before it answered",
            Self::Throttled => "it had too much to do",
            Self::Server => "it said that it has failed",
            Self::Protocol => "its answer could not be read",
            Self::Truncated => "its answer broke off",
            Self::IdleTimeout => "its answer fell silent",
        }
    }

    /// Returns the usual cause of a failure of this kind.
    fn failure_source(self) -> FailureSource {
        match self {
            Self::Connect => FailureSource::Upstream,
            Self::Server | Self::Protocol | Self::ConnectionLost | Self::Throttled => {
                FailureSource::Either
            }
            Self::Timeout | Self::Truncated | Self::IdleTimeout => FailureSource::Request,
        }
    }
}

impl Verdict {
    /// Returns the verdict for an upstream that worked: any fault was the request's.
    pub fn success() -> Self {
        Self { kind: None, is_retryable: false, retry_after: None, failure_source: None }
    }

    /// Returns the verdict for a failure of this kind.
    pub fn failure(kind: FailureKind) -> Self {
        Self { kind: Some(kind), ..Self::success() }
    }

    /// Returns the same verdict for a request that may succeed in a moment.
    #[must_use]
    pub fn retryable(self) -> Self {
        Self { is_retryable: true, ..self }
    }

    /// Returns the same verdict with the wait that the upstream asks for.
    #[must_use]
    pub fn with_retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }

    /// Returns the same verdict with another suspected cause.
    #[must_use]
    pub fn with_failure_source(self, failure_source: FailureSource) -> Self {
        Self { failure_source: Some(failure_source), ..self }
    }

    /// Returns the suspected cause of the failure.
    pub fn failure_source(&self) -> FailureSource {
        self.failure_source
            .or(self.kind.map(FailureKind::failure_source))
            .unwrap_or(FailureSource::Request)
    }
}
