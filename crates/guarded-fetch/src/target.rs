//! A link that was read and judged, once: what is connected to and what is asked for come from here.

use crate::{Refusal, Rules, address, hosts::rootless};
use http::{HeaderValue, Request, header};
use http_body_util::Empty;
use std::net::IpAddr;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Position, Url};

/// Longer links are no links to images or pages.
const LONGEST: usize = 8 * 1024;
/// The longest name that DNS knows.
const LONGEST_HOST: usize = 253;

const AGENT: &str = concat!("pipewright/", env!("CARGO_PKG_VERSION"));

/// A link that may be fetched as far as it shows by itself.
#[derive(Debug)]
pub(crate) struct Target {
    url: Url,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) is_encrypted: bool,
}

impl Target {
    pub(crate) fn read(link: &str, rules: &Rules) -> Result<Self, Refusal> {
        if link.len() > LONGEST {
            return Err(Refusal::NotALink);
        }
        Self::judged(Url::parse(link).map_err(|_| Refusal::NotALink)?, rules)
    }

    /// Where an answer from here points, judged like a link.
    pub(crate) fn moved(&self, location: &str, rules: &Rules) -> Result<Self, Refusal> {
        if location.len() > LONGEST {
            return Err(Refusal::NotALink);
        }
        Self::judged(self.url.join(location).map_err(|_| Refusal::NotALink)?, rules)
    }

    fn judged(url: Url, rules: &Rules) -> Result<Self, Refusal> {
        let is_encrypted = match url.scheme() {
            "https" => true,
            "http" if rules.plain_http => false,
            "http" => return Err(Refusal::PlainHttp),
            other => return Err(Refusal::Scheme(other.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(Refusal::NotALink);
        };
        if host.to_string().len() > LONGEST_HOST {
            return Err(Refusal::NotALink);
        }
        if !rules.ports.contains(&port) {
            return Err(Refusal::Port(port));
        }
        if !rules.hosts.include(&host) {
            return Err(Refusal::Host(host.to_string()));
        }
        if literal(&host).is_some_and(|literal| !address::is_open(literal, &rules.also)) {
            return Err(Refusal::NotPublic);
        }
        let host = host.to_owned();
        Ok(Self { url, host, port, is_encrypted })
    }

    /// Who must stand in the certificate. Certificates know no dot at the end.
    pub(crate) fn server_name(&self) -> Option<ServerName<'static>> {
        match &self.host {
            Host::Domain(name) => ServerName::try_from(rootless(name).to_owned()).ok(),
            Host::Ipv4(address) => Some(ServerName::from(IpAddr::from(*address))),
            Host::Ipv6(address) => Some(ServerName::from(IpAddr::from(*address))),
        }
    }

    /// The question to its host. Tells nothing of who asks, and asks for nothing packed.
    pub(crate) fn request(&self) -> Result<Request<Empty<&'static [u8]>>, http::Error> {
        Request::get(&self.url[Position::BeforePath..Position::AfterQuery])
            .header(header::HOST, &self.url[Position::BeforeHost..Position::AfterPort])
            .header(header::USER_AGENT, AGENT)
            .header(header::ACCEPT, HeaderValue::from_static("*/*"))
            .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
            .header(header::CONNECTION, HeaderValue::from_static("close"))
            .body(Empty::new())
    }
}

/// The address of a host that is written as one.
pub(crate) fn literal<S>(host: &Host<S>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::from(*address)),
        Host::Ipv6(address) => Some(IpAddr::from(*address)),
    }
}
