//! What an operation answers, and the HTTP response that makes.

use crate::fault::Fault;
use crate::play::Frames;
use crate::record::Exchange;
use crate::socket::Fuse;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::response::Builder;
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use std::future::ready;
use std::io;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

pub(crate) enum Reply {
    Json {
        body: Value,
        headers: Vec<(&'static str, String)>,
    },
    Frames(Frames),
    Fault(Fault),
    Html(u16),
    /// Nothing but a reset connection.
    Reset,
}

impl From<Value> for Reply {
    fn from(body: Value) -> Self {
        Self::Json { body, headers: Vec::new() }
    }
}

impl Reply {
    /// The response, which the exchange ends with.
    pub(crate) fn into_response(
        self,
        exchange: Exchange,
        fuse: Fuse,
    ) -> io::Result<Response<Body>> {
        let response =
            Response::builder().header("x-amzn-RequestId", uuid::Uuid::new_v4().to_string());
        let response = match self {
            Self::Json { body, headers } => whole(
                with_headers(response, &headers),
                "application/json",
                body.to_string(),
                exchange,
            ),
            Self::Frames(frames) => streamed(response, frames, exchange, fuse),
            Self::Fault(fault) => refused(response, &fault, exchange),
            Self::Html(status) => {
                whole(response.status(status), "text/html", html(status), exchange)
            }
            Self::Reset => {
                fuse.blow();
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        };
        response.map_err(io::Error::other)
    }
}

fn refused(response: Builder, fault: &Fault, exchange: Exchange) -> http::Result<Response<Body>> {
    let kind = format!("{}:http://internal.amazon.com/coral/com.amazon.bedrock/", fault.kind());
    let response = with_headers(response.status(fault.status()), fault.headers())
        .header("x-amzn-ErrorType", kind);
    whole(response, "application/json", fault.body().to_string(), exchange)
}

fn with_headers<N: AsRef<str>>(response: Builder, headers: &[(N, String)]) -> Builder {
    headers.iter().fold(response, |response, (name, value)| response.header(name.as_ref(), value))
}

fn whole(
    response: Builder,
    media: &str,
    body: String,
    mut exchange: Exchange,
) -> http::Result<Response<Body>> {
    let response = response.header("content-type", media).header("content-length", body.len());
    let handed_over = async move {
        exchange.answered();
        Ok(Frame::data(Bytes::from(body)))
    };
    response.body(StreamBody::new(stream::once(handed_over)).boxed_unsync())
}

fn streamed(
    response: Builder,
    frames: Frames,
    mut exchange: Exchange,
    fuse: Fuse,
) -> http::Result<Response<Body>> {
    let handed_over = stream::once(async move { exchange.answered() }).filter_map(|()| ready(None));
    let frames = frames.map_ok(Frame::data).inspect_err(move |_| fuse.blow()).chain(handed_over);
    let response = response.header("content-type", "application/vnd.amazon.eventstream");
    response
        .header("x-amzn-bedrock-content-type", "application/json")
        .body(StreamBody::new(frames).boxed_unsync())
}

fn html(status: u16) -> String {
    let reason = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error");
    format!(
        "<html><head><title>{status} {reason}</title></head><body><h1>{status} {reason}</h1></body></html>"
    )
}
