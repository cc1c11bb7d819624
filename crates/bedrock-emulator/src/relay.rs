//! Relays requests to a real model behind an OpenAI-compatible server.

mod chat_request;
mod stream_translator;

use crate::catalogue::FoundationModel;
use crate::event::AnswerStream;
use crate::exception::BedrockException;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::future::ready;
use stream_translator::StreamTranslator;

/// An OpenAI-compatible server, over plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// The base URL, such as `http://127.0.0.1:11434/v1`.
    pub url: String,
    /// The model on that server; the Bedrock model's id if `None`.
    pub model: Option<String>,
    /// The API key, if the server needs one.
    pub key: Option<String>,
}

impl Relay {
    /// Sends a `Converse` body to the server, and returns the answer as Bedrock's events.
    pub(crate) async fn stream_answer(
        &self,
        model: &FoundationModel,
        body: &Value,
    ) -> Result<AnswerStream, BedrockException> {
        let model = self.model.as_deref().unwrap_or(&model.id);
        let body_json = chat_request::from_converse(model, body).to_string();
        let request = self.request(body_json).map_err(connection_error)?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.map_err(connection_error)?;
        if response.status() != StatusCode::OK {
            return Err(response_error(response).await);
        }
        Ok(translate(chunks(response.into_body())))
    }

    /// Returns a request for a chat, to the OpenAI-compatible server.
    fn request(&self, body_json: String) -> http::Result<Request<Full<Bytes>>> {
        let url = format!("{}/chat/completions", self.url.trim_end_matches('/'));
        let request = Request::post(url)
            .header("content-type", "application/json")
            .header("accept", "text/event-stream");
        let request = match &self.key {
            Some(key) => request.header("authorization", format!("Bearer {key}")),
            None => request,
        };
        request.body(body_json.into())
    }
}

fn connection_error(error: impl std::error::Error) -> BedrockException {
    BedrockException::from_name(
        "ServiceUnavailableException",
        format!("The relay's server cannot be reached: {error}"),
    )
}

async fn response_error(response: Response<Incoming>) -> BedrockException {
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
        StatusCode::TOO_MANY_REQUESTS => BedrockException::throttling(message),
        StatusCode::BAD_REQUEST => BedrockException::validation(message),
        _ => BedrockException::model_error(status.as_u16(), message),
    }
}

/// Returns the JSON of each `data:` line.
fn chunks(body: Incoming) -> impl Stream<Item = Result<Value, BedrockException>> + Send {
    let lines = body.into_data_stream().scan(Vec::new(), |rest: &mut Vec<u8>, bytes| {
        ready(Some(match bytes {
            Ok(bytes) => whole_lines(rest, &bytes).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(BedrockException::stream_error(
                502,
                format!("The relay's server broke off: {error}"),
            ))],
        }))
    });
    lines.flat_map(stream::iter)
}

/// Returns the JSON of the `data:` lines that are complete; the beginning of the next line stays in
/// `rest`.
fn whole_lines(rest: &mut Vec<u8>, bytes: &[u8]) -> Vec<Value> {
    rest.extend_from_slice(bytes);
    let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let lines: Vec<u8> = rest.drain(..whole).collect();
    let data = lines.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data:"));
    data.filter_map(|json| serde_json::from_slice(json).ok()).collect()
}

/// Translates the chunks of an OpenAI-compatible server into events of `ConverseStream`.
fn translate(
    chunks: impl Stream<Item = Result<Value, BedrockException>> + Send + 'static,
) -> AnswerStream {
    let to_the_end = chunks.map(Some).chain(stream::once(ready(None)));
    let events = to_the_end.scan(StreamTranslator::default(), |stream_translator, chunk| {
        ready(Some(match chunk {
            Some(Ok(chunk)) => stream_translator.translate(&chunk).into_iter().map(Ok).collect(),
            Some(Err(fault)) => vec![Err(fault)],
            None => stream_translator.finish().into_iter().map(Ok).collect::<Vec<_>>(),
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
