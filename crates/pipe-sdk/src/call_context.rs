//! The context of a call: its user, its key, and the pipes that it has passed through.

use crate::{Admission, CallerId, Side, TraceContext, User};
use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The context of a call: its user, its key, and the pipes that it has passed through.
///
/// It is passed from model to model, so that limits, costs and access count for the person who
/// started the chat. A clone is cheap, and is the same context.
#[derive(Clone, Debug, Default)]
pub struct CallContext {
    /// The user, if known.
    pub user: Option<Arc<User>>,
    /// The name of the API key that opened the door; `None` for the host's own key.
    pub key: Option<Arc<str>>,
    /// The address that the request came from, where the host knows it.
    pub peer: Option<IpAddr>,
    /// The background task, as named by Open WebUI's server or the host itself.
    pub task: Option<Arc<str>>,
    /// The model that was asked for at the door, where a pipe now asks another.
    pub via: Option<Arc<str>>,
    /// The side of a router that the call is on.
    pub side: Option<Side>,
    /// The call's place in a trace, for requests that are sent on its behalf.
    pub trace: Option<TraceContext>,
    /// The limits from which the request has taken.
    pub admission: Arc<Admission>,
    pub(crate) counted: Arc<AtomicBool>,
}

impl CallContext {
    /// Returns the context of a new request.
    pub fn new(user: Option<User>, key: Option<Arc<str>>, task: Option<&str>) -> Self {
        Self { user: user.map(Arc::new), key, task: task.map(Arc::from), ..Self::default() }
    }

    /// Returns the context of work of the host's own: no user started it, so it passes no filter.
    pub fn for_host(task: Option<&str>) -> Self {
        let admission = Arc::new(Admission::exempt());
        Self { task: task.map(Arc::from), admission, ..Self::default() }
    }

    /// Returns the context of the calls that the pipe behind this model makes.
    #[must_use]
    pub fn child(&self, model: &str) -> Self {
        let via = self.via.clone().or_else(|| Some(model.into()));
        Self { via, counted: Arc::default(), ..self.clone() }
    }

    /// Returns the same context for a further call, for which limits of tokens and dollars are
    /// checked again.
    #[must_use]
    pub fn with_new_admission(&self) -> Self {
        Self { admission: Arc::default(), ..self.clone() }
    }

    /// Returns the same context at this place in a trace.
    #[must_use]
    pub fn with_trace(self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self }
    }

    /// Returns the same context for a request that came from this address.
    #[must_use]
    pub fn with_peer(self, peer: Option<IpAddr>) -> Self {
        Self { peer, ..self }
    }

    /// Returns the caller: the user; without one the key, and without that the address.
    pub fn caller(&self) -> CallerId {
        let user = self.user.as_ref().map(|user| user.id.as_str()).filter(|id| !id.is_empty());
        match (user, &self.key, self.peer) {
            (Some(user), ..) => CallerId::from_name(&("user", user)),
            (None, Some(key), _) => CallerId::from_name(&("key", key)),
            (None, None, Some(peer)) => CallerId::from_name(&("peer", network(peer))),
            (None, None, None) => CallerId::default(),
        }
    }

    /// Keeps that what came of the call has been counted already, by the model that did the work.
    pub fn mark_counted(&self) {
        self.counted.store(true, Ordering::Relaxed);
    }

    /// Returns whether it is counted already.
    pub fn is_counted(&self) -> bool {
        self.counted.load(Ordering::Relaxed)
    }
}

/// Returns the network that represents an address: of IPv6, a subscriber mostly has 64 bits of
/// addresses.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(user: Option<&str>, key: Option<&str>, peer: Option<&str>) -> CallContext {
        let user = user.map(|id| User { id: id.into(), ..User::default() });
        let peer = peer.map(|peer| peer.parse().unwrap());
        CallContext { peer, ..CallContext::new(user, key.map(Arc::from), None) }
    }

    #[test]
    fn a_caller_is_a_user_or_a_key_or_an_address() {
        let caller = |user, key, peer| context(user, key, peer).caller();
        assert_eq!(caller(Some("a"), None, Some("::1")), caller(Some("a"), Some("k"), None));
        assert_ne!(caller(Some("a"), None, None), caller(Some("b"), None, None));
        assert_ne!(caller(Some("a"), None, None), caller(None, Some("a"), None));
        assert_eq!(caller(Some(""), Some("k"), None), caller(None, Some("k"), Some("::1")));
        assert_eq!(caller(None, None, Some("fd00::1:1")), caller(None, None, Some("fd00::2:2")));
        assert_ne!(caller(None, None, Some("10.0.0.1")), caller(None, None, Some("10.0.0.2")));
        assert_eq!(caller(None, None, None), CallerId::default());
    }
}
