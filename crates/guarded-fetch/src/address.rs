//! The check of the IP addresses that a link may lead to.

use http_client::{extract_embedded_v4, is_metadata_address};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks that no policy can allow, beside metadata services of clouds: this host, multicast, and
/// tunnels that hide their end.
const BLOCKED_V4: [Ipv4Net; 3] =
    [v4([0, 0, 0, 0], 8), v4([224, 0, 0, 0], 4), v4([240, 0, 0, 0], 4)];
const BLOCKED_V6: [Ipv6Net; 5] = [
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128),
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
];

/// The other networks that IANA lists as not globally reachable
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry/>).
const PRIVATE_V4: [Ipv4Net; 11] = [
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
];

/// The IPv6 addresses that IANA has allocated for the public internet (RFC 4291, section 2.4).
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
/// The networks within [`PUBLIC_V6`] that are not globally reachable.
const PRIVATE_V6: [Ipv6Net; 3] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

/// Returns whether a link may lead to this address: a public one, or one in an allowed network.
pub(crate) fn is_allowed(address: IpAddr, allowed_networks: &[IpNet]) -> bool {
    let address = extract_embedded_v4(address);
    !is_blocked(address)
        && (is_public(address) || allowed_networks.iter().any(|network| network.contains(&address)))
}

fn is_blocked(address: IpAddr) -> bool {
    is_metadata_address(address)
        || match address {
            IpAddr::V4(address) => BLOCKED_V4.iter().any(|network| network.contains(&address)),
            IpAddr::V6(address) => BLOCKED_V6.iter().any(|network| network.contains(&address)),
        }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !PRIVATE_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            PUBLIC_V6.contains(&address)
                && !PRIVATE_V6.iter().any(|network| network.contains(&address))
        }
    }
}

/// Returns an IPv4 network.
const fn v4([a, b, c, d]: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

/// Returns an IPv6 network.
const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &[&str] = &[
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450::1",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ];

    const PRIVATE: &[&str] = &[
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "::1",
        "::7f00:1",
        "100::1",
        "2001:2::1",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fec0::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
    ];

    const BLOCKED: &[&str] = &[
        "0.0.0.0",
        "0.1.2.3",
        "100.100.100.200",
        "168.63.129.16",
        "169.254.169.254",
        "169.254.170.2",
        "192.0.0.192",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::ffff:0.0.0.0",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::1",
        "2001:0:a9fe:a9fe::1",
        "2002:a9fe:a9fe::1",
        "2002:808:808::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::1",
        "febf::1",
        "ff02::1",
    ];

    fn is_open(address: &str, allowed_networks: &[&str]) -> bool {
        let allowed_networks: Vec<IpNet> =
            allowed_networks.iter().map(|network| network.parse().unwrap()).collect();
        is_allowed(address.parse().unwrap(), &allowed_networks)
    }

    #[test]
    fn the_public_internet_is_open_and_nothing_else() {
        for address in PUBLIC {
            assert!(is_open(address, &[]), "{address}");
        }
        for address in PRIVATE.iter().chain(BLOCKED) {
            assert!(!is_open(address, &[]), "{address}");
        }
    }

    #[test]
    fn an_operator_may_open_private_networks_but_no_metadata_service() {
        for address in PRIVATE {
            assert!(is_open(address, &["0.0.0.0/0", "::/0"]), "{address}");
        }
        for address in BLOCKED {
            assert!(!is_open(address, &["0.0.0.0/0", "::/0"]), "{address}");
        }
    }

    #[test]
    fn an_open_network_opens_no_neighbour() {
        assert!(is_open("10.1.2.3", &["10.1.0.0/16"]));
        assert!(is_open("::ffff:10.1.2.3", &["10.1.0.0/16"]));
        assert!(!is_open("10.2.0.1", &["10.1.0.0/16"]));
        assert!(!is_open("::1", &["127.0.0.0/8"]));
    }
}
