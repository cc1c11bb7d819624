//! A parsed and checked link, which determines the connection and the request.

use crate::{FetchError, FetchPolicy, address, allowed_hosts::without_trailing_dot};
use http::{HeaderValue, Request, header};
use http_body_util::Empty;
use std::net::IpAddr;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Position, Url};

/// The longest link, in bytes. Links to images and pages are shorter.
const MAX_URL_LENGTH: usize = 8 * 1024;
/// The longest host name in DNS (RFC 1035, section 2.3.4).
const MAX_HOST_LENGTH: usize = 253;

const USER_AGENT: &str = concat!("pipewright/", env!("CARGO_PKG_VERSION"));

/// A link whose text passes the policy. Its addresses are still to be checked.
#[derive(Debug)]
pub(crate) struct Target {
    url: Url,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) is_https: bool,
}

impl Target {
    /// Parses a link and checks it.
    pub(crate) fn parse(link: &str, policy: &FetchPolicy) -> Result<Self, FetchError> {
        if link.len() > MAX_URL_LENGTH {
            return Err(FetchError::InvalidUrl);
        }
        Self::check(Url::parse(link).map_err(|_| FetchError::InvalidUrl)?, policy)
    }

    /// Resolves the `Location` of a redirect against this link, and checks it like a link.
    pub(crate) fn resolve_redirect(
        &self,
        location: &str,
        policy: &FetchPolicy,
    ) -> Result<Self, FetchError> {
        if location.len() > MAX_URL_LENGTH {
            return Err(FetchError::InvalidUrl);
        }
        Self::check(self.url.join(location).map_err(|_| FetchError::InvalidUrl)?, policy)
    }

    /// Checks scheme, credentials, port, host and literal address of a URL.
    fn check(url: Url, policy: &FetchPolicy) -> Result<Self, FetchError> {
        let is_https = match url.scheme() {
            "https" => true,
            "http" if policy.allows_plain_http => false,
            "http" => return Err(FetchError::PlainHttp),
            other => return Err(FetchError::UnsupportedScheme(other.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::Credentials);
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(FetchError::InvalidUrl);
        };
        if host.to_string().len() > MAX_HOST_LENGTH {
            return Err(FetchError::InvalidUrl);
        }
        if !policy.allowed_ports.contains(&port) {
            return Err(FetchError::PortNotAllowed(port));
        }
        if !policy.allowed_hosts.allows(&host) {
            return Err(FetchError::HostNotAllowed(host.to_string()));
        }
        if ip_literal(&host)
            .is_some_and(|literal| !address::is_allowed(literal, &policy.allowed_networks))
        {
            return Err(FetchError::PrivateAddress);
        }
        let host = host.to_owned();
        Ok(Self { url, host, port, is_https })
    }

    /// Returns the name that the certificate must have. Names in certificates end without a dot.
    pub(crate) fn server_name(&self) -> Option<ServerName<'static>> {
        match &self.host {
            Host::Domain(name) => ServerName::try_from(without_trailing_dot(name).to_owned()).ok(),
            Host::Ipv4(address) => Some(ServerName::from(IpAddr::from(*address))),
            Host::Ipv6(address) => Some(ServerName::from(IpAddr::from(*address))),
        }
    }

    /// Builds the request. It contains nothing about the user, and asks for no compression.
    pub(crate) fn request(&self) -> Result<Request<Empty<&'static [u8]>>, http::Error> {
        Request::get(&self.url[Position::BeforePath..Position::AfterQuery])
            .header(header::HOST, &self.url[Position::BeforeHost..Position::AfterPort])
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, HeaderValue::from_static("*/*"))
            .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
            .header(header::CONNECTION, HeaderValue::from_static("close"))
            .body(Empty::new())
    }
}

/// Returns the IP address of a host that is written as one.
pub(crate) fn ip_literal<S>(host: &Host<S>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::from(*address)),
        Host::Ipv6(address) => Some(IpAddr::from(*address)),
    }
}
