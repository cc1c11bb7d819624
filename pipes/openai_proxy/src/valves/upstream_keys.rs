//! The keys of further upstreams, each bound to a host.
//!
//! A key is sent to its host and to no other: an admin who may change valves but not read secrets
//! cannot have it sent to a host of their own.

use super::text::{is_header_value, split_items};
use openai_client::BaseUrl;
use std::str::FromStr;
use url::Url;

/// The keys, in the order of the valve.
#[derive(Default)]
pub(crate) struct UpstreamKeys(Vec<UpstreamKey>);

/// A key, and the upstream that it is sent to.
struct UpstreamKey {
    /// The name of the upstream that it is for; `None` for all upstreams at the host.
    name: Option<String>,
    /// Scheme, host and port.
    origin: String,
    key: String,
}

/// The rule for a line of the valve.
const RULE: &str =
    "must be keys with their hosts, as in `api.groq.com=gsk_…, http://127.0.0.1:8000=…`";

impl FromStr for UpstreamKeys {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        split_items(Some(text)).map(UpstreamKey::parse).collect::<Option<_>>().map(Self).ok_or(RULE)
    }
}

impl UpstreamKeys {
    /// Returns the key of the upstream with this name and this base URL.
    pub fn find(&self, name: &str, base_url: &BaseUrl) -> Option<&str> {
        let origin = base_url.origin();
        let at = || self.0.iter().filter(|key| key.origin == origin);
        let own = at().find(|key| key.name.as_deref() == Some(name));
        own.or_else(|| at().find(|key| key.name.is_none())).map(|key| key.key.as_str())
    }
}

impl UpstreamKey {
    /// Parses a line `host = key` or `name @ host = key`.
    fn parse(line: &str) -> Option<Self> {
        let (place, key) = line.split_once('=')?;
        let (name, host) = match place.split_once('@') {
            Some((name, host)) => (Some(name.trim().to_owned()), host.trim()),
            None => (None, place.trim()),
        };
        let url = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
        let url = Url::parse(&url).ok().filter(Url::has_host)?;
        let key = key.trim();
        let is_key = !key.is_empty() && is_header_value(key);
        is_key.then(|| Self { name, origin: url.origin().ascii_serialization(), key: key.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_to_its_host_and_to_no_other() {
        let keys: UpstreamKeys =
            "api.groq.com=one, work@api.groq.com=two\nhttp://127.0.0.1:8000=three="
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
            assert_eq!(keys.find(name, &address.parse().unwrap()), key, "{name} {address}");
        }
    }

    #[test]
    fn what_is_no_key_with_a_host_is_refused() {
        for text in ["sk-hunter2", "=x", "a.example=", "a.example=\u{7}", "http://=x"] {
            assert!(text.parse::<UpstreamKeys>().is_err(), "{text}");
        }
    }
}
