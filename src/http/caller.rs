//! Finds the address of the client of a connection, and the host name of the request.

use actix_web::http::header::{self, HeaderMap};
use anyhow::{Context, ensure};
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

/// The header in which proxies pass on the client's address.
const FORWARDED: &str = "x-forwarded-for";

/// The proxies whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl FromStr for TrustedProxies {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = |entry: &str| {
            let network = entry.parse().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
            network.with_context(|| format!("`{entry}` is no address or network, as 10.0.0.0/8 is"))
        };
        list_entries(text).map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// Returns the address of the client: if the peer is a trusted proxy, the last address in
    /// `X-Forwarded-For` that is no trusted proxy, else the peer.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let lines = headers.get_all(FORWARDED).map(|line| line.to_str().unwrap_or_default());
        let lines: Vec<_> = lines.collect();
        let mut named = lines.iter().rev().flat_map(|line| line.rsplit(','));
        while self.0.iter().any(|network| network.contains(&client)) {
            // A text that is no address was not written by a proxy.
            let Some(next) = named.next().and_then(parse_address) else { break };
            client = next.to_canonical();
        }
        client
    }
}

fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port)
}

/// The names by which the host may be asked for with the key that everybody knows.
#[derive(Clone, Debug, Default)]
pub struct HostNames(Vec<String>);

impl FromStr for HostNames {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = |entry: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            ensure!(
                entry.bytes().all(fits),
                "`{entry}` is no name of a host, as pipewright.example.com is"
            );
            Ok(entry.to_ascii_lowercase())
        };
        list_entries(text).map(name).collect::<Result<_, _>>().map(Self)
    }
}

impl HostNames {
    /// Returns whether the `Host` of a request is an address, `localhost`, or one of these names. A
    /// web page whose name was made to lead here (DNS rebinding) sends its own.
    pub fn allows(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let Some(host) = host.map(|host| host.trim().to_ascii_lowercase()) else { return false };
        let bare = host.strip_prefix('[').and_then(|host| host.split_once(']'));
        let (name, port) = match bare {
            Some((address, port)) => (address, port.strip_prefix(':').unwrap_or(port)),
            None => host.split_once(':').unwrap_or((&host, "")),
        };
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        name == "localhost"
            || name.ends_with(".localhost")
            || name.parse::<IpAddr>().is_ok()
            || self.0.iter().any(|known| known == name)
    }
}

fn list_entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let proxies: TrustedProxies = "10.0.0.0/8, 192.0.2.7, fd00::/8".parse().unwrap();
        let request = TestRequest::default();
        let request = forwarded
            .iter()
            .fold(request, |request, line| request.append_header((FORWARDED, *line)));
        let request = request.to_http_request();
        proxies.client(peer.parse().unwrap(), request.headers()).to_string()
    }

    #[test]
    fn only_proxies_that_are_known_are_believed() {
        for (peer, forwarded, is) in [
            ("203.0.113.1", &["198.51.100.1"][..], "203.0.113.1"),
            ("10.1.1.1", &[], "10.1.1.1"),
            ("10.1.1.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.1.1.1", &["198.51.100.1"], "198.51.100.1"),
            // The first one may be of the client's own making.
            ("10.1.1.1", &["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
            ("10.1.1.1", &["127.0.0.1", "198.51.100.1, 10.2.2.2"], "198.51.100.1"),
            ("10.1.1.1", &["198.51.100.1:4711, 192.0.2.7"], "198.51.100.1"),
            ("fd00::1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("10.1.1.1", &["unknown, 10.2.2.2"], "10.2.2.2"),
            ("10.1.1.1", &["198.51.100.1, "], "10.1.1.1"),
        ] {
            assert_eq!(client(peer, forwarded), is, "{peer} {forwarded:?}");
        }
        assert!(
            "10.0.0.0/33".parse::<TrustedProxies>().is_err()
                && "proxy".parse::<TrustedProxies>().is_err()
        );
    }

    #[test]
    fn a_name_that_was_made_to_lead_here_is_not_known() {
        let names: HostNames = "pipewright, Models.example.com".parse().unwrap();
        let is_known = |host: &str| {
            let request = TestRequest::default().insert_header((header::HOST, host));
            names.allows(request.to_http_request().headers())
        };
        for known in [
            "localhost",
            "LOCALHOST:9099",
            "a.localhost:1",
            "127.0.0.1:9099",
            "10.0.0.7",
            "[::1]:9099",
            "[::1]",
            "pipewright:9099",
            "models.example.com.",
        ] {
            assert!(is_known(known), "{known}");
        }
        for strange in [
            "evil.example",
            "localhost.evil.example:9099",
            "127.0.0.1.nip.io",
            "",
            ":9099",
            "xlocalhost",
            "127.0.0.1:1@evil.example",
            "localhost:1:2",
            "[::1]@evil.example",
            "[::1]evil.example:1",
        ] {
            assert!(!is_known(strange), "{strange}");
        }
        assert!("a b".parse::<HostNames>().is_err());
    }
}
