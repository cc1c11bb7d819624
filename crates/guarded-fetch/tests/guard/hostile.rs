//! Links to private addresses, in every spelling.

use crate::support::{
    AfterResponse, FakeResolver, PUBLIC_IP, Site, Trap, bind_trap_and_public, fetcher, ok_response,
    policy, redirect_to,
};
use guarded_fetch::{FetchError, FetchPolicy, Fetcher, UnreachableCause};
use std::time::Duration;
use tokio::time::timeout;

/// Spellings of this machine, private networks and metadata services. `PORT` is the trap's port.
const PRIVATE_LINKS: &[&str] = &[
    "http://127.0.0.1:PORT/",
    "https://127.0.0.1:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://017700000001:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://１２７.0.0.1:PORT/",
    "http://127。0。0。1:PORT/",
    "http://0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://[::]:PORT/",
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[::ffff:0:0]:PORT/",
    "http://[::ffff:10.0.0.1]:PORT/",
    "http://[::ffff:169.254.169.254]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[64:ff9b::a9fe:a9fe]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[2001:0:7f00:1::]:PORT/",
    "http://[fe80::1]:PORT/",
    "http://[fd00:ec2::254]:PORT/",
    "http://169.254.169.254:PORT/latest/meta-data/",
    "http://2852039166:PORT/",
    "http://10.0.0.1:PORT/",
    "http://172.16.0.1:PORT/",
    "http://192.168.0.1:PORT/",
    "http://100.64.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "http:\\\\127.0.0.1:PORT\\",
    "http://127.0.0.1:PORT\\@example.com/",
    "http://127.0.0.1:PORT#@example.com/",
    "http://127.0.0.1:PORT?@example.com/",
    "  http://127.0.0.1:PORT/\n",
    "ht\ttp://127.0.\n0.1:PORT/",
    "HTTP://127.0.0.1:PORT/",
];

/// Names that the resolver of these tests resolves to this machine.
const PRIVATE_NAMES: &[&str] = &[
    "localhost",
    "localhost.",
    "LOCALHOST",
    "a.localhost",
    "127.0.0.1.nip.io",
    "metadata.google.internal",
    "metadata",
    "xn--n3h.example",
];

#[tokio::test]
async fn no_spelling_of_a_private_address_is_connected_to() {
    let trap = Trap::new();
    let ipv6_trap = Trap::bind(&format!("[::1]:{}", trap.port()));
    let policy = FetchPolicy {
        allows_plain_http: true,
        allowed_ports: vec![trap.port()],
        ..FetchPolicy::default()
    };
    let fetcher = Fetcher::with_resolver(policy, FakeResolver::default());
    for link in PRIVATE_LINKS {
        let link = link.replace("PORT", &trap.port().to_string());
        let error = fetcher.fetch(&link).await.unwrap_err();
        assert!(matches!(error, FetchError::PrivateAddress), "{link:?}: {error:?}");
        assert!(!trap.has_connection(), "{link:?}");
        assert!(!ipv6_trap.as_ref().is_ok_and(Trap::has_connection), "{link:?}");
    }
}

#[tokio::test]
async fn no_name_of_a_private_address_is_connected_to() {
    let trap = Trap::new();
    let policy = FetchPolicy {
        allows_plain_http: true,
        allowed_ports: vec![trap.port()],
        ..FetchPolicy::default()
    };
    for name in PRIVATE_NAMES {
        let hidden: &[&[&str]] = &[&["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0"]];
        let resolver = FakeResolver::default().with_name(&name.to_lowercase(), hidden);
        let link = format!("http://{name}:{}/", trap.port());
        let fetcher = Fetcher::with_resolver(policy.clone(), resolver);
        assert_no_allowed_address(&fetcher.fetch(&link).await.unwrap_err(), &link);
        assert!(!trap.has_connection(), "{link}");
    }
}

#[tokio::test]
async fn the_name_of_this_machine_is_not_open_by_the_systems_own_word() {
    let trap = Trap::new();
    let policy = FetchPolicy {
        allows_plain_http: true,
        allowed_ports: vec![trap.port()],
        ..FetchPolicy::default()
    };
    let fetcher = Fetcher::new(policy);
    for name in ["localhost", "LocalHost"] {
        let link = format!("http://{name}:{}/", trap.port());
        assert_no_allowed_address(&fetcher.fetch(&link).await.unwrap_err(), &link);
    }
    assert!(!trap.has_connection());
}

#[tokio::test]
async fn an_operator_who_opens_the_network_is_led_there() {
    let trap = Trap::new();
    let policy = FetchPolicy {
        allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..policy(trap.port())
    };
    let fetcher = Fetcher::with_resolver(policy, FakeResolver::default());
    let link = format!("http://2130706433:{}/", trap.port());
    let fetched = timeout(Duration::ZERO, fetcher.fetch(&link)).await;
    assert!(fetched.is_err(), "the trap does not answer");
    assert!(trap.has_connection(), "the trap works");
}

