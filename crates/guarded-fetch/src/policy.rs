//! The policy: the hosts, networks and ports that links may lead to, and the limits of a fetch.

use crate::AllowedHosts;
use ipnet::IpNet;
use std::time::Duration;

/// The hosts, networks and ports that links may lead to, and the limits of a fetch.
///
/// A redirect is subject to the same policy as the link itself.
#[derive(Clone, Debug)]
pub struct FetchPolicy {
    /// The hosts that links may name. Default: any.
    pub allowed_hosts: AllowedHosts,
    /// Private networks whose hosts are reached like public ones, such as an intranet. Metadata
    /// services of clouds stay blocked. Default: none.
    pub allowed_networks: Vec<IpNet>,
    /// `true` to fetch `http://` links. Default: `false`.
    pub allows_plain_http: bool,
    /// The ports that links may name. Default: 80 and 443, because other ports would let a user
    /// probe foreign servers from this host.
    pub allowed_ports: Vec<u16>,
    /// The largest size of a file, in bytes. Default: 10 MiB.
    pub max_bytes: usize,
    /// The largest number of redirects. Default: 3.
    pub max_redirects: u8,
    /// The time for look-up, connection and TLS handshake. Default: 3 s.
    pub connect_timeout: Duration,
    /// The time for the whole fetch, redirects and the last byte included. Default: 10 s.
    pub total_timeout: Duration,
}

impl Default for FetchPolicy {
    fn default() -> Self {
        Self {
            allowed_hosts: AllowedHosts::Any,
            allowed_networks: Vec::new(),
            allows_plain_http: false,
            allowed_ports: vec![80, 443],
            max_bytes: 10 * 1024 * 1024,
            max_redirects: 3,
            connect_timeout: Duration::from_secs(3),
            total_timeout: Duration::from_secs(10),
        }
    }
}
