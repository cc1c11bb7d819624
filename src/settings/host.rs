//! The address to listen on, as an IP address or a host name.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// Parses an IP address (`127.0.0.1`, `::1`, `[::1]`) or looks up a host name (`localhost`). Of a
/// name with addresses of both kinds, the IPv4 address is taken.
pub fn parse_host(text: &str) -> Result<IpAddr, String> {
    let plain = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = plain.parse() {
        return Ok(address);
    }
    if text.contains("://") || text.contains(':') {
        return Err("must be an IP address or a host name alone; the port is `--port`".into());
    }
    let addresses = (plain, 0).to_socket_addrs();
    let addresses = addresses.map_err(|_| format!("there is no host of the name `{text}`"))?;
    let addresses: Vec<_> = addresses.map(|address: SocketAddr| address.ip()).collect();
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or_else(|| format!("the host name `{text}` has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_taken_and_urls_are_not() {
        assert_eq!(parse_host("0.0.0.0").unwrap(), IpAddr::from([0, 0, 0, 0]));
        assert_eq!(parse_host("[::1]").unwrap(), "::1".parse::<IpAddr>().unwrap());
        assert!(parse_host("localhost").unwrap().is_loopback());
        parse_host("http://localhost").unwrap_err();
        assert!(parse_host("127.0.0.1:9099").unwrap_err().contains("--port"));
    }
}
