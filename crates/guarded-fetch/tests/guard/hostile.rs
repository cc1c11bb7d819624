//! Links that try to lead the host where it must not go.

use crate::support::{Names, OPEN, Site, Then, Trap, fetcher, moved, ok, rules, trap_and_open};
use guarded_fetch::{Fetcher, Refusal, Rules, Unreached};
use std::time::Duration;
use tokio::time::timeout;

/// Every spelling of this machine, its networks and their metadata services; `PORT` is the trap's.
const PRIVATE: &[&str] = &[
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

/// Names, all of which the resolver of these tests says to be this machine.
const NAMES: &[&str] = &[
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
    let trap = Trap::set();
    let sixth = Trap::at(&format!("[::1]:{}", trap.port()));
    let rules = Rules { plain_http: true, ports: vec![trap.port()], ..Rules::default() };
    let fetcher = Fetcher::with_resolver(rules, Names::default());
    for link in PRIVATE {
        let link = link.replace("PORT", &trap.port().to_string());
        let refusal = fetcher.fetch(&link).await.unwrap_err();
        assert!(matches!(refusal, Refusal::NotPublic), "{link:?}: {refusal:?}");
        assert!(!trap.is_sprung(), "{link:?}");
        assert!(!sixth.as_ref().is_ok_and(Trap::is_sprung), "{link:?}");
    }
}

#[tokio::test]
async fn no_name_of_a_private_address_is_connected_to() {
    let trap = Trap::set();
    let rules = Rules { plain_http: true, ports: vec![trap.port()], ..Rules::default() };
    for name in NAMES {
        let hidden: &[&[&str]] = &[&["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0"]];
        let names = Names::default().and(&name.to_lowercase(), hidden);
        let link = format!("http://{name}:{}/", trap.port());
        let fetcher = Fetcher::with_resolver(rules.clone(), names);
        assert_not_open(&fetcher.fetch(&link).await.unwrap_err(), &link);
        assert!(!trap.is_sprung(), "{link}");
    }
}

#[tokio::test]
async fn the_name_of_this_machine_is_not_open_by_the_systems_own_word() {
    let trap = Trap::set();
    let rules = Rules { plain_http: true, ports: vec![trap.port()], ..Rules::default() };
    let fetcher = Fetcher::new(rules);
    for name in ["localhost", "LocalHost"] {
        let link = format!("http://{name}:{}/", trap.port());
        assert_not_open(&fetcher.fetch(&link).await.unwrap_err(), &link);
    }
    assert!(!trap.is_sprung());
}

#[tokio::test]
async fn an_operator_who_opens_the_network_is_led_there() {
    let trap = Trap::set();
    let rules = Rules { also: vec!["127.0.0.0/8".parse().unwrap()], ..rules(trap.port()) };
    let fetcher = Fetcher::with_resolver(rules, Names::default());
    let link = format!("http://2130706433:{}/", trap.port());
    let fetched = timeout(Duration::ZERO, fetcher.fetch(&link)).await;
    assert!(fetched.is_err(), "the trap does not answer");
    assert!(trap.is_sprung(), "the trap works");
}

#[tokio::test]
async fn what_is_no_https_link_to_a_usual_port_is_refused_by_its_name() {
    let fetcher = Fetcher::with_resolver(Rules::default(), Names::default());
    for (link, wanted) in [
        ("", "NotALink"),
        ("cat.png", "NotALink"),
        ("//example.com/cat.png", "NotALink"),
        ("https://", "NotALink"),
        ("https:///", "NotALink"),
        ("https://exa mple.com/", "NotALink"),
        ("https://[::1/", "NotALink"),
        ("https://256.256.256.256/", "NotALink"),
        ("https://example.com:99999/", "NotALink"),
        ("https://:443/", "NotALink"),
        ("ftp://example.com/cat.png", "Scheme(\"ftp\")"),
        ("file:///etc/passwd", "Scheme(\"file\")"),
        ("gopher://127.0.0.1:6379/_INFO", "Scheme(\"gopher\")"),
        ("data:image/png;base64,iVBORw0KGgo=", "Scheme(\"data\")"),
        ("javascript:alert(1)", "Scheme(\"javascript\")"),
        ("unix:/var/run/docker.sock", "Scheme(\"unix\")"),
        ("blob:https://example.com/1", "Scheme(\"blob\")"),
        ("http://example.com/cat.png", "PlainHttp"),
        ("https://user@example.com/", "Credentials"),
        ("https://user:pass@127.0.0.1/", "Credentials"),
        ("https://:pass@example.com/", "Credentials"),
        ("https://example.com@169.254.169.254/", "Credentials"),
        ("https://example.com:443@127.0.0.1/", "Credentials"),
        ("https://example.com%40127.0.0.1/", "NotALink"),
        ("https://example.com:22/", "Port(22)"),
        ("https://example.com:6379/", "Port(6379)"),
    ] {
        let refusal = fetcher.fetch(link).await.unwrap_err();
        assert_eq!(format!("{refusal:?}"), wanted, "{link}");
    }
    let long = format!("https://example.com/{}", "a".repeat(9000));
    assert!(matches!(fetcher.fetch(&long).await, Err(Refusal::NotALink)));
    let host = format!("https://{}example.com/", "a.".repeat(200));
    assert!(matches!(fetcher.fetch(&host).await, Err(Refusal::NotALink)));
}

#[tokio::test]
async fn a_host_that_is_not_listed_is_not_even_looked_up() {
    let names = Names::default();
    let hosts = guarded_fetch::Hosts::Only(vec!["*.example.com".parse().unwrap()]);
    let fetcher = Fetcher::with_resolver(Rules { hosts, ..Rules::default() }, names.clone());
    for host in ["example.com", "example.com.evil.test", "1.1.1.1"] {
        let refusal = fetcher.fetch(&format!("https://{host}/")).await.unwrap_err();
        assert!(matches!(&refusal, Refusal::Host(named) if named == host), "{refusal:?}");
    }
    assert_eq!(names.asked(), 0);
}

#[tokio::test]
async fn a_name_that_turns_private_between_two_questions_wins_nothing() {
    let (trap, open) = trap_and_open();
    let answers = [("/first", moved("/second").into_bytes()), ("/second", ok("", b"cat"))];
    let site = Site::on(open, Then::Close, answers);
    let names = Names::default().and("rebind.example", &[&[OPEN], &["127.0.0.1"]]);

    let link = format!("http://rebind.example:{}/first", site.port);
    let refusal = fetcher(site.port, names.clone()).fetch(&link).await.unwrap_err();

    assert_not_open(&refusal, &link);
    assert_eq!((site.asked().len(), names.asked()), (1, 2), "one question a connection");
    assert!(!trap.is_sprung());
}

#[tokio::test]
async fn the_connection_goes_to_the_address_that_was_judged() {
    let (trap, open) = trap_and_open();
    let site = Site::on(open, Then::Close, [("/", ok("", b"cat"))]);
    let names =
        Names::default().and("mixed.example", &[&["127.0.0.1", "::1", OPEN], &["127.0.0.1"]]);

    let link = format!("http://mixed.example:{}/", site.port);
    let fetched = fetcher(site.port, names.clone()).fetch(&link).await.unwrap();

    assert_eq!(fetched.bytes, "cat");
    assert_eq!(names.asked(), 1, "nobody looks it up again");
    assert!(!trap.is_sprung());
}

fn assert_not_open(refusal: &Refusal, link: &str) {
    let is_not_open = matches!(refusal, Refusal::Unreachable { cause: Unreached::NotOpen, .. });
    assert!(is_not_open, "{link}: {refusal:?}");
}
