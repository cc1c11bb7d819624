//! Addresses at which clouds tell each program on a machine the machine's secrets.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{
    error::Error,
    fmt::{self, Display, Formatter},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};
use url::{Host, Url};

/// Link-local networks, and the metadata services outside of them: Azure's, Alibaba's, Oracle's,
/// AWS's and Google's by IPv6. The last rows embed an IPv4 address of the first one (RFC 3056,
/// RFC 4291 section 2.5.5.1, RFC 2765 section 2.1, RFC 8215, RFC 4380 section 4).
const METADATA_NETWORKS: [IpNet; 12] = [
    v4([169, 254, 0, 0], 16),
    v4([168, 63, 129, 16], 32),
    v4([100, 100, 100, 200], 32),
    v4([192, 0, 0, 192], 32),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32),
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128),
    v6([0x2002, 0xa9fe, 0, 0, 0, 0, 0, 0], 32),
    v6([0, 0, 0, 0, 0, 0, 0xa9fe, 0], 112),
    v6([0, 0, 0, 0, 0xffff, 0, 0xa9fe, 0], 112),
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0xa9fe, 0], 112),
    v6([0x2001, 0, 0xa9fe, 0, 0, 0, 0, 0], 48),
];

/// The prefix of IPv6 addresses that embed an IPv4 address, for NAT64 (RFC 6052).
const NAT64: IpNet = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

/// The name of Google's metadata service
/// (<https://cloud.google.com/compute/docs/metadata/querying-metadata>).
const GOOGLE_METADATA_HOST: &str = "metadata.google.internal";

/// The error of a host that has no other address than that of a metadata service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataAddressError;

impl Display for MetadataAddressError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the host is at a link-local address, where clouds keep their secrets")
    }
}

impl Error for MetadataAddressError {}

impl MetadataAddressError {
    /// Returns whether this error is one, or has one among its sources.
    pub fn is_cause_of(error: &(dyn Error + 'static)) -> bool {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// Returns whether the address is link-local or that of a cloud's metadata service, also where an
/// IPv6 address embeds it.
pub fn is_metadata_address(address: IpAddr) -> bool {
    let address = extract_embedded_v4(address);
    METADATA_NETWORKS.iter().any(|network| network.contains(&address))
}

/// Returns whether the host of this URL is the address of a metadata service, or a name for one.
pub fn is_metadata_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_metadata_address(address.into()),
        Some(Host::Ipv6(address)) => is_metadata_address(address.into()),
        Some(Host::Domain(name)) => {
            name.trim_end_matches('.').eq_ignore_ascii_case(GOOGLE_METADATA_HOST)
        }
        None => false,
    }
}

/// Returns the IPv4 address that an IPv6 address maps or that NAT64 embeds in it, else the address
/// itself.
pub fn extract_embedded_v4(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(wrapped) if NAT64.contains(&IpAddr::V6(wrapped)) => {
            let [.., a, b, c, d] = wrapped.octets();
            IpAddr::from([a, b, c, d])
        }
        address => address,
    }
}

/// Returns an IPv4 network.
const fn v4([a, b, c, d]: [u8; 4], length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

/// Returns an IPv6 network.
const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn metadata_services_are_recognised_in_every_form() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "::ffff:0:169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "2001:0:a9fe:a9fe::1",
        ] {
            assert!(is_metadata_address(address.parse().unwrap()), "{address}");
        }
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "8.8.8.8",
            "::1",
            "::ffff:127.0.0.1",
            "fd00::1",
            "fec0::1",
            "2606:4700::1111",
        ] {
            assert!(!is_metadata_address(address.parse().unwrap()), "{address}");
        }
        for (host, expected) in
            [("Metadata.Google.Internal.", true), ("google.internal", false), ("localhost", false)]
        {
            let url = Url::parse(&format!("http://{host}/")).unwrap();
            assert_eq!(is_metadata_host(&url), expected, "{host}");
        }
    }

    #[test]
    fn the_error_is_found_among_sources() {
        assert!(MetadataAddressError::is_cause_of(&MetadataAddressError));
        assert!(!MetadataAddressError::is_cause_of(&io::Error::other("something else")));
    }
}