#[tokio::test]
async fn what_is_no_https_link_to_a_usual_port_is_refused_by_its_name() {
    let fetcher = Fetcher::with_resolver(FetchPolicy::default(), FakeResolver::default());
    for (link, wanted) in [
        ("", "InvalidUrl"),
        ("cat.png", "InvalidUrl"),
        ("//example.com/cat.png", "InvalidUrl"),
        ("https://", "InvalidUrl"),
        ("https:///", "InvalidUrl"),
        ("https://exa mple.com/", "InvalidUrl"),
        ("https://[::1/", "InvalidUrl"),
        ("https://256.256.256.256/", "InvalidUrl"),
        ("https://example.com:99999/", "InvalidUrl"),
        ("https://:443/", "InvalidUrl"),
        ("ftp://example.com/cat.png", "UnsupportedScheme(\"ftp\")"),
        ("file:///etc/passwd", "UnsupportedScheme(\"file\")"),
        ("gopher://127.0.0.1:6379/_INFO", "UnsupportedScheme(\"gopher\")"),
        ("data:image/png;base64,iVBORw0KGgo=", "UnsupportedScheme(\"data\")"),
        ("javascript:alert(1)", "UnsupportedScheme(\"javascript\")"),
        ("unix:/var/run/docker.sock", "UnsupportedScheme(\"unix\")"),
        ("blob:https://example.com/1", "UnsupportedScheme(\"blob\")"),
        ("http://example.com/cat.png", "PlainHttp"),
        ("https://user@example.com/", "Credentials"),
        ("https://user:pass@127.0.0.1/", "Credentials"),
        ("https://:pass@example.com/", "Credentials"),
        ("https://example.com@169.254.169.254/", "Credentials"),
        ("https://example.com:443@127.0.0.1/", "Credentials"),
        ("https://example.com%40127.0.0.1/", "InvalidUrl"),
        ("https://example.com:22/", "PortNotAllowed(22)"),
        ("https://example.com:6379/", "PortNotAllowed(6379)"),
    ] {
        let error = fetcher.fetch(link).await.unwrap_err();
        assert_eq!(format!("{error:?}"), wanted, "{link}");
    }
    let long = format!("https://example.com/{}", "a".repeat(9000));
    assert!(matches!(fetcher.fetch(&long).await, Err(FetchError::InvalidUrl)));
    let host = format!("https://{}example.com/", "a.".repeat(200));
    assert!(matches!(fetcher.fetch(&host).await, Err(FetchError::InvalidUrl)));
}

#[tokio::test]
async fn a_host_that_is_not_listed_is_not_even_looked_up() {
    let resolver = FakeResolver::default();
    let hosts = guarded_fetch::AllowedHosts::Only(vec!["*.example.com".parse().unwrap()]);
    let fetcher = Fetcher::with_resolver(
        FetchPolicy { allowed_hosts: hosts, ..FetchPolicy::default() },
        resolver.clone(),
    );
    for host in ["example.com", "example.com.evil.test", "1.1.1.1"] {
        let error = fetcher.fetch(&format!("https://{host}/")).await.unwrap_err();
        assert!(matches!(&error, FetchError::HostNotAllowed(named) if named == host), "{error:?}");
    }
    assert_eq!(resolver.lookup_count(), 0);
}

#[tokio::test]
async fn a_name_that_turns_private_between_two_questions_wins_nothing() {
    let (trap, open) = bind_trap_and_public();
    let answers =
        [("/first", redirect_to("/second").into_bytes()), ("/second", ok_response("", b"cat"))];
    let site = Site::on_listener(open, AfterResponse::Close, answers);
    let resolver =
        FakeResolver::default().with_name("rebind.example", &[&[PUBLIC_IP], &["127.0.0.1"]]);

    let link = format!("http://rebind.example:{}/first", site.port);
    let error = fetcher(site.port, resolver.clone()).fetch(&link).await.unwrap_err();

    assert_no_allowed_address(&error, &link);
    assert_eq!(
        (site.requests().len(), resolver.lookup_count()),
        (1, 2),
        "one question a connection"
    );
    assert!(!trap.has_connection());
}

#[tokio::test]
async fn the_connection_goes_to_the_address_that_was_judged() {
    let (trap, open) = bind_trap_and_public();
    let site = Site::on_listener(open, AfterResponse::Close, [("/", ok_response("", b"cat"))]);
    let resolver = FakeResolver::default()
        .with_name("mixed.example", &[&["127.0.0.1", "::1", PUBLIC_IP], &["127.0.0.1"]]);

    let link = format!("http://mixed.example:{}/", site.port);
    let fetched = fetcher(site.port, resolver.clone()).fetch(&link).await.unwrap();

    assert_eq!(fetched.bytes, "cat");
    assert_eq!(resolver.lookup_count(), 1, "nobody looks it up again");
    assert!(!trap.has_connection());
}

fn assert_no_allowed_address(error: &FetchError, link: &str) {
    let has_no_address =
        matches!(error, FetchError::Unreachable { cause: UnreachableCause::NoAllowedAddress, .. });
    assert!(has_no_address, "{link}: {error:?}");
}
