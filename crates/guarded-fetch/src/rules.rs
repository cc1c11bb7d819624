//! What may be fetched, and within which limits.

use crate::Hosts;
use ipnet::IpNet;
use std::time::Duration;

/// What may be fetched, and within which limits. Hold for every redirect as for the link itself.
#[derive(Clone, Debug)]
pub struct Rules {
    /// From which hosts. Default: any.
    pub hosts: Hosts,
    /// Private networks whose hosts may be reached like public ones, as an intranet's. Metadata services never are. Default: none.
    pub also: Vec<IpNet>,
    /// Whether `http://` links are taken. Default: no.
    pub plain_http: bool,
    /// At which ports. Default: 80 and 443, so that nobody knocks at others through us.
    pub ports: Vec<u16>,
    /// How large an answer may be. Default: 10 MiB.
    pub most_bytes: usize,
    /// How often an answer may point elsewhere. Default: 3 times.
    pub most_redirects: u8,
    /// How long it may take to find a host, connect to it and agree on encryption. Default: 3 s.
    pub connect: Duration,
    /// How long all may take, redirects and the last byte included. Default: 10 s.
    pub total: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            hosts: Hosts::Any,
            also: Vec::new(),
            plain_http: false,
            ports: vec![80, 443],
            most_bytes: 10 * 1024 * 1024,
            most_redirects: 3,
            connect: Duration::from_secs(3),
            total: Duration::from_secs(10),
        }
    }
}
