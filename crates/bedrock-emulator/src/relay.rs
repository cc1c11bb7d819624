//! Has a real model answer, behind an OpenAI-compatible server.

mod question;
mod retelling;

use crate::catalogue::Model;
use crate::event::Events;
use crate::fault::Fault;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use retelling::Retelling;
use serde_json::Value;
use std::future::ready;

/// An OpenAI-compatible server, reached over plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Its base, such as `http://127.0.0.1:11434/v1`.
    pub url: String,
    /// The model to ask there; the Bedrock model's id if `None`.
    pub model: Option<String>,
    /// Its bearer key, if it wants one.
    pub key: Option<String>,
}

impl Relay {
    /// The server's answer to a `Converse` body, as Bedrock's events.
    pub(crate) async fn ask(&self, model: &Model, body: &Value) -> Result<Events, Fault> {
        let model = self.model.as_deref().unwrap_or(&model.id);
        let question = question::of(model, body).to_string();
        let request = self.request(question).map_err(unreachable)?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.map_err(unreachable)?;
        if response.status() != StatusCode::OK {
            return Err(refused(response).await);
        }
        Ok(retold(chunks(response.into_body())))
    }

    fn request(&self, question: String) -> http::Result<Request<Full<Bytes>>> {
        let url = format!("{}/chat/completions", self.url.trim_end_matches('/'));
        let request = Request::post(url)
            .header("content-type", "application/json")
            .header("accept", "text/event-stream");
        let request = match &self.key {
            Some(key) => request.header("authorization", format!("Bearer {key}")),
            None => request,
        };
        request.body(question.into())
    }
}

fn unreachable(error: impl std::error::Error) -> Fault {
    Fault::of(
        "ServiceUnavailableException",
        format!("The relay's server cannot be reached: {error}"),
    )
}

async fn refused(response: Response<Incoming>) -> Fault {
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let message =
        format!("The relay's server answered {status}: {}", String::from_utf8_lossy(&body));
    match status {
        StatusCode::TOO_MANY_REQUESTS => Fault::throttling(message),
        StatusCode::BAD_REQUEST => Fault::validation(message),
        _ => Fault::model_error(status.as_u16(), message),
    }
}

/// The JSON of each `data:` line.
fn chunks(body: Incoming) -> impl Stream<Item = Result<Value, Fault>> + Send {
    let lines = body.into_data_stream().scan(Vec::new(), |rest: &mut Vec<u8>, bytes| {
        ready(Some(match bytes {
            Ok(bytes) => whole_lines(rest, &bytes).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(Fault::stream_error(
                502,
                format!("The relay's server broke off: {error}"),
            ))],
        }))
    });
    lines.flat_map(stream::iter)
}

fn whole_lines(rest: &mut Vec<u8>, bytes: &[u8]) -> Vec<Value> {
    rest.extend_from_slice(bytes);
    let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let lines: Vec<u8> = rest.drain(..whole).collect();
    let data = lines.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data:"));
    data.filter_map(|json| serde_json::from_slice(json).ok()).collect()
}

fn retold(chunks: impl Stream<Item = Result<Value, Fault>> + Send + 'static) -> Events {
    let to_the_end = chunks.map(Some).chain(stream::once(ready(None)));
    let events = to_the_end.scan(Retelling::default(), |retelling, chunk| {
        ready(Some(match chunk {
            Some(Ok(chunk)) => retelling.tell(&chunk).into_iter().map(Ok).collect(),
            Some(Err(fault)) => vec![Err(fault)],
            None => retelling.end().into_iter().map(Ok).collect::<Vec<_>>(),
        }))
    });
    events.flat_map(stream::iter).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_come_in_pieces() {
        let mut rest = Vec::new();
        assert!(whole_lines(&mut rest, b"data: {\"a\"").is_empty());
        assert_eq!(
            whole_lines(&mut rest, b":1}\n\ndata: [DONE]\ndata: {"),
            [serde_json::json!({ "a": 1 })]
        );
        assert_eq!(rest, b"data: {");
    }
}
