//! Errors of workers and of their environments.

use pipe_sdk::{PipeError, ValveError};
use std::{io, time::Duration};

/// The reason why a Python pipeline does not answer.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// No Python can be started.
    #[error(
        "no usable Python was found: {0}; install Python 3.9 or later, or set PYTHON_PIPELINES_PYTHON to its path"
    )]
    NoInterpreter(String),
    /// The packages of the file cannot be installed.
    #[error("its requirements cannot be installed: {0}")]
    Install(String),
    /// The process cannot be started.
    #[error("its process cannot be started: {0}")]
    Spawn(#[source] io::Error),
    /// The process has ended.
    #[error("its process has ended ({0})")]
    Exited(String),
    /// The process sent something that is not in the protocol.
    #[error("its process broke the protocol: {0}")]
    Protocol(String),
    /// The file did not answer in time.
    #[error("it did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The file raised an exception.
    #[error("{message}")]
    Exception {
        /// The exception's text.
        message: String,
        /// The name of its class.
        class: String,
    },
    /// The file rejected valves.
    #[error("{}", ValveError::join(.0))]
    Valves(Vec<ValveError>),
}

impl WorkerError {
    /// Returns the error for the person who chats with this pipeline.
    pub fn into_pipe_error(self, pipe: &str) -> PipeError {
        let message = format!("the Python pipeline `{pipe}` has failed: {self}");
        match self {
            Self::Exception { message, .. } => {
                PipeError::Refused { status: 500, message, retry_after: None }
            }
            Self::Valves(violations) => PipeError::BadValves(violations),
            Self::Timeout(_) => PipeError::Timeout(message),
            Self::Exited(_) | Self::Protocol(_) => PipeError::Upstream(message),
            Self::NoInterpreter(_) | Self::Install(_) | Self::Spawn(_) => {
                PipeError::Unavailable { message, retry_after: None }
            }
        }
    }
}
