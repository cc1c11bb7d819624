//! The error of a request without a response.

use std::{error::Error, io};

/// The error of a request that a server sent no response to.
#[derive(Debug)]
pub struct ConnectionError {
    is_connect: bool,
    is_timeout: bool,
}

impl ConnectionError {
    /// Returns whether no connection to the server was established.
    pub fn is_connect(&self) -> bool {
        self.is_connect
    }

    /// Returns whether a time-out ended the request.
    pub fn is_timeout(&self) -> bool {
        self.is_timeout
    }
}

impl From<reqwest::Error> for ConnectionError {
    fn from(error: reqwest::Error) -> Self {
        Self { is_connect: error.is_connect(), is_timeout: error.is_timeout() }
    }
}

impl From<hyper_util::client::legacy::Error> for ConnectionError {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        Self { is_connect: error.is_connect(), is_timeout: has_timeout_cause(&error) }
    }
}

/// Returns whether the error or one of its sources is a time-out.
fn has_timeout_cause(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}
