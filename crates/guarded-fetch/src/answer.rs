//! One question to one host, and its answer within limits.

use crate::{Refusal, Rules, Unreached, connection::Stream, target::Target};
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

/// What a link led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// All of it.
    pub bytes: Bytes,
    /// What its host says that it is; hosts are often wrong.
    pub content_type: Option<String>,
}

/// What a host answered.
pub(crate) enum Answer {
    Fetched(Fetched),
    Moved { location: String },
}

/// Asks for the target over this connection, until the deadline. Dropping it ends the connection.
pub(crate) async fn ask(
    stream: Box<dyn Stream>,
    target: &Target,
    rules: &Rules,
    deadline: Instant,
) -> Result<Answer, Refusal> {
    let unreachable = |cause| Refusal::Unreachable { host: target.host.to_string(), cause };
    let not_http = |error: hyper::Error| unreachable(Unreached::NotHttp(error.into()));

    let request = target.request().map_err(|_| Refusal::NotALink)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(not_http)?;
    let exchange = async {
        let response = timeout_at(deadline, sender.send_request(request))
            .await
            .map_err(|_| unreachable(Unreached::Silent))?
            .map_err(not_http)?;
        answer(response, target, rules, deadline).await
    };
    // The connection moves the bytes, so both go on together; it may end before the last of them were read.
    match select(pin!(exchange), pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, exchange)) => exchange.await,
    }
}

async fn answer(
    response: Response<Incoming>,
    target: &Target,
    rules: &Rules,
    deadline: Instant,
) -> Result<Answer, Refusal> {
    let (head, body) = response.into_parts();
    let host = || target.host.to_string();
    if let (true, Some(location)) =
        (head.status.is_redirection(), text(&head.headers, header::LOCATION))
    {
        return Ok(Answer::Moved { location });
    }
    if !head.status.is_success() {
        return Err(Refusal::Status { host: host(), status: head.status });
    }
    let packed = text(&head.headers, header::CONTENT_ENCODING);
    if packed.is_some_and(|packed| !packed.eq_ignore_ascii_case("identity")) {
        return Err(Refusal::Packed(host()));
    }
    let bytes = timeout_at(deadline, whole(body, rules.most_bytes, host))
        .await
        .map_err(|_| Refusal::TooSlow { host: host(), most: rules.total })??;
    Ok(Answer::Fetched(Fetched { bytes, content_type: text(&head.headers, header::CONTENT_TYPE) }))
}

/// The whole body, unless it is too large: as it says itself, or as it turns out to be.
async fn whole(
    mut body: Incoming,
    most: usize,
    host: impl Fn() -> String,
) -> Result<Bytes, Refusal> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > most {
        return Err(Refusal::TooLarge(most));
    }
    // Room is made as the bytes come: what was announced is only a claim.
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|cause| Refusal::Broken { host: host(), cause })?;
        let data = frame.into_data().unwrap_or_default();
        if data.len() > most - bytes.len() {
            return Err(Refusal::TooLarge(most));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    std::str::from_utf8(headers.get(name)?.as_bytes()).ok().map(|value| value.trim().to_owned())
}
