//! Who may come in: whoever holds the key, checked before a byte of the body is read.

use super::{Access, Error, ROUTES, State, unprefixed};
use crate::settings::DEFAULT_KEY;
use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    middleware::Next,
    web,
};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// The host's key, kept as a digest.
pub struct Key {
    digest: [u8; 32],
    is_default: bool,
}

impl Key {
    /// The key as it was set.
    pub fn new(key: &str) -> Self {
        Self { digest: Sha256::digest(key).into(), is_default: key == DEFAULT_KEY }
    }

    /// Whether it is the key that everybody knows.
    pub fn is_default(&self) -> bool {
        self.is_default
    }

    /// Digests are compared, in constant time: how long it takes tells nothing, not even the key's length.
    fn opens(&self, key: &str) -> bool {
        Sha256::digest(key).ct_eq(&self.digest).into()
    }

    fn check(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<(), Error> {
        let mut keys = sent(headers).peekable();
        if keys.peek().is_none() {
            return Err(Error::new(StatusCode::FORBIDDEN, "Not authenticated"));
        }
        if !keys.any(|key| self.opens(key)) {
            return Err(
                Error::new(StatusCode::UNAUTHORIZED, "Invalid API key").code("invalid_api_key")
            );
        }
        if self.is_default && !peer.is_some_and(is_private) {
            let message = "The default key opens only to private addresses: set PIPELINES_API_KEY to a key of your own";
            return Err(Error::new(StatusCode::UNAUTHORIZED, message).code("invalid_api_key"));
        }
        Ok(())
    }
}

/// Lets a request pass that needs no key or has it. What is not in the table of routes needs it too.
pub async fn authorize(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if !is_open(request.path()) {
        let peer = request.peer_addr().map(|peer| peer.ip());
        match request.app_data::<web::Data<State>>() {
            Some(state) => state.key.check(request.headers(), peer)?,
            None => return Err(Error::panicked().into()),
        }
    }
    next.call(request).await
}

/// Whether this path is served without a key.
pub fn is_open(path: &str) -> bool {
    let path = unprefixed(path);
    ROUTES.iter().any(|route| route.access == Access::Open && route.path == path)
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
        let checked = Key::new(key).check(request.headers(), peer.parse().ok());
        checked.map_or_else(|error| error.status_code().as_u16(), |()| 200)
    }

    #[test]
    fn a_key_of_ones_own_opens_to_everybody_who_sends_it() {
        assert_eq!(status("mine", Some("Bearer mine"), "203.0.113.9"), 200);
        assert_eq!(status("mine", Some("bearer mine"), "203.0.113.9"), 200);
        assert_eq!(status("mine", Some("Bearer other"), "127.0.0.1"), 401);
        for missing in [None, Some("Bearer "), Some("Basic mine"), Some("mine")] {
            assert_eq!(status("mine", missing, "127.0.0.1"), 403, "{missing:?}");
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
            (&[("x-api-key", " ")], 403),
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
