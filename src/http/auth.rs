//! API keys, and the rules for whoever sends one.
//!
//! The host's own key gives access to everything, and its holder is trusted to name the user. Named
//! keys give access to the models only, and the user of a request is the key's name.

use super::{
    bad_keys::BadKeys,
    caller::{HostNames, TrustedProxies},
    error::HttpError,
    key_name::KeyName,
    route::Access,
};
use actix_web::{
    HttpRequest,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
};
use anyhow::{bail, ensure};
use sha2::{Digest, Sha256};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Instant,
};
use subtle::ConstantTimeEq;

/// The default API key of Open WebUI's Pipelines server. It is public, so it grants access only on
/// loopback.
pub const DEFAULT_KEY: &str = "0p3n-w3bu!";

/// The host's keys, kept as digests.
pub struct Keys {
    own: [u8; 32],
    is_default: bool,
    named: Vec<(Arc<str>, [u8; 32])>,
}

/// The facts about a request's sender beside the key.
pub struct Callers {
    /// True if the default key opens anything: the operator allowed it, or only this machine can
    /// connect.
    opens_by_default: bool,
    proxies: TrustedProxies,
    names: HostNames,
    bad_keys: BadKeys,
}

/// The refusal of a request with a bad key.
pub struct RefusedKey {
    /// The error for the client.
    pub error: HttpError,
    /// `true` if a line is logged of the request; of a flood of bad keys, none is.
    pub is_logged: bool,
}

/// The sender of a request.
pub struct Caller {
    /// The address; `None` for the clients of a Lambda function, whose peer is the runtime.
    address: Option<IpAddr>,
    /// True if the request's `Host` is a name of this host.
    knows_name: bool,
    opens_by_default: bool,
}

impl Callers {
    /// Creates the rules: `opens_by_default` if the default key opens anything, the proxies whose
    /// headers are believed, the names of this host, and the limit on wrong keys in a minute.
    pub fn new(
        opens_by_default: bool,
        proxies: TrustedProxies,
        names: HostNames,
        bad_keys_per_minute: u32,
    ) -> Self {
        let bad_keys = BadKeys::with_limit(bad_keys_per_minute);
        Self { opens_by_default, proxies, names, bad_keys }
    }

    /// Returns whether the default key is accepted.
    pub fn opens_by_default(&self) -> bool {
        self.opens_by_default
    }

    /// Returns the address of the client, which proxies that the operator trusts may name in a
    /// header; `None` for the clients of a Lambda function, because the peer is the runtime and not
    /// the client.
    pub fn address(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer.filter(|_| !headers.contains_key(lambda_adapter::CONTEXT_HEADER));
        peer.map(|peer| self.proxies.client(peer, headers))
    }

    /// Returns the caller of a request: its address and its host.
    pub fn identify(&self, request: &HttpRequest) -> Caller {
        let headers = request.headers();
        let peer = request.peer_addr().map(|peer| peer.ip());
        Caller {
            address: self.address(peer, headers),
            knows_name: self.names.allows(headers),
            opens_by_default: self.opens_by_default,
        }
    }

    /// Records a bad key, and returns the error: 401, or 429 after too many of them. A good key is
    /// never refused, as others may share the address.
    pub fn refuse(&self, error: HttpError, caller: &Caller) -> RefusedKey {
        let from = caller.address.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let verdict = self.bad_keys.record(from, Instant::now());
        let is_logged = verdict.is_logged;
        if verdict.is_first {
            tracing::warn!(
                client.address = %from,
                "Too many bad keys come from {from}: for a minute they get 429, and are not logged one by one."
            );
        }
        let Some(wait) = verdict.retry_after else { return RefusedKey { error, is_logged } };
        let message = "Too many requests with a missing or wrong API key came from this address: correct the key";
        let error =
            HttpError::new(StatusCode::TOO_MANY_REQUESTS, message).code("rate_limit_exceeded");
        RefusedKey { error: error.retry_after(Some(wait)), is_logged }
    }
}

