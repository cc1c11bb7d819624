//! Finds out who sent a request: the API key, the user and the address.

use super::key_name::KeyName;
use actix_web::{HttpMessage, HttpRequest};
use pipe_sdk::{CallContext, CallerId};
use std::{net::IpAddr, sync::Arc};

/// The sender of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The name of the API key; `None` for the host's own key.
    pub key: Option<Arc<str>>,
    /// The user, or else the key or the address.
    pub caller: CallerId,
}

impl Sender {
    /// Returns the sender of a request without a key.
    pub fn from_address(address: Option<IpAddr>) -> Self {
        Self { key: None, caller: CallContext::default().with_peer(address).caller() }
    }
}

/// Returns the name of a request's API key; `None` for the host's own key.
pub fn key_name(request: &HttpRequest) -> Option<Arc<str>> {
    request.extensions().get::<KeyName>().map(|KeyName(name)| Arc::clone(name))
}
