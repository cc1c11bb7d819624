//! What a refusal tells, and what it must not.

use crate::support::{DESERTED, Names, OPEN, Site, ok, rules};
use guarded_fetch::{Fetcher, Refusal, Rules};
use std::error::Error;

#[tokio::test]
async fn nobody_can_map_a_network_by_what_is_said() {
    let site = Site::with([("/secret?token=1", "SSH-2.0-OpenSSH_9.9\r\n")]);
    let names = Names::default()
        .and("private.example", &[&["10.0.0.1"]])
        .and("metadata.example", &[&["169.254.169.254"]])
        .and("nobody.example", &[&[]])
        .and("closed.example", &[&[DESERTED]])
        .and("open.example", &[&[OPEN]]);
    let also = [DESERTED, OPEN].map(|address| format!("{address}/32").parse().unwrap());
    let rules = Rules { also: also.to_vec(), ..rules(site.port) };
    let fetcher = Fetcher::with_resolver(rules, names);
    let mut said = Vec::new();
    for name in ["unknown", "private", "metadata", "nobody", "closed", "open"] {
        let host = format!("{name}.example");
        let link = format!("http://{host}:{}/secret?token=1", site.port);
        let refusal = fetcher.fetch(&link).await.unwrap_err();
        assert!(refusal.source().is_some(), "the operator's log tells them apart");
        said.push(refusal.to_string().replace(&host, "HOST"));
    }
    said.dedup();
    assert_eq!(
        said,
        [
            "nothing could be fetched from `HOST`: check that the link opens from anywhere, or send the file itself"
        ]
    );
}

#[tokio::test]
async fn a_refusal_names_the_way_out_and_no_address() {
    let fetcher = Fetcher::with_resolver(Rules::default(), Names::default());
    for (link, way_out) in [
        ("nonsense", "begins with https://"),
        ("ftp://example.com/", "begins with https://"),
        ("http://example.com/", "with https://"),
        ("https://me:secret@example.com/", "remove what stands before the `@`"),
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
async fn what_a_host_answered_is_told() {
    let site = Site::with([
        ("/gone", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".as_bytes().to_vec()),
        ("/large", ok("", &[0; 9])),
    ]);
    let refusal = site.fetcher().fetch(&site.link("/gone")).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        format!(
            "`{OPEN}` answered 404: check that the link opens without a login, or send the file itself"
        )
    );
    let rules = Rules { most_bytes: 8, ..rules(site.port) };
    let refusal = Fetcher::new(rules).fetch(&site.link("/large")).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "what the link leads to is larger than 8 bytes: send something smaller"
    );
    let larger = Refusal::TooLarge(Rules::default().most_bytes);
    assert!(larger.to_string().contains("10 MiB"), "{larger}");
}