impl Keys {
    /// Creates the keys: the host's own, and named ones, as in `ci=secret,alice=other`.
    ///
    /// # Errors
    /// Returns an error if two named keys are equal; no key is shown.
    pub fn new(own: &str, named: Option<&str>) -> anyhow::Result<Self> {
        let mut keys = Self { own: digest(own), is_default: own == DEFAULT_KEY, named: Vec::new() };
        let entries = named.unwrap_or_default().split(',').map(str::trim);
        for (place, entry) in entries.filter(|entry| !entry.is_empty()).enumerate() {
            let Some((name, key)) = entry.split_once('=') else {
                bail!("PIPELINES_API_KEYS: entry {} is not `name=key`", place + 1);
            };
            let (name, key) = (name.trim(), digest(key.trim()));
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
            let fits = !name.is_empty() && name.len() <= 64 && name.bytes().all(is_name);
            ensure!(
                fits,
                "PIPELINES_API_KEYS: the name of entry {} must be made of at most 64 letters, digits, `.`, `_`, `-` and `@`",
                place + 1
            );
            let is_taken =
                key == keys.own || keys.named.iter().any(|(n, k)| **n == *name || *k == key);
            ensure!(
                !is_taken && key != digest(""),
                "PIPELINES_API_KEYS: `{name}` needs a name and a key that no other has"
            );
            keys.named.push((name.into(), key));
        }
        Ok(keys)
    }

    /// Returns whether the host's own key is the default one.
    pub fn is_default(&self) -> bool {
        self.is_default
    }

    /// Returns the name of the key, if it is one of the host's. Digests are compared in constant
    /// time, so that the time tells nothing about a key.
    fn opened_by(&self, key: &str) -> Option<Option<&Arc<str>>> {
        let sent = digest(key);
        let is = |digest: &[u8; 32]| bool::from(sent.ct_eq(digest));
        let mut found = is(&self.own).then_some(None);
        for (name, digest) in &self.named {
            if is(digest) {
                found = Some(Some(name));
            }
        }
        found
    }

    /// Returns whether the host's own key is the default one, and opens the host to this caller.
    pub fn is_default_for(&self, caller: &Caller) -> bool {
        self.is_default && caller.check_default_key().is_ok()
    }

    /// Checks the key of a request, and returns its name.
    pub fn check(
        &self,
        headers: &HeaderMap,
        caller: &Caller,
        access: Access,
    ) -> Result<Option<KeyName>, HttpError> {
        let mut keys = sent_keys(headers).peekable();
        let refused = |message: &str| {
            HttpError::new(StatusCode::UNAUTHORIZED, message).code("invalid_api_key")
        };
        if keys.peek().is_none() {
            return Err(refused(
                "Not authenticated: send the API key as a bearer, or as `x-api-key`",
            ));
        }
        match keys.find_map(|key| self.opened_by(key)) {
            None => Err(refused("Invalid API key")),
            Some(Some(_)) if access == Access::Admin => Err(HttpError::new(
                StatusCode::FORBIDDEN,
                "This key opens the models only: use the host's own key",
            )),
            Some(Some(name)) => Ok(Some(KeyName(Arc::clone(name)))),
            Some(None) if self.is_default => caller.check_default_key().map_err(refused),
            Some(None) => Ok(None),
        }
    }
}

impl Caller {
    /// Says why the key that everybody knows does not open, if it does not.
    fn check_default_key(&self) -> Result<Option<KeyName>, &'static str> {
        if !self.opens_by_default {
            return Err(
                "The default key opens only a host that listens on loopback: set PIPELINES_API_KEY to a key of your own, or start \
                 it with --allow-default-key",
            );
        }
        if !self.address.is_some_and(is_private) {
            return Err(
                "The default key opens only to private addresses: set PIPELINES_API_KEY to a key of your own",
            );
        }
        if !self.knows_name {
            return Err(
                "The default key opens only by an address, localhost or a name of --host-names (HOST_NAMES): ask for the host by one \
                 of those, or set PIPELINES_API_KEY to a key of your own",
            );
        }
        Ok(None)
    }
}

/// Returns the SHA-256 of a key.
fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Returns the keys of a request: OpenAI's clients send a bearer token, Anthropic's a header of
/// their own, and some send both.
fn sent_keys(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let own = text("x-api-key").map(str::trim).filter(|key| !key.is_empty());
    text(header::AUTHORIZATION.as_str()).and_then(bearer).into_iter().chain(own)
}

