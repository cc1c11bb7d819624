//! The least that a chat proxy on actix-web and hyper costs: no key, no log, no metrics, no
//! signature, no limits. Benchmarks give other servers' figures as multiples of its own.

use actix_web::{
    App, HttpResponse, HttpServer, error,
    http::header::ContentType,
    web::{self, Data},
};
use bytes::{Bytes, BytesMut};
use clap::{Parser, ValueEnum};
use futures_util::{Stream, StreamExt as _};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use load_bench::event_stream::read_frame;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    future::{Ready, ready},
    net::SocketAddr,
};

/// A proxy that does the least work for a chat, as a floor for measurements.
#[derive(Clone, Parser)]
struct Arguments {
    /// The address to listen on
    #[arg(long)]
    listen: SocketAddr,

    /// The address of the upstream
    #[arg(long)]
    upstream: SocketAddr,

    /// The protocol of the upstream
    #[arg(long)]
    protocol: Protocol,
}

/// The protocol of the upstream.
#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    /// Each event is parsed, and written again.
    OpenAi,
    /// `Converse` and `ConverseStream`, without a signature.
    Bedrock,
}

/// A proxy that does the least that a host must do.
struct Proxy {
    upstream: SocketAddr,
    protocol: Protocol,
    client: Client<HttpConnector, Full<Bytes>>,
}

#[derive(Deserialize)]
struct Chat<'a> {
    model: &'a str,
    #[serde(default)]
    stream: bool,
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    role: &'a str,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Deserialize, Serialize)]
struct ChatChunk<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    object: Cow<'a, str>,
    created: u64,
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize, Serialize)]
struct Choice<'a> {
    index: u32,
    #[serde(borrow)]
    delta: Delta<'a>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Serialize)]
struct Delta<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    role: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    content: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct BlockDelta<'a> {
    #[serde(borrow)]
    delta: TextDelta<'a>,
}

#[derive(Deserialize)]
struct TextDelta<'a> {
    #[serde(borrow)]
    text: &'a RawValue,
}

#[derive(Deserialize)]
struct ConverseAnswer<'a> {
    #[serde(borrow)]
    output: ConverseOutput<'a>,
    usage: ConverseUsage,
}

#[derive(Deserialize)]
struct ConverseOutput<'a> {
    #[serde(borrow)]
    message: ConverseMessage<'a>,
}

#[derive(Deserialize)]
struct ConverseMessage<'a> {
    #[serde(borrow)]
    content: Vec<TextDelta<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConverseUsage {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let Arguments { listen, upstream, protocol } = Arguments::parse();
    let server = HttpServer::new(move || {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        App::new()
            .app_data(Data::new(Proxy { upstream, protocol, client }))
            .app_data(web::PayloadConfig::new(16 << 20))
            .route("/v1/chat/completions", web::post().to(answer))
            .route("/v1/models", web::get().to(list_models))
    });
    server.workers(1).backlog(4096).tcp_nodelay(true).bind(listen)?.run().await
}

/// Returns an empty list, which tells whoever starts the proxy that it is ready.
fn list_models() -> Ready<HttpResponse> {
    let list = r#"{"object":"list","data":[]}"#;
    ready(HttpResponse::Ok().content_type(ContentType::json()).body(list))
}

/// Forwards a chat to the upstream.
async fn answer(proxy: Data<Proxy>, body: Bytes) -> actix_web::Result<HttpResponse> {
    let chat: Chat<'_> = serde_json::from_slice(&body).map_err(error::ErrorBadRequest)?;
    match (proxy.protocol, chat.stream) {
        (Protocol::OpenAi, false) => {
            let answer = proxy.send("/v1/chat/completions", body.clone()).await?;
            let answer = answer.collect().await.map_err(error::ErrorBadGateway)?.to_bytes();
            Ok(HttpResponse::Ok().content_type(ContentType::json()).body(answer))
        }
        (Protocol::OpenAi, true) => {
            let events = proxy.send("/v1/chat/completions", body.clone()).await?;
            Ok(event_stream(rewrite(events, rewrite_events)))
        }
        (Protocol::Bedrock, false) => {
            let path = format!("/model/{}/converse", chat.model);
            let answer = proxy.send(&path, converse_body(&chat)).await?;
            let answer = answer.collect().await.map_err(error::ErrorBadGateway)?.to_bytes();
            let answer: ConverseAnswer<'_> =
                serde_json::from_slice(&answer).map_err(error::ErrorBadGateway)?;
            Ok(HttpResponse::Ok()
                .content_type(ContentType::json())
                .body(completion(chat.model, &answer)))
        }
        (Protocol::Bedrock, true) => {
            let path = format!("/model/{}/converse-stream", chat.model);
            let frames = proxy.send(&path, converse_body(&chat)).await?;
            let prefix = format!(
                r#"data: {{"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","created":1764500000,"model":"{}","choices":[{{"index":0,"delta":"#,
                chat.model
            );
            let rewrite_frames =
                move |input: &[u8], output: &mut BytesMut| rewrite_frames(&prefix, input, output);
            Ok(event_stream(rewrite(frames, rewrite_frames)))
        }
    }
}

