//! Finds out who sent a request: the API key, the user and the address.

use super::{State, identity, key_name::KeyName};
use actix_web::{HttpMessage, HttpRequest};
use pipe_sdk::{CallContext, CallerId, User};
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
    /// Returns the sender that the headers of a request tell of.
    pub fn from_request(request: &HttpRequest, state: &State) -> Self {
        let headers = request.headers();
        let user = match &state.user_jwt_verifier {
            // A wrong signature is an error elsewhere.
            Some(verifier) => verifier.user(headers).ok().flatten(),
            None => identity::parse_user(None, headers),
        };
        let context = call_context(request, state, user, None);
        Self { caller: context.caller(), key: context.key }
    }

    /// Returns the sender of a request without a key.
    pub fn from_address(address: Option<IpAddr>) -> Self {
        Self { key: None, caller: CallContext::default().with_peer(address).caller() }
    }
}

/// Returns the context of a call. Only the host's own key may name the user; another key is a user
/// of its own.
pub fn call_context(
    request: &HttpRequest,
    state: &State,
    user: Option<User>,
    task: Option<&str>,
) -> CallContext {
    let context = match key_name(request) {
        None => CallContext::new(user, None, task),
        Some(key) => {
            let name = Some(key.to_string());
            let user = User { id: format!("key:{key}"), name, ..User::default() };
            CallContext::new(Some(user), Some(key), task)
        }
    };
    let peer = request.peer_addr().map(|peer| peer.ip());
    context.with_peer(state.callers.address(peer, request.headers()))
}

/// Returns the name of a request's API key; `None` for the host's own key.
pub fn key_name(request: &HttpRequest) -> Option<Arc<str>> {
    request.extensions().get::<KeyName>().map(|KeyName(name)| Arc::clone(name))
}