/// Returns the key of a header `Authorization: Bearer KEY`.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

fn is_private(peer: IpAddr) -> bool {
    match peer.to_canonical() {
        IpAddr::V4(peer) => peer.is_loopback() || peer.is_private() || peer.is_link_local(),
        IpAddr::V6(peer) => {
            peer.is_loopback() || peer.is_unique_local() || peer.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{ResponseError, test::TestRequest};

    fn caller(peer: &str) -> Caller {
        Caller { address: peer.parse().ok(), knows_name: true, opens_by_default: true }
    }

    fn status(key: &str, authorization: Option<&str>, peer: &str) -> u16 {
        let headers = authorization.map(|value| ("authorization", value));
        answered(key, headers.as_slice(), peer)
    }

    fn answered(key: &str, headers: &[(&str, &str)], peer: &str) -> u16 {
        let request = TestRequest::default();
        let request =
            headers.iter().fold(request, |request, header| request.insert_header(*header));
        let request = request.to_http_request();
        let keys = Keys::new(key, Some("ci=theirs")).unwrap();
        let caller = caller(peer);
        let checked = keys.check(request.headers(), &caller, Access::Admin);
        checked.map_or_else(|error| error.status_code().as_u16(), |_| 200)
    }

    #[test]
    fn a_named_key_opens_the_models_and_nothing_else() {
        let keys = Keys::new("mine", Some(" ci = theirs ,alice=hers,")).unwrap();
        let request = TestRequest::default().insert_header(("authorization", "Bearer theirs"));
        let request = request.to_http_request();
        let nobody = caller("");
        let name = |access| keys.check(request.headers(), &nobody, access);
        assert_eq!(&*name(Access::Models).unwrap().unwrap().0, "ci");
        assert_eq!(name(Access::Admin).err().unwrap().status_code(), 403);
    }

    #[test]
    fn named_keys_that_cannot_be_told_apart_are_refused_without_being_shown() {
        for named in [
            "s3cret",
            "a b=s3cret",
            "=s3cret",
            "a=mine",
            "a=s3cret,a=other",
            "a=s3cret,b=s3cret",
            "a=",
        ] {
            let error = Keys::new("mine", Some(named)).err().unwrap().to_string();
            assert!(error.contains("PIPELINES_API_KEYS") && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_key_of_ones_own_opens_to_everybody_who_sends_it() {
        assert_eq!(status("mine", Some("Bearer mine"), "203.0.113.9"), 200);
        assert_eq!(status("mine", Some("bearer mine"), "203.0.113.9"), 200);
        assert_eq!(status("mine", Some("Bearer other"), "127.0.0.1"), 401);
        for missing in [None, Some("Bearer "), Some("Basic mine"), Some("mine")] {
            assert_eq!(status("mine", missing, "127.0.0.1"), 401, "{missing:?}");
        }
    }

    #[test]
    fn the_key_may_stand_in_either_header_or_in_both() {
        let (bearer, own) = (("authorization", "Bearer mine"), ("x-api-key", "mine"));
        for (headers, status) in [
            (&[own][..], 200),
            (&[bearer, own], 200),
            (&[("authorization", "Bearer other"), own], 200),
            (&[bearer, ("x-api-key", "other")], 200),
            (&[("x-api-key", "other")], 401),
            (&[("x-api-key", " ")], 401),
        ] {
            assert_eq!(answered("mine", headers, "203.0.113.9"), status, "{headers:?}");
        }
        assert_eq!(answered(DEFAULT_KEY, &[("x-api-key", DEFAULT_KEY)], "203.0.113.9"), 401);
    }

    #[test]
    fn the_default_key_opens_only_to_private_peers() {
        let header = Some("Bearer 0p3n-w3bu!");
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.18.0.5",
            "192.168.0.9",
            "::1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(status(DEFAULT_KEY, header, private), 200, "{private}");
        }
        for public in ["203.0.113.9", "8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert_eq!(status(DEFAULT_KEY, header, public), 401, "{public}");
        }
    }
}