impl Proxy {
    /// Sends a request to the upstream.
    async fn send(&self, path: &str, body: Bytes) -> actix_web::Result<Incoming> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{}{path}", self.upstream))
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(error::ErrorBadRequest)?;
        let response = self.client.request(request).await.map_err(error::ErrorBadGateway)?;
        Ok(response.into_body())
    }
}

fn event_stream(events: impl Stream<Item = actix_web::Result<Bytes>> + 'static) -> HttpResponse {
    HttpResponse::Ok().content_type("text/event-stream").streaming(events)
}

/// Rewrites a body piece by piece. `rewrite_piece` returns how much of its input it has read.
fn rewrite(
    body: Incoming,
    rewrite_piece: impl Fn(&[u8], &mut BytesMut) -> usize,
) -> impl Stream<Item = actix_web::Result<Bytes>> {
    let mut input = BytesMut::with_capacity(16384);
    let mut output = BytesMut::with_capacity(16384);
    body.into_data_stream().map(move |piece| {
        input.extend_from_slice(&piece.map_err(error::ErrorBadGateway)?);
        let read = rewrite_piece(&input, &mut output);
        drop(input.split_to(read));
        Ok(output.split().freeze())
    })
}

fn rewrite_events(input: &[u8], output: &mut BytesMut) -> usize {
    let mut read = 0;
    while let Some(length) = memchr::memmem::find(&input[read..], b"\n\n") {
        let event = &input[read..read + length];
        let data = event.strip_prefix(b"data: ").unwrap_or(event);
        output.extend_from_slice(b"data: ");
        match serde_json::from_slice::<ChatChunk<'_>>(data)
            .and_then(|chunk| serde_json::to_vec(&chunk))
        {
            Ok(chunk) => output.extend_from_slice(&chunk),
            Err(_) => output.extend_from_slice(data),
        }
        output.extend_from_slice(b"\n\n");
        read += length + 2;
    }
    read
}

fn rewrite_frames(prefix: &str, input: &[u8], output: &mut BytesMut) -> usize {
    let mut read = 0;
    while let Some(frame) = read_frame(&input[read..]) {
        let payload = &input[read..][frame.payload.clone()];
        let mut write_chunk = |delta: &[&str], finish: &str| {
            let texts = [prefix].into_iter().chain(delta.iter().copied());
            for text in texts.chain([r#","finish_reason":"#, finish, "}]}\n\n"]) {
                output.extend_from_slice(text.as_bytes());
            }
        };
        match frame.event {
            "messageStart" => write_chunk(&[r#"{"role":"assistant","content":""}"#], "null"),
            "contentBlockDelta" => {
                if let Ok(block) = serde_json::from_slice::<BlockDelta<'_>>(payload) {
                    write_chunk(&[r#"{"content":"#, block.delta.text.get(), "}"], "null");
                }
            }
            "messageStop" => write_chunk(&["{}"], r#""stop""#),
            "metadata" => output.extend_from_slice(b"data: [DONE]\n\n"),
            _ => {}
        }
        read += frame.length;
    }
    read
}

fn converse_body(chat: &Chat<'_>) -> Bytes {
    let (mut system, mut messages) = (String::new(), String::new());
    for Message { role, content } in &chat.messages {
        let list = if *role == "system" { &mut system } else { &mut messages };
        if !list.is_empty() {
            list.push(',');
        }
        let text = format!(r#"{{"text":{}}}"#, content.get());
        if *role == "system" {
            list.push_str(&text);
        } else {
            list.push_str(&format!(r#"{{"role":"{role}","content":[{text}]}}"#));
        }
    }
    format!(r#"{{"messages":[{messages}],"system":[{system}]}}"#).into()
}

/// Returns an answer of Converse as a chat completion.
fn completion(model: &str, answer: &ConverseAnswer<'_>) -> String {
    let text = answer.output.message.content.first().map_or(r#""""#, |block| block.text.get());
    let ConverseUsage { input_tokens, output_tokens, total_tokens } = answer.usage;
    format!(
        r#"{{"id":"chatcmpl-x","object":"chat.completion","created":1764500000,"model":"{model}","choices":[{{"index":0,"message":{{"role":"assistant","content":{text}}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{input_tokens},"completion_tokens":{output_tokens},"total_tokens":{total_tokens}}}}}"#
    )
}
