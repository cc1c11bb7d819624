//! The error of a request without a response.

use crate::MetadataAddressError;
use std::{error::Error, io};

/// The error of a request that a server sent no response to.
#[derive(Debug)]
pub struct ConnectionError {
    is_connect: bool,
    is_timeout: bool,
    is_metadata_address: bool,
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

    /// Returns whether the host has no other address than that of a cloud's metadata service, which
    /// is not connected to.
    pub fn is_metadata_address(&self) -> bool {
        self.is_metadata_address
    }
}

impl From<reqwest::Error> for ConnectionError {
    fn from(error: reqwest::Error) -> Self {
        Self {
            is_connect: error.is_connect(),
            is_timeout: error.is_timeout(),
            is_metadata_address: MetadataAddressError::is_cause_of(&error),
        }
    }
}

impl From<hyper_util::client::legacy::Error> for ConnectionError {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        Self {
            is_connect: error.is_connect(),
            is_timeout: has_timeout_cause(&error),
            is_metadata_address: MetadataAddressError::is_cause_of(&error),
        }
    }
}

impl From<MetadataAddressError> for ConnectionError {
    fn from(_: MetadataAddressError) -> Self {
        Self { is_connect: true, is_timeout: false, is_metadata_address: true }
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
