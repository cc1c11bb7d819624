//! Links that lead on.

use crate::support::{Names, OPEN, Site, Then, fetcher, moved, ok, rules, trap_and_open};
use guarded_fetch::{Fetcher, Refusal, Rules};

#[tokio::test]
async fn redirects_are_followed_to_their_end() {
    let site = Site::with([
        ("/a?x=1", moved("b").into_bytes()),
        ("/b", moved("/c/d").into_bytes()),
        ("/c/d", moved("../e#part").into_bytes()),
        ("/e", ok("", b"cat")),
    ]);
    let fetched = site.fetcher().fetch(&site.link("/a?x=1#top")).await.unwrap();
    assert_eq!(fetched.bytes, "cat");
}

#[tokio::test]
async fn one_more_than_the_rules_allow_is_too_many() {
    let site = Site::with([("/", moved("/"))]);
    let refusal = site.fetcher().fetch(&site.link("/")).await.unwrap_err();
    assert!(matches!(refusal, Refusal::TooManyRedirects(3)), "{refusal:?}");
    assert_eq!(site.asked().len(), 4);

    let rules = Rules { most_redirects: 0, ..rules(site.port) };
    let refusal = Fetcher::new(rules).fetch(&site.link("/")).await.unwrap_err();
    assert!(matches!(refusal, Refusal::TooManyRedirects(0)), "{refusal:?}");
    assert_eq!(site.asked().len(), 5);
}

#[tokio::test]
async fn a_redirect_is_judged_like_a_link() {
    let (trap, open) = trap_and_open();
    let port = trap.port();
    let names = Names::default().and("inside.example", &[&["127.0.0.1"]]);
    let locations = [
        (format!("http://127.0.0.1:{port}/"), "NotPublic"),
        (format!("//2130706433:{port}/"), "NotPublic"),
        (format!("http://[::ffff:127.0.0.1]:{port}/"), "NotPublic"),
        ("http://169.254.169.254/latest/meta-data/".to_owned(), "Port(80)"),
        (format!("http://169.254.169.254:{port}/latest/meta-data/"), "NotPublic"),
        (format!("http://inside.example:{port}/"), "Unreachable"),
        (format!("http://user@{OPEN}:{port}/"), "Credentials"),
        (format!("http://{OPEN}:1/"), "Port(1)"),
        ("file:///etc/passwd".to_owned(), "Scheme(\"file\")"),
        ("http://".to_owned(), "NotALink"),
        (format!("/{}", "a".repeat(9000)), "NotALink"),
    ];
    let answers = locations.iter().enumerate();
    let answers = answers.map(|(nth, (location, _))| (format!("/{nth}"), moved(location)));
    let site = Site::on(open, Then::Close, answers);
    for (nth, (location, wanted)) in locations.iter().enumerate() {
        let link = site.link(&format!("/{nth}"));
        let refusal = fetcher(port, names.clone()).fetch(&link).await.unwrap_err();
        assert!(format!("{refusal:?}").starts_with(wanted), "{location}: {refusal:?}");
        assert!(!trap.is_sprung(), "{location}");
    }
    assert_eq!(site.asked().len(), locations.len());
}

#[tokio::test]
async fn a_redirect_without_a_place_is_no_answer() {
    let site = Site::with([("/", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")]);
    let refusal = site.fetcher().fetch(&site.link("/")).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Status { .. }), "{refusal:?}");
}

#[tokio::test]
async fn a_redirect_leaves_the_listed_hosts_by_no_way() {
    let site = Site::with([("/", moved("http://other.example/"))]);
    let hosts = guarded_fetch::Hosts::Only(vec![OPEN.parse().unwrap()]);
    let rules = Rules { hosts, ports: vec![80, site.port], ..rules(site.port) };
    let names = Names::default();
    let refusal =
        Fetcher::with_resolver(rules, names.clone()).fetch(&site.link("/")).await.unwrap_err();
    assert!(matches!(&refusal, Refusal::Host(host) if host == "other.example"), "{refusal:?}");
    assert_eq!(names.asked(), 0);
}
