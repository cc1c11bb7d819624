//! The hosts that links may name.

use std::str::FromStr;
use url::Host;

/// The hosts that links may name. Their addresses are checked all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedHosts {
    /// Any host.
    #[default]
    Any,
    /// Only hosts that match a pattern; none if the list is empty.
    Only(Vec<HostPattern>),
}

/// A pattern for host names: one host as `example.com`, or all its subdomains as `*.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(Pattern);

/// A host, or all subdomains of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Exact(Host),
    /// The base with its leading dot: `.example.com`.
    Subdomains(String),
}

/// The error of a text that is not a pattern for host names.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a host: write it like example.com or *.example.com, without https:// and port"
)]
/// The error of a text that is no pattern of hosts.
pub struct HostPatternError(String);

impl AllowedHosts {
    /// Returns whether links to this host are fetched.
    pub(crate) fn allows(&self, host: &Host<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Only(patterns) => patterns.iter().any(|pattern| pattern.matches(host)),
        }
    }
}

impl HostPattern {
    /// Returns whether the pattern matches this host.
    fn matches(&self, host: &Host<&str>) -> bool {
        match (&self.0, host) {
            (Pattern::Exact(Host::Domain(name)), Host::Domain(host)) => {
                name == without_trailing_dot(host)
            }
            (Pattern::Exact(address), host) => *address == host.to_owned(),
            (Pattern::Subdomains(base), Host::Domain(host)) => {
                let host = without_trailing_dot(host);
                host.len() > base.len() && host.ends_with(base)
            }
            (Pattern::Subdomains(_), _) => false,
        }
    }
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    /// Parses the host as in a URL, so `Bücher.example` is `xn--bcher-kva.example`.
    fn from_str(text: &str) -> Result<Self, HostPatternError> {
        let invalid = || HostPatternError(text.to_owned());
        let (name, is_wildcard) = match text.trim().strip_prefix("*.") {
            Some(base) => (base, true),
            None => (text.trim(), false),
        };
        if name.contains('*') {
            return Err(invalid());
        }
        match Host::parse(without_trailing_dot(name)).map_err(|_| invalid())? {
            Host::Domain(base) if is_wildcard => Ok(Self(Pattern::Subdomains(format!(".{base}")))),
            _ if is_wildcard => Err(invalid()),
            host => Ok(Self(Pattern::Exact(host))),
        }
    }
}

/// Removes the dot that may end a name: `example.com.` and `example.com` are the same host.
pub(crate) fn without_trailing_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, host: &str) -> bool {
        let hosts = AllowedHosts::Only(vec![pattern.parse().unwrap()]);
        let url = url::Url::parse(&format!("https://{host}/")).unwrap();
        hosts.allows(&url.host().unwrap())
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
    fn a_text_that_is_not_a_host_is_an_error() {
        for pattern in
            ["", "*", "*.", "a.*.com", "https://example.com", "example.com:443", "*.8.8.8.8", "a b"]
        {
            let error = pattern.parse::<HostPattern>().unwrap_err();
            assert!(error.to_string().contains(&format!("`{pattern}`")), "{error}");
        }
    }
}
