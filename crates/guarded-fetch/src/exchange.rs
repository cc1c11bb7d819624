//! One request to one host, and its response within the limits of the policy.

use crate::{FetchError, FetchPolicy, UnreachableCause, connection::IoStream, target::Target};
use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use http::{HeaderMap, HeaderName, Response, header};
use http_body_util::BodyExt;
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use std::pin::pin;
use tokio::time::{Instant, timeout_at};

/// The file that a link leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedFile {
    /// The whole content.
    pub bytes: Bytes,
    /// The `Content-Type` that the host sent. Hosts often send a wrong one.
    pub content_type: Option<String>,
}

/// The result of one request.
pub(crate) enum Outcome {
    File(FetchedFile),
    Redirect { location: String },
}

/// Requests the target over this connection, until the deadline. Dropping the future closes the
/// connection.
pub(crate) async fn send_request(
    stream: Box<dyn IoStream>,
    target: &Target,
    policy: &FetchPolicy,
    deadline: Instant,
) -> Result<Outcome, FetchError> {
    let unreachable = |cause| FetchError::Unreachable { host: target.host.to_string(), cause };
    let not_http = |error: hyper::Error| unreachable(UnreachableCause::NotHttp(error.into()));

    let request = target.request().map_err(|_| FetchError::InvalidUrl)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(not_http)?;
    let exchange = async {
        let response = timeout_at(deadline, sender.send_request(request))
            .await
            .map_err(|_| unreachable(UnreachableCause::TimedOut))?
            .map_err(not_http)?;
        read_response(response, target, policy, deadline).await
    };
    // The connection task moves the bytes, so both futures are polled together. It may end before
    // the last bytes are read.
    match select(pin!(exchange), pin!(connection)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right((_, exchange)) => exchange.await,
    }
}

/// Reads the response: a redirect, or a file of at most the allowed size.
async fn read_response(
    response: Response<Incoming>,
    target: &Target,
    policy: &FetchPolicy,
    deadline: Instant,
) -> Result<Outcome, FetchError> {
    let (head, body) = response.into_parts();
    let host = || target.host.to_string();
    if let (true, Some(location)) =
        (head.status.is_redirection(), header_text(&head.headers, header::LOCATION))
    {
        return Ok(Outcome::Redirect { location });
    }
    if !head.status.is_success() {
        return Err(FetchError::Status { host: host(), status: head.status });
    }
    let encoding = header_text(&head.headers, header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(FetchError::Compressed(host()));
    }
    let bytes = timeout_at(deadline, read_body(body, policy.max_bytes, host))
        .await
        .map_err(|_| FetchError::TimedOut { host: host(), limit: policy.total_timeout })??;
    Ok(Outcome::File(FetchedFile {
        bytes,
        content_type: header_text(&head.headers, header::CONTENT_TYPE),
    }))
}

/// Reads the whole body. Returns an error if its `Content-Length` or its size exceeds the limit.
async fn read_body(
    mut body: Incoming,
    max_bytes: usize,
    host: impl Fn() -> String,
) -> Result<Bytes, FetchError> {
    let content_length = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if content_length > max_bytes {
        return Err(FetchError::TooLarge(max_bytes));
    }
    // The buffer grows with the bytes that arrive, because the Content-Length may be false.
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|cause| FetchError::Interrupted { host: host(), cause })?;
        let data = frame.into_data().unwrap_or_default();
        if data.len() > max_bytes - bytes.len() {
            return Err(FetchError::TooLarge(max_bytes));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Returns the value of a header if it is UTF-8.
fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    std::str::from_utf8(headers.get(name)?.as_bytes()).ok().map(|value| value.trim().to_owned())
}
