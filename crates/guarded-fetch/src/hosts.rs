//! From which hosts something may be fetched.

use std::str::FromStr;
use url::Host;

/// From which hosts something may be fetched. Their addresses are judged all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Hosts {
    /// Any.
    #[default]
    Any,
    /// These alone; without one, none.
    Only(Vec<HostPattern>),
}

/// A host, as `example.com`, or all below one, as `*.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(Pattern);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Exactly(Host),
    /// Holds the dot: `.example.com`.
    Below(String),
}

/// A pattern that no host could match.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no host: write it as in example.com or *.example.com, without https:// and port")]
pub struct BadPattern(String);

impl Hosts {
    pub(crate) fn include(&self, host: &Host<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Only(patterns) => patterns.iter().any(|pattern| pattern.matches(host)),
        }
    }
}

impl HostPattern {
    fn matches(&self, host: &Host<&str>) -> bool {
        match (&self.0, host) {
            (Pattern::Exactly(Host::Domain(name)), Host::Domain(host)) => name == rootless(host),
            (Pattern::Exactly(address), host) => *address == host.to_owned(),
            (Pattern::Below(base), Host::Domain(host)) => {
                let host = rootless(host);
                host.len() > base.len() && host.ends_with(base)
            }
            (Pattern::Below(_), _) => false,
        }
    }
}

impl FromStr for HostPattern {
    type Err = BadPattern;

    /// Reads it as links are read, so `Bücher.example` is `xn--bcher-kva.example`.
    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let bad = || BadPattern(text.to_owned());
        let (name, is_below) = match text.trim().strip_prefix("*.") {
            Some(base) => (base, true),
            None => (text.trim(), false),
        };
        if name.contains('*') {
            return Err(bad());
        }
        match Host::parse(rootless(name)).map_err(|_| bad())? {
            Host::Domain(base) if is_below => Ok(Self(Pattern::Below(format!(".{base}")))),
            _ if is_below => Err(bad()),
            host => Ok(Self(Pattern::Exactly(host))),
        }
    }
}

/// The name without the dot that may end it: `example.com.` is the same host.
pub(crate) fn rootless(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, host: &str) -> bool {
        let hosts = Hosts::Only(vec![pattern.parse().unwrap()]);
        let url = url::Url::parse(&format!("https://{host}/")).unwrap();
        hosts.include(&url.host().unwrap())
    }

    #[test]
    fn a_pattern_matches_its_host_in_every_spelling_and_no_other() {
        for (pattern, host, is_match) in [
            ("example.com", "example.com", true),
            ("Example.COM.", "example.com", true),
            ("example.com", "EXAMPLE.com.", true),
            ("example.com", "www.example.com", false),
            ("example.com", "notexample.com", false),
            ("example.com", "example.com.evil.test", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com.", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "notexample.com", false),
            ("*.example.com", ".example.com", false),
            ("bücher.example", "xn--bcher-kva.example", true),
            ("8.8.8.8", "134744072", true),
            ("8.8.8.8", "8.8.8.9", false),
            ("[2606:4700::1111]", "[2606:4700:0::1111]", true),
        ] {
            assert_eq!(matches(pattern, host), is_match, "{pattern} {host}");
        }
    }

    #[test]
    fn what_is_no_host_is_a_fault() {
        for pattern in
            ["", "*", "*.", "a.*.com", "https://example.com", "example.com:443", "*.8.8.8.8", "a b"]
        {
            let fault = pattern.parse::<HostPattern>().unwrap_err();
            assert!(fault.to_string().contains(&format!("`{pattern}`")), "{fault}");
        }
    }
}
