//! The response of an operation, and its conversion to an HTTP response.

use crate::exception::BedrockException;
use crate::playback::Frames;
use crate::request_log::Exchange;
use crate::socket::ResetSwitch;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use http::response::Builder;
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use std::future::ready;
use std::io;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The response of an operation.
pub(crate) enum EmulatorResponse {
    Json {
        body: Value,
        headers: Vec<(&'static str, String)>,
    },
    Frames(Frames),
    Exception(BedrockException),
    Html(u16),
    /// A JSON response that does not arrive as it was.
    Damaged {
        body: Value,
        damage: Damage,
    },
}

/// The damage to a JSON response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// The connection is reset after half of the body.
    Reset,
    /// The connection is closed after half of the body.
    Truncated,
    /// The body is not JSON.
    Malformed,
}

impl From<Value> for EmulatorResponse {
    fn from(body: Value) -> Self {
        Self::Json { body, headers: Vec::new() }
    }
}

impl EmulatorResponse {
    /// Converts the response. The exchange ends when its body is dropped.
    pub(crate) fn into_response(
        self,
        exchange: Exchange,
        reset_switch: ResetSwitch,
    ) -> io::Result<Response<Body>> {
        let response =
            Response::builder().header("x-amzn-RequestId", uuid::Uuid::new_v4().to_string());
        let response = match self {
            Self::Json { body, headers } => full_response(
                with_headers(response, &headers),
                "application/json",
                body.to_string(),
                exchange,
            ),
            Self::Frames(frames) => streamed_response(response, frames, exchange, reset_switch),
            Self::Exception(fault) => exception_response(response, &fault, exchange),
            Self::Html(status) => {
                full_response(response.status(status), "text/html", html_page(status), exchange)
            }
            Self::Damaged { body, damage } => {
                damaged_response(response, body.to_string(), damage, exchange, reset_switch)
            }
        };
        response.map_err(io::Error::other)
    }
}

fn exception_response(
    response: Builder,
    fault: &BedrockException,
    exchange: Exchange,
) -> http::Result<Response<Body>> {
    let kind = format!("{}:http://internal.amazon.com/coral/com.amazon.bedrock/", fault.kind());
    let response = with_headers(response.status(fault.status()), fault.headers())
        .header("x-amzn-ErrorType", kind);
    full_response(response, "application/json", fault.body().to_string(), exchange)
}

fn with_headers<N: AsRef<str>>(response: Builder, headers: &[(N, String)]) -> Builder {
    headers.iter().fold(response, |response, (name, value)| response.header(name.as_ref(), value))
}

fn full_response(
    response: Builder,
    media: &str,
    body: String,
    mut exchange: Exchange,
) -> http::Result<Response<Body>> {
    let response = response.header("content-type", media).header("content-length", body.len());
    let handed_over = async move {
        exchange.complete();
        Ok(Frame::data(Bytes::from(body)))
    };
    response.body(StreamBody::new(stream::once(handed_over)).boxed_unsync())
}

fn damaged_response(
    response: Builder,
    mut body: String,
    damage: Damage,
    exchange: Exchange,
    reset_switch: ResetSwitch,
) -> http::Result<Response<Body>> {
    let length = body.len();
    body.truncate(body.floor_char_boundary(length / 2));
    if damage == Damage::Malformed {
        return full_response(response, "application/json", body, exchange);
    }
    let rest = async move {
        let _aborted = exchange;
        if damage == Damage::Reset {
            reset_switch.set();
        }
        Err(io::ErrorKind::ConnectionReset.into())
    };
    let frames = stream::iter([Ok(Frame::data(Bytes::from(body)))]).chain(flushed(rest));
    let response = response.header("content-type", "application/json");
    response.header("content-length", length).body(StreamBody::new(frames).boxed_unsync())
}

// Yields first, so that what was sent before leaves the connection.
/// Returns a stream of one item, which comes after the items before it were sent.
fn flushed<T>(last: impl Future<Output = T>) -> impl Stream<Item = T> {
    stream::once(async {
        tokio::task::yield_now().await;
        last.await
    })
}

fn streamed_response(
    response: Builder,
    frames: Frames,
    mut exchange: Exchange,
    reset_switch: ResetSwitch,
) -> http::Result<Response<Body>> {
    let handed_over = stream::once(async move { exchange.complete() }).filter_map(|()| ready(None));
    let frames =
        frames.map_ok(Frame::data).inspect_err(move |_| reset_switch.set()).chain(handed_over);
    let response = response.header("content-type", "application/vnd.amazon.eventstream");
    response
        .header("x-amzn-bedrock-content-type", "application/json")
        .body(StreamBody::new(frames).boxed_unsync())
}

fn html_page(status: u16) -> String {
    let reason = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error");
    format!(
        "<html><head><title>{status} {reason}</title></head><body><h1>{status} {reason}</h1></body></html>"
    )
}
