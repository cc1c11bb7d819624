//! Chats of text and images: by the models that suit them, and by models that take no images.

mod answers;
mod descriptions;
mod hostile;

use crate::{
    openai_proxy::server::{
        ResponseStep, Server, delta, end, event, head, json_of, listing, stream,
    },
    support::{Builder, TestHost, TestResponse},
};
use ::multimodal::Multimodal;
use ::openai_proxy::OpenAiProxy;
use ::rate_limit::RateLimit;
use base64::{Engine, engine::general_purpose::STANDARD};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use pipewright::slot::Registration;
use serde_json::{Value, json};
use std::{io::Cursor, sync::Arc};
use tokio::sync::Notify;

const PIPES: &[Registration] = &[
    Registration::for_pipe::<Multimodal>(),
    Registration::for_pipe::<OpenAiProxy>(),
    Registration::for_pipe::<RateLimit>(),
];

/// A host whose models `text`, `vision` and `fusion` are on one server.
struct Rig {
    server: Server,
    host: TestHost,
}

async fn rig(more: Value) -> Rig {
    rig_listing(listing(&["text", "vision", "fusion"]), more).await
}

/// The same, whose server answers so when its models are asked for.
async fn rig_listing(models: Vec<ResponseStep>, more: Value) -> Rig {
    let server = Server::start(&[]).await;
    server.script_list(models);
    for model in ["text", "vision", "fusion"] {
        server.answer_model_with(model, says(&format!("from {model}")));
    }
    let host = Builder::new().pipes(PIPES).start().await;
    let proxy = json!({"api_base": server.url(), "rate_limit": 0, "fallback_model": null});
    assert_eq!(host.update_valves("openai_proxy", &proxy).await.status, 200);
    host.get("/models").await;
    let mut valves =
        json!({"image_model": "openai_proxy.vision", "text_model": "openai_proxy.text"});
    for (name, value) in more.as_object().unwrap() {
        valves[name] = value.clone();
    }
    let turned = host.update_valves("multimodal", &valves).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    Rig { server, host }
}

/// An answer of 13 tokens.
fn says(text: &str) -> Vec<ResponseStep> {
    stream(&[delta(json!({"role": "assistant", "content": text})), end("stop"), usage()])
}

/// The same, whose end comes when the test says so.
fn says_slowly(text: &str, gate: &Arc<Notify>) -> Vec<ResponseStep> {
    let [first, rest] = [delta(json!({"content": text})), end("stop")].map(|chunk| event(&chunk));
    vec![
        ResponseStep::Until(Arc::clone(gate)),
        head(),
        ResponseStep::Send(first),
        ResponseStep::Send(rest),
        ResponseStep::Send(event(&usage())),
        ResponseStep::Send(b"data: [DONE]\n\n".to_vec()),
        ResponseStep::Close,
    ]
}

fn fails() -> Vec<ResponseStep> {
    let error = json!({"error": {"message": "out of order", "type": "x"}});
    json_of("400 Bad Request", "", &error)
}

fn usage() -> Value {
    json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}})
}

/// A PNG of this shade, as base64.
fn png(shade: u8, side: u32) -> String {
    let image = DynamicImage::from(RgbImage::from_pixel(side, side, Rgb([shade, 0, 0])));
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Png).unwrap();
    STANDARD.encode(file.into_inner())
}

fn image(shade: u8) -> Value {
    image_at(&format!("data:image/png;base64,{}", png(shade, 8)))
}

fn image_at(url: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}

/// A message with a question and images.
fn question(images: &[Value]) -> Value {
    let mut parts = vec![json!({"type": "text", "text": "Which is the reddest?"})];
    parts.extend_from_slice(images);
    json!({"role": "user", "content": parts})
}

fn chat(model: &str, message: &Value) -> Value {
    json!({"model": model, "messages": [message]})
}

fn three_images() -> Value {
    chat("multimodal", &question(&[image(1), image(2), image(3)]))
}

fn content(answered: &TestResponse) -> &str {
    assert_eq!(answered.status, 200, "{}", answered.text);
    answered.json["choices"][0]["message"]["content"].as_str().unwrap()
}

/// The parts of the last message of a chat that are of this type.
fn parts<'a>(body: &'a Value, kind: &str) -> Vec<&'a Value> {
    let messages = body["messages"].as_array().unwrap();
    let parts = messages.last().unwrap()["content"].as_array().unwrap();
    parts.iter().filter(|part| part["type"] == kind).collect()
}

impl Rig {
    async fn post(&self, body: &Value) -> TestResponse {
        self.host.post("/chat/completions", body).await
    }

    async fn streamed(&self, body: &Value) -> TestResponse {
        let mut body = body.clone();
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
        self.post(&body).await
    }
}

/// The JSON of each frame of a stream.
fn frames(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// All text of a stream.
fn said(text: &str) -> String {
    let frames = frames(text);
    let texts = frames.iter().filter_map(|frame| frame["choices"][0]["delta"]["content"].as_str());
    texts.collect()
}
