//! The keys of further upstreams, each with the host that it is for.
//!
//! A key goes to its host and to no other, whatever becomes of the upstreams: whoever may turn valves but not read secrets cannot have
//! it sent to a host of their own.

use crate::ways::{fits_a_header, lines};
use openai_client::Address;
use std::str::FromStr;
use url::Url;

/// The keys, in their order.
#[derive(Default)]
pub(crate) struct Keys(Vec<Key>);

struct Key {
    /// The upstream that it is for, if only one of those at its host.
    name: Option<String>,
    /// Scheme, host and port.
    origin: String,
    key: String,
}

const RULE: &str =
    "must be keys with their hosts, as in `api.groq.com=gsk_…, http://127.0.0.1:8000=…`";

impl FromStr for Keys {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        lines(Some(text)).map(Key::read).collect::<Option<_>>().map(Self).ok_or(RULE)
    }
}

impl Keys {
    /// The key of the upstream of this name at this address.
    pub fn of(&self, name: &str, address: &Address) -> Option<&str> {
        let origin = address.origin();
        let at = || self.0.iter().filter(|key| key.origin == origin);
        let own = at().find(|key| key.name.as_deref() == Some(name));
        own.or_else(|| at().find(|key| key.name.is_none())).map(|key| key.key.as_str())
    }
}

impl Key {
    fn read(line: &str) -> Option<Self> {
        let (place, key) = line.split_once('=')?;
        let (name, host) = match place.split_once('@') {
            Some((name, host)) => (Some(name.trim().to_owned()), host.trim()),
            None => (None, place.trim()),
        };
        let url = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
        let url = Url::parse(&url).ok().filter(Url::has_host)?;
        let key = key.trim();
        let is_key = !key.is_empty() && fits_a_header(key);
        is_key.then(|| Self { name, origin: url.origin().ascii_serialization(), key: key.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_to_its_host_and_to_no_other() {
        let keys: Keys = "api.groq.com=one, work@api.groq.com=two\nhttp://127.0.0.1:8000=three="
            .parse()
            .unwrap();
        for (name, address, key) in [
            ("groq", "https://api.groq.com/openai/v1", Some("one")),
            ("work", "https://api.groq.com/openai/v1", Some("two")),
            ("groq", "http://api.groq.com/openai/v1", None),
            ("groq", "https://api.groq.com:8443/v1", None),
            ("groq", "https://evil.example/v1", None),
            ("groq", "https://api.groq.com.evil.example/v1", None),
            ("work", "https://evil.example/v1", None),
            ("local", "http://127.0.0.1:8000/v1", Some("three=")),
            ("local", "http://127.0.0.1:8001/v1", None),
        ] {
            assert_eq!(keys.of(name, &address.parse().unwrap()), key, "{name} {address}");
        }
    }

    #[test]
    fn what_is_no_key_with_a_host_is_refused() {
        for text in ["sk-hunter2", "=x", "a.example=", "a.example=\u{7}", "http://=x"] {
            assert!(text.parse::<Keys>().is_err(), "{text}");
        }
    }
}
