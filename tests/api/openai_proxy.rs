//! OpenAI-compatible upstreams through the whole host, good ones, bad ones and hostile ones.

mod agents;
mod answers;
mod calls;
mod faults;
mod hostile;
mod listing;
mod requests;
pub mod server;
mod upstreams;

use crate::{
    rig::with_stream,
    support::{Builder, TestHost, TestResponse, chat},
};
use ::openai_proxy::OpenAiProxy;
use pipewright::slot::Registration;
use serde_json::{Value, json};
use server::Server;

pub const PIPES: &[Registration] = &[Registration::for_pipe::<OpenAiProxy>()];

const KEY: &str = "sk-canary-of-the-upstream";
const MODEL: &str = "openai_proxy.m";

/// A host and the server behind it.
struct Rig {
    server: Server,
    host: TestHost,
}

/// A host whose upstream has the model `m`, under these valves beside the usual ones.
async fn rig(valves: Value) -> Rig {
    rig_of(Builder::new(), valves).await
}

/// The same, of a host that is built so.
async fn rig_of(builder: Builder, valves: Value) -> Rig {
    let server = Server::start(&["m"]).await;
    let host = start_host(builder, &server.url(), valves).await;
    Rig { server, host }
}

/// A server that is asked as any vendor's is, and a host before it.
pub async fn server_and_host() -> (Server, TestHost) {
    let Rig { server, host } = rig(json!({})).await;
    (server, host)
}

/// A host with this upstream, under these valves.
async fn host(url: &str, valves: Value) -> TestHost {
    start_host(Builder::new(), url, valves).await
}

async fn start_host(builder: Builder, url: &str, mut valves: Value) -> TestHost {
    let usual = json!({"api_base": url, "api_key": KEY, "rate_limit": 0, "fallback_model": null});
    for (name, value) in usual.as_object().unwrap() {
        if valves.get(name).is_none() {
            valves[name] = value.clone();
        }
    }
    let host = builder.pipes(PIPES).start().await;
    let turned = host.update_valves("openai_proxy", &valves).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    host.get("/models").await;
    host
}

/// A chat with the model, with these fields beside the question.
fn chat_body(more: &Value) -> Value {
    let mut body = chat(MODEL, "hi");
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

impl Rig {
    async fn post(&self, body: &Value) -> TestResponse {
        self.host.post("/chat/completions", body).await
    }

    /// The answer to a plain chat.
    async fn plain(&self) -> TestResponse {
        self.post(&chat_body(&json!({}))).await
    }

    /// The answer to a streamed chat.
    async fn streamed(&self) -> TestResponse {
        self.post(&with_stream(chat_body(&json!({})), true)).await
    }

    /// Returns the request that the server got for this chat.
    async fn sent_body(&self, body: &Value) -> Value {
        let before = self.server.chat_requests().len();
        let answered = self.post(body).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        let asked = self.server.chat_requests();
        assert_eq!(asked.len(), before + 1);
        asked[before].body.clone()
    }
}

/// Returns the text of a streamed answer until it broke off, and the error in which it ended.
fn split_broken_stream(answered: &TestResponse) -> (String, Value) {
    let told = crate::rig::ClientAnswer::read(answered);
    assert_eq!(told.finish, None, "no reason to end is invented");
    assert!(!told.error.is_null(), "{}", answered.text);
    (told.content, told.error)
}
