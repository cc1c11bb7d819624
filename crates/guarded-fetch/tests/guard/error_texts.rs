//! The texts of errors: they name a way out, and reveal no address.

use crate::support::{FakeResolver, PUBLIC_IP, Site, UNUSED_IP, ok_response, policy};
use guarded_fetch::{FetchError, FetchPolicy, Fetcher};
use std::error::Error;

#[tokio::test]
async fn texts_of_unreachable_hosts_are_all_the_same() {
    let site = Site::with([("/secret?token=1", "SSH-2.0-OpenSSH_9.9\r\n")]);
    let resolver = FakeResolver::default()
        .with_name("private.example", &[&["10.0.0.1"]])
        .with_name("metadata.example", &[&["169.254.169.254"]])
        .with_name("nobody.example", &[&[]])
        .with_name("closed.example", &[&[UNUSED_IP]])
        .with_name("open.example", &[&[PUBLIC_IP]]);
    let allowed_networks =
        [UNUSED_IP, PUBLIC_IP].map(|address| format!("{address}/32").parse().unwrap());
    let policy = FetchPolicy { allowed_networks: allowed_networks.to_vec(), ..policy(site.port) };
    let fetcher = Fetcher::with_resolver(policy, resolver);
    let mut texts = Vec::new();
    for name in ["unknown", "private", "metadata", "nobody", "closed", "open"] {
        let host = format!("{name}.example");
        let link = format!("http://{host}:{}/secret?token=1", site.port);
        let error = fetcher.fetch(&link).await.unwrap_err();
        assert!(error.source().is_some(), "the operator's log tells them apart");
        texts.push(error.to_string().replace(&host, "HOST"));
    }
    texts.dedup();
    assert_eq!(
        texts,
        [
            "nothing could be fetched from `HOST`: check that the link opens from anywhere, or send the file itself"
        ]
    );
}

#[tokio::test]
async fn a_refusal_names_the_way_out_and_no_address() {
    let fetcher = Fetcher::with_resolver(FetchPolicy::default(), FakeResolver::default());
    for (link, way_out) in [
        ("nonsense", "begins with https://"),
        ("ftp://example.com/", "begins with https://"),
        ("http://example.com/", "with https://"),
        ("https://me:secret@example.com/", "remove the part before the `@`"),
        ("https://example.com:8443/", "without a port"),
        ("https://10.0.0.1/", "opens from anywhere"),
        ("https://2130706433/", "opens from anywhere"),
        ("https://unknown.example/?token=secret", "opens from anywhere"),
    ] {
        let text = fetcher.fetch(link).await.unwrap_err().to_string();
        assert!(text.contains(way_out), "{link}: {text}");
        for hidden in ["10.0.0.1", "127.0.0.1", "secret", "token"] {
            assert!(!text.contains(hidden), "{link}: {text}");
        }
    }
}

#[tokio::test]
async fn the_status_of_the_host_is_in_the_text() {
    let site = Site::with([
        ("/gone", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".as_bytes().to_vec()),
        ("/large", ok_response("", &[0; 9])),
    ]);
    let error = site.fetcher().fetch(&site.link("/gone")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "`{PUBLIC_IP}` answered 404: check that the link opens without a login, or send the file itself"
        )
    );
    let policy = FetchPolicy { max_bytes: 8, ..policy(site.port) };
    let error = Fetcher::new(policy).fetch(&site.link("/large")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the file behind the link is larger than 8 bytes: send a smaller one"
    );
    let larger = FetchError::TooLarge(FetchPolicy::default().max_bytes);
    assert!(larger.to_string().contains("10 MiB"), "{larger}");
}
