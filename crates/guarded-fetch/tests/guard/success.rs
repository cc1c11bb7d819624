//! Successful fetches, and the requests that hosts get.

use crate::support::{FakeResolver, PUBLIC_IP, Site, UNUSED_IP, fetcher, ok_response, policy};
use guarded_fetch::{AllowedHosts, FetchPolicy, Fetcher};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_link_gives_its_bytes_and_their_media_type() {
    let answer = ok_response("Content-Type: image/png\r\nSet-Cookie: a=b\r\n", b"\x89PNG");
    let site = Site::with([("/cat.png", answer)]);
    let fetched = site.fetcher().fetch(&site.link("/cat.png")).await.unwrap();
    assert_eq!(fetched.bytes, &b"\x89PNG"[..]);
    assert_eq!(fetched.content_type.as_deref(), Some("image/png"));
}

#[tokio::test]
async fn a_request_has_no_more_headers_than_it_needs() {
    let site = Site::with([("/a/b%20c?d=e", ok_response("Set-Cookie: a=b\r\n", b"cat"))]);
    let resolver = FakeResolver::default().with_name("example.com", &[&[PUBLIC_IP]]);
    let fetcher = fetcher(site.port, resolver);
    for _ in 0..2 {
        fetcher.fetch(&format!("http://Example.com:{}/a/b c?d=e#f", site.port)).await.unwrap();
    }
    let version = env!("CARGO_PKG_VERSION");
    let wanted = format!(
        "GET /a/b%20c?d=e HTTP/1.1\r\n\
         host: example.com:{}\r\n\
         user-agent: pipewright/{version}\r\n\
         accept: */*\r\n\
         accept-encoding: identity\r\n\
         connection: close\r\n\r\n",
        site.port
    );
    assert_eq!(site.requests(), [wanted.clone(), wanted]);
}

#[tokio::test]
async fn listed_hosts_are_fetched_from() {
    let site = Site::with([("/", ok_response("", b"cat"))]);
    let resolver = FakeResolver::default().with_name("images.example.com", &[&[PUBLIC_IP]]);
    let hosts = AllowedHosts::Only(vec!["*.example.com".parse().unwrap()]);
    let fetcher =
        Fetcher::with_resolver(FetchPolicy { allowed_hosts: hosts, ..policy(site.port) }, resolver);
    let fetched = fetcher.fetch(&format!("http://images.example.com:{}/", site.port)).await;
    assert_eq!(fetched.unwrap().bytes, "cat");
}

#[tokio::test]
async fn an_address_that_accepts_no_connection_is_skipped() {
    let site = Site::with([("/", ok_response("", b"cat"))]);
    let resolver = FakeResolver::default().with_name("two.example", &[&[UNUSED_IP, PUBLIC_IP]]);
    let allowed_networks =
        [UNUSED_IP, PUBLIC_IP].map(|address| format!("{address}/32").parse().unwrap());
    let policy = FetchPolicy { allowed_networks: allowed_networks.to_vec(), ..policy(site.port) };
    let link = format!("http://two.example:{}/", site.port);
    let fetched = Fetcher::with_resolver(policy, resolver).fetch(&link).await;
    assert_eq!(fetched.unwrap().bytes, "cat");
}

#[tokio::test]
async fn one_client_fetches_many_things_at_once() {
    let site = Site::with([("/", ok_response("", b"cat"))]);
    let (fetcher, link) = (site.fetcher(), site.link("/"));
    let mut fetching = JoinSet::new();
    for _ in 0..8 {
        let (fetcher, link) = (fetcher.clone(), link.clone());
        fetching.spawn(async move { fetcher.fetch(&link).await });
    }
    while let Some(fetched) = fetching.join_next().await {
        assert_eq!(fetched.unwrap().unwrap().bytes, "cat");
    }
}
