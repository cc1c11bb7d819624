//! Answers that are too large, too slow, packed or broken.

use crate::support::{Names, OPEN, Site, Then, Trap, ok, rules};
use futures_util::future::join;
use guarded_fetch::{Fetcher, Refusal, Rules, Unreached};
use tokio::{io::AsyncReadExt, net::TcpListener};

/// What fetching gives where at most 8 bytes are taken.
async fn refusal(site: &Site) -> Refusal {
    let rules = Rules { most_bytes: 8, ..rules(site.port) };
    Fetcher::new(rules).fetch(&site.link("/")).await.unwrap_err()
}

fn chunked(headers: &str, chunks: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{headers}\r\n{chunks}")
}

#[tokio::test]
async fn an_answer_that_says_it_is_too_large_is_not_read() {
    // It stalls before the first byte: only its announcement can be what is refused.
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    let site = Site::that(Then::Stall, [("/", head)]);
    assert!(matches!(refusal(&site).await, Refusal::TooLarge(8)));
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551613\r\n\r\n";
    let site = Site::that(Then::Stall, [("/", head)]);
    assert!(matches!(refusal(&site).await, Refusal::TooLarge(8)));
}

#[tokio::test]
async fn an_answer_that_turns_out_too_large_is_read_no_further() {
    let site = Site::that(Then::Stall, [("/", chunked("", "5\r\n12345\r\n4\r\n6789\r\n"))]);
    assert!(matches!(refusal(&site).await, Refusal::TooLarge(8)));
    let site = Site::that(Then::Stall, [("/", "HTTP/1.1 200 OK\r\n\r\n123456789")]);
    assert!(matches!(refusal(&site).await, Refusal::TooLarge(8)));
}

#[tokio::test]
async fn an_answer_of_exactly_the_largest_size_is_taken() {
    let answers = [
        ok("", b"12345678"),
        chunked("", "5\r\n12345\r\n3\r\n678\r\n0\r\n\r\n").into_bytes(),
        b"HTTP/1.1 200 OK\r\n\r\n12345678".to_vec(),
    ];
    for answer in answers {
        let site = Site::with([("/", answer)]);
        let rules = Rules { most_bytes: 8, ..rules(site.port) };
        let fetched = Fetcher::new(rules).fetch(&site.link("/")).await.unwrap();
        assert_eq!(fetched.bytes, "12345678");
    }
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n1234";
    let site = Site::that(Then::Stall, [("/", head)]);
    let refusal = refusal(&site).await;
    assert!(matches!(refusal, Refusal::TooSlow { .. }), "{refusal:?}");
    assert!(refusal.to_string().contains("10 s"), "{refusal}");
}

#[tokio::test]
async fn a_host_that_begins_no_answer_is_given_up() {
    for begun in ["", "HTTP/1.1 200 OK\r\n"] {
        let site = Site::that(Then::Stall, [("/", begun)]);
        let refusal = refusal(&site).await;
        let is_silent = matches!(refusal, Refusal::Unreachable { cause: Unreached::Silent, .. });
        assert!(is_silent, "{refusal:?}");
        tokio::time::resume();
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_agrees_on_no_encryption_is_given_up_as_if_it_were_not_there() {
    // The kernel takes the connection, and nobody ever answers.
    let silent = Trap::at(&format!("{OPEN}:0")).unwrap();
    let fetcher = Fetcher::with_resolver(rules(silent.port()), Names::default());
    let begun = tokio::time::Instant::now();
    let link = format!("https://{OPEN}:{}/", silent.port());
    let refusal = fetcher.fetch(&link).await.unwrap_err();
    assert!(
        matches!(refusal, Refusal::Unreachable { cause: Unreached::Silent, .. }),
        "{refusal:?}"
    );
    assert!((3..4).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_https_link_is_never_asked_in_the_clear() {
    const HANDSHAKE: u8 = 0x16;
    let listener = TcpListener::bind((OPEN, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let fetcher = Fetcher::new(rules(port));
    let link = format!("https://{OPEN}:{port}/");
    let first_byte = async { listener.accept().await.unwrap().0.read_u8().await.unwrap() };
    let (fetched, first_byte) = join(fetcher.fetch(&link), first_byte).await;
    assert_eq!(first_byte, HANDSHAKE);
    let refusal = fetched.unwrap_err();
    let cause = matches!(refusal, Refusal::Unreachable { cause: Unreached::Connection(_), .. });
    assert!(cause, "{refusal:?}");
}

#[tokio::test]
async fn a_packed_answer_is_refused_and_not_unpacked() {
    for packing in ["gzip", "br", "zstd", "deflate, gzip"] {
        let site = Site::with([("/", ok(&format!("Content-Encoding: {packing}\r\n"), b"bomb"))]);
        assert!(matches!(refusal(&site).await, Refusal::Packed(_)), "{packing}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_taken_for_a_whole_one() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n1234".to_owned(),
        chunked("", "5\r\n12345\r\n"),
        chunked("", "x\r\n"),
    ] {
        let site = Site::with([("/", answer)]);
        let refusal = refusal(&site).await;
        assert!(matches!(refusal, Refusal::Broken { .. }), "{refusal:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    for answer in
        ["SSH-2.0-OpenSSH_9.9\r\n", "-ERR unknown command\r\n\r\n", "HTTP/9.9 200\r\n\r\n"]
    {
        let site = Site::with([("/", answer)]);
        let refusal = refusal(&site).await;
        let is_no_http =
            matches!(refusal, Refusal::Unreachable { cause: Unreached::NotHttp(_), .. });
        assert!(is_no_http, "{refusal:?}");
    }
}
