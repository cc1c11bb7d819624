//! Responses that are too large, too slow, compressed or incomplete.

use crate::support::{AfterResponse, FakeResolver, PUBLIC_IP, Site, Trap, ok_response, policy};
use futures_util::future::join;
use guarded_fetch::{FetchError, FetchPolicy, Fetcher, UnreachableCause};
use tokio::{io::AsyncReadExt, net::TcpListener};

/// Returns the error of a fetch with a limit of 8 bytes.
async fn fetch_error(site: &Site) -> FetchError {
    let policy = FetchPolicy { max_bytes: 8, ..policy(site.port) };
    Fetcher::new(policy).fetch(&site.link("/")).await.unwrap_err()
}

fn chunked(headers: &str, chunks: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{headers}\r\n{chunks}")
}

#[tokio::test]
async fn a_response_with_too_large_a_content_length_is_not_read() {
    // The host stalls before the first byte of the body, so only its Content-Length can be refused.
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    let site = Site::with_end(AfterResponse::Stall, [("/", head)]);
    assert!(matches!(fetch_error(&site).await, FetchError::TooLarge(8)));
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551613\r\n\r\n";
    let site = Site::with_end(AfterResponse::Stall, [("/", head)]);
    assert!(matches!(fetch_error(&site).await, FetchError::TooLarge(8)));
}

#[tokio::test]
async fn an_answer_that_turns_out_too_large_is_read_no_further() {
    let site =
        Site::with_end(AfterResponse::Stall, [("/", chunked("", "5\r\n12345\r\n4\r\n6789\r\n"))]);
    assert!(matches!(fetch_error(&site).await, FetchError::TooLarge(8)));
    let site = Site::with_end(AfterResponse::Stall, [("/", "HTTP/1.1 200 OK\r\n\r\n123456789")]);
    assert!(matches!(fetch_error(&site).await, FetchError::TooLarge(8)));
}

#[tokio::test]
async fn an_answer_of_exactly_the_largest_size_is_taken() {
    let answers = [
        ok_response("", b"12345678"),
        chunked("", "5\r\n12345\r\n3\r\n678\r\n0\r\n\r\n").into_bytes(),
        b"HTTP/1.1 200 OK\r\n\r\n12345678".to_vec(),
    ];
    for answer in answers {
        let site = Site::with([("/", answer)]);
        let policy = FetchPolicy { max_bytes: 8, ..policy(site.port) };
        let fetched = Fetcher::new(policy).fetch(&site.link("/")).await.unwrap();
        assert_eq!(fetched.bytes, "12345678");
    }
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n1234";
    let site = Site::with_end(AfterResponse::Stall, [("/", head)]);
    let error = fetch_error(&site).await;
    assert!(matches!(error, FetchError::TimedOut { .. }), "{error:?}");
    assert!(error.to_string().contains("10 s"), "{error}");
}

#[tokio::test]
async fn a_host_that_begins_no_answer_is_given_up() {
    for begun in ["", "HTTP/1.1 200 OK\r\n"] {
        let site = Site::with_end(AfterResponse::Stall, [("/", begun)]);
        let error = fetch_error(&site).await;
        let is_silent =
            matches!(error, FetchError::Unreachable { cause: UnreachableCause::TimedOut, .. });
        assert!(is_silent, "{error:?}");
        tokio::time::resume();
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_agrees_on_no_encryption_is_given_up_as_if_it_were_not_there() {
    // The kernel accepts the connection, and nothing ever answers.
    let silent = Trap::bind(&format!("{PUBLIC_IP}:0")).unwrap();
    let fetcher = Fetcher::with_resolver(policy(silent.port()), FakeResolver::default());
    let begun = tokio::time::Instant::now();
    let link = format!("https://{PUBLIC_IP}:{}/", silent.port());
    let error = fetcher.fetch(&link).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Unreachable { cause: UnreachableCause::TimedOut, .. }),
        "{error:?}"
    );
    assert!((3..4).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_https_link_is_never_asked_in_the_clear() {
    const HANDSHAKE: u8 = 0x16;
    let listener = TcpListener::bind((PUBLIC_IP, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let fetcher = Fetcher::new(policy(port));
    let link = format!("https://{PUBLIC_IP}:{port}/");
    let first_byte = async { listener.accept().await.unwrap().0.read_u8().await.unwrap() };
    let (fetched, first_byte) = join(fetcher.fetch(&link), first_byte).await;
    assert_eq!(first_byte, HANDSHAKE);
    let error = fetched.unwrap_err();
    let cause =
        matches!(error, FetchError::Unreachable { cause: UnreachableCause::Connection(_), .. });
    assert!(cause, "{error:?}");
}

#[tokio::test]
async fn a_packed_answer_is_refused_and_not_unpacked() {
    for packing in ["gzip", "br", "zstd", "deflate, gzip"] {
        let site =
            Site::with([("/", ok_response(&format!("Content-Encoding: {packing}\r\n"), b"bomb"))]);
        assert!(matches!(fetch_error(&site).await, FetchError::Compressed(_)), "{packing}");
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
        let error = fetch_error(&site).await;
        assert!(matches!(error, FetchError::Interrupted { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    for answer in
        ["SSH-2.0-OpenSSH_9.9\r\n", "-ERR unknown command\r\n\r\n", "HTTP/9.9 200\r\n\r\n"]
    {
        let site = Site::with([("/", answer)]);
        let error = fetch_error(&site).await;
        let is_no_http =
            matches!(error, FetchError::Unreachable { cause: UnreachableCause::NotHttp(_), .. });
        assert!(is_no_http, "{error:?}");
    }
}
