//! A real model may answer.

use crate::client::{Ask, LITE, frames};
use bedrock_emulator::{Emulator, EmulatorOptions, Relay};
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
    data: {\"choices\":[{\"delta\":{\"content\":\"Good \"}}]}\n\n\
    data: {\"choices\":[{\"delta\":{\"content\":\"day\"}}]}\n\n\
    data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n\
    data: [DONE]\n\n";

/// An emulator whose answers come from a server that gives this one, and what that server was
/// asked.
async fn answered(
    answer: &'static str,
    ask: Ask,
) -> (http::Response<hyper::body::Incoming>, String, Emulator) {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", server.local_addr().unwrap());
    let relay = Some(Relay { url, model: Some("llama".into()), key: Some("secret".into()) });
    let emulator =
        Emulator::start(EmulatorOptions { relay, ..EmulatorOptions::default() }).unwrap();
    let (response, asked) = tokio::join!(ask.send(&emulator), serve_once(server, answer));
    (response.unwrap(), asked.unwrap(), emulator)
}

async fn serve_once(server: TcpListener, answer: &str) -> io::Result<String> {
    let (mut stream, _) = server.accept().await?;
    let mut asked = Vec::new();
    while !asked.ends_with(b"}") {
        stream.read_buf(&mut asked).await?;
    }
    stream.write_all(answer.as_bytes()).await?;
    Ok(String::from_utf8_lossy(&asked).into_owned())
}

#[tokio::test]
async fn a_real_models_answer_comes_in_bedrocks_frames() {
    let (response, asked, _emulator) = answered(ANSWER, Ask::stream(LITE)).await;
    assert!(
        asked.starts_with("POST /v1/chat/completions") && asked.contains("Bearer secret"),
        "{asked}"
    );
    assert!(asked.contains(r#""model":"llama""#), "{asked}");
    let (names, end) = frames(response.into_body()).await;
    let delta = "contentBlockDelta";
    assert_eq!(
        names,
        ["messageStart", delta, delta, "contentBlockStop", "messageStop", "metadata"]
    );
    assert_eq!(end, "end");
}

#[tokio::test]
async fn a_real_models_refusal_is_a_fault() {
    let busy = "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n";
    let (response, _, _emulator) = answered(busy, Ask::converse(LITE)).await;
    assert_eq!(response.status(), 429);
}
