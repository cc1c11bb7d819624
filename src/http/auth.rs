//! Who may come in: whoever holds a key, checked before a byte of the body is read.
//!
//! The host's own key opens everything, and whoever holds it is trusted to say who asks. Named keys open the models only, and whoever holds
//! one is known by its name.

use super::{Access, Error, ROUTES, State, unprefixed};
use crate::settings::DEFAULT_KEY;
use actix_web::{
    HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    middleware::Next,
    web,
};
use anyhow::{bail, ensure};
use sha2::{Digest, Sha256};
use std::{net::IpAddr, sync::Arc};
use subtle::ConstantTimeEq;

/// The host's keys, kept as digests.
pub struct Keys {
    own: [u8; 32],
    is_default: bool,
    named: Vec<(Arc<str>, [u8; 32])>,
}

/// The name of the key that opened the door; without one it was the host's own.
#[derive(Clone)]
pub struct KeyName(pub Arc<str>);

impl Keys {
    /// The host's own key as it was set, and named ones, as in `ci=secret,alice=other`.
    ///
    /// # Errors
    /// When the named keys cannot be told apart; no key is shown.
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

    /// Whether the host's own key is the one that everybody knows.
    pub fn is_default(&self) -> bool {
        self.is_default
    }

    /// The name of the key, if any is: digests are compared, in constant time, so how long it takes tells nothing, not even the key's length.
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

    fn check(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
        access: Access,
    ) -> Result<Option<KeyName>, Error> {
        let mut keys = sent(headers).peekable();
        let refused =
            |message: &str| Error::new(StatusCode::UNAUTHORIZED, message).code("invalid_api_key");
        if keys.peek().is_none() {
            return Err(refused(
                "Not authenticated: send the API key as a bearer, or as `x-api-key`",
            ));
        }
        match keys.find_map(|key| self.opened_by(key)) {
            None => Err(refused("Invalid API key")),
            Some(Some(_)) if access == Access::Admin => Err(Error::new(
                StatusCode::FORBIDDEN,
                "This key opens the models only: use the host's own key",
            )),
            Some(Some(name)) => Ok(Some(KeyName(Arc::clone(name)))),
            Some(None) if self.is_default && !peer.is_some_and(is_private) => Err(refused(
                "The default key opens only to private addresses: set PIPELINES_API_KEY to a key of your own",
            )),
            Some(None) => Ok(None),
        }
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Lets a request pass that needs no key or has it. What is not in the table of routes needs the host's own.
pub async fn authorize(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let access = access(request.path());
    let Some(state) = request.app_data::<web::Data<State>>() else {
        return Err(Error::panicked().into());
    };
    let is_open =
        access == Access::Open || (state.open_metrics && unprefixed(request.path()) == "/metrics");
    if !is_open {
        let peer = request.peer_addr().map(|peer| peer.ip());
        // Whoever is behind a function, it is not the function.
        let peer = peer.filter(|_| !request.headers().contains_key(lambda_adapter::CONTEXT));
        let name = state.keys.check(request.headers(), peer, access)?;
        if let Some(name) = name {
            request.extensions_mut().insert(name);
        }
    }
    next.call(request).await
}

/// What opens this path.
pub fn access(path: &str) -> Access {
    let path = unprefixed(path);
    ROUTES.iter().find(|route| route.leads(path)).map_or(Access::Admin, |route| route.access)
}

/// The keys that were sent: OpenAI's clients send a bearer, Anthropic's a header of their own, and some send both.
fn sent(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let own = text("x-api-key").map(str::trim).filter(|key| !key.is_empty());
    text(header::AUTHORIZATION.as_str()).and_then(bearer).into_iter().chain(own)
}

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
        let checked = keys.check(request.headers(), peer.parse().ok(), Access::Admin);
        checked.map_or_else(|error| error.status_code().as_u16(), |_| 200)
    }

    #[test]
    fn a_named_key_opens_the_models_and_nothing_else() {
        let keys = Keys::new("mine", Some(" ci = theirs ,alice=hers,")).unwrap();
        let request = TestRequest::default().insert_header(("authorization", "Bearer theirs"));
        let request = request.to_http_request();
        let name = |access| keys.check(request.headers(), None, access);
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
