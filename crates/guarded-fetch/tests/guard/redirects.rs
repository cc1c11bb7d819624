//! Redirects.

use crate::support::{
    AfterResponse, FakeResolver, PUBLIC_IP, Site, bind_trap_and_public, fetcher, ok_response,
    policy, redirect_to,
};
use guarded_fetch::{FetchError, FetchPolicy, Fetcher};

#[tokio::test]
async fn redirects_are_followed_to_their_end() {
    let site = Site::with([
        ("/a?x=1", redirect_to("b").into_bytes()),
        ("/b", redirect_to("/c/d").into_bytes()),
        ("/c/d", redirect_to("../e#part").into_bytes()),
        ("/e", ok_response("", b"cat")),
    ]);
    let fetched = site.fetcher().fetch(&site.link("/a?x=1#top")).await.unwrap();
    assert_eq!(fetched.bytes, "cat");
}

#[tokio::test]
async fn one_more_than_the_rules_allow_is_too_many() {
    let site = Site::with([("/", redirect_to("/"))]);
    let error = site.fetcher().fetch(&site.link("/")).await.unwrap_err();
    assert!(matches!(error, FetchError::TooManyRedirects(3)), "{error:?}");
    assert_eq!(site.requests().len(), 4);

    let policy = FetchPolicy { max_redirects: 0, ..policy(site.port) };
    let error = Fetcher::new(policy).fetch(&site.link("/")).await.unwrap_err();
    assert!(matches!(error, FetchError::TooManyRedirects(0)), "{error:?}");
    assert_eq!(site.requests().len(), 5);
}

#[tokio::test]
async fn a_redirect_is_judged_like_a_link() {
    let (trap, open) = bind_trap_and_public();
    let port = trap.port();
    let resolver = FakeResolver::default().with_name("inside.example", &[&["127.0.0.1"]]);
    let locations = [
        (format!("http://127.0.0.1:{port}/"), "PrivateAddress"),
        (format!("//2130706433:{port}/"), "PrivateAddress"),
        (format!("http://[::ffff:127.0.0.1]:{port}/"), "PrivateAddress"),
        ("http://169.254.169.254/latest/meta-data/".to_owned(), "PortNotAllowed(80)"),
        (format!("http://169.254.169.254:{port}/latest/meta-data/"), "PrivateAddress"),
        (format!("http://inside.example:{port}/"), "Unreachable"),
        (format!("http://user@{PUBLIC_IP}:{port}/"), "Credentials"),
        (format!("http://{PUBLIC_IP}:1/"), "PortNotAllowed(1)"),
        ("file:///etc/passwd".to_owned(), "UnsupportedScheme(\"file\")"),
        ("http://".to_owned(), "InvalidUrl"),
        (format!("/{}", "a".repeat(9000)), "InvalidUrl"),
    ];
    let answers = locations.iter().enumerate();
    let answers = answers.map(|(nth, (location, _))| (format!("/{nth}"), redirect_to(location)));
    let site = Site::on_listener(open, AfterResponse::Close, answers);
    for (nth, (location, wanted)) in locations.iter().enumerate() {
        let link = site.link(&format!("/{nth}"));
        let error = fetcher(port, resolver.clone()).fetch(&link).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(wanted), "{location}: {error:?}");
        assert!(!trap.has_connection(), "{location}");
    }
    assert_eq!(site.requests().len(), locations.len());
}

#[tokio::test]
async fn a_redirect_without_a_place_is_no_answer() {
    let site = Site::with([("/", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")]);
    let error = site.fetcher().fetch(&site.link("/")).await.unwrap_err();
    assert!(matches!(error, FetchError::Status { .. }), "{error:?}");
}

#[tokio::test]
async fn a_redirect_leaves_the_listed_hosts_by_no_way() {
    let site = Site::with([("/", redirect_to("http://other.example/"))]);
    let hosts = guarded_fetch::AllowedHosts::Only(vec![PUBLIC_IP.parse().unwrap()]);
    let policy = FetchPolicy {
        allowed_hosts: hosts,
        allowed_ports: vec![80, site.port],
        ..policy(site.port)
    };
    let resolver = FakeResolver::default();
    let error =
        Fetcher::with_resolver(policy, resolver.clone()).fetch(&site.link("/")).await.unwrap_err();
    assert!(
        matches!(&error, FetchError::HostNotAllowed(host) if host == "other.example"),
        "{error:?}"
    );
    assert_eq!(resolver.lookup_count(), 0);
}
