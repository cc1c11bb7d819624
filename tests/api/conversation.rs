//! Conversations that the host remembers: for clients that send only the new turn, and for those
//! that send their whole history.

mod durability;
mod filter;
mod load;
mod requests;
mod responses;
mod routes;

use crate::{
    optimizer::upstream::{ScriptedReply, Upstream, says},
    support::{Builder, TestHost, TestResponse},
};
use ::conversation::ConversationPipe;
use ::openai_proxy::OpenAiProxy;
use pipewright::slot::Registration;
use serde_json::{Value, json};

const PIPES: &[Registration] =
    &[Registration::for_pipe::<ConversationPipe>(), Registration::for_pipe::<OpenAiProxy>()];

/// The model with memory.
const MODEL: &str = "conversation.openai_proxy.m";

/// A word of the prompt for summaries.
const SUMMARIZE: &str = "Summarize the beginning";

/// A host whose model `m` answers each question with its number, and the model's server.
struct Rig {
    upstream: Upstream,
    host: TestHost,
}

async fn rig(valves: Value) -> Rig {
    rig_with(Builder::new(), valves).await
}

async fn rig_with(builder: Builder, valves: Value) -> Rig {
    let upstream = Upstream::start(&["m"], reply);
    let host = host(builder, &upstream, valves).await;
    Rig { upstream, host }
}

/// Summarizes as `summary <number>`, and answers everything else as `answer <number>`.
fn reply(prompt: &str, number: usize) -> ScriptedReply {
    if prompt.contains(SUMMARIZE) {
        return says(&format!("summary {number}"));
    }
    says(&format!("answer {number}"))
}

async fn host(builder: Builder, upstream: &Upstream, mut valves: Value) -> TestHost {
    let host = builder.pipes(PIPES).start().await;
    let proxy = json!({"api_base": upstream.url, "rate_limit": 0, "fallback_model": null});
    let turned = host.update_valves("openai_proxy", &proxy).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    host.get("/models").await;
    if valves["models"].is_null() {
        valves["models"] = "openai_proxy.m".into();
    }
    let turned = host.update_valves("conversation", &valves).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    host
}

impl Rig {
    /// The answer to these messages, with these fields beside them.
    async fn ask(&self, messages: Value, more: Value) -> TestResponse {
        ask(&self.host, messages, more).await
    }

    /// The answer to the new turn of this conversation of this user.
    async fn say(&self, user: &str, conversation: &str, text: &str) -> String {
        say(&self.host, user, conversation, text).await
    }

    /// The texts of the last chat that the model got, each with its role.
    fn message_lines(&self) -> Vec<String> {
        message_lines(self.upstream.chat_bodies().last().unwrap())
    }
}

async fn ask(host: &TestHost, messages: Value, more: Value) -> TestResponse {
    let mut body = json!({"model": MODEL, "messages": messages});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    host.post("/chat/completions", &body).await
}

async fn say(host: &TestHost, user: &str, conversation: &str, text: &str) -> String {
    let more = json!({"user": {"id": user}, "conversation_id": conversation});
    let answered = ask(host, json!([message("user", text)]), more).await;
    content(&answered)
}

fn message(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

fn content(answered: &TestResponse) -> String {
    assert_eq!(answered.status, 200, "{}", answered.text);
    answered.json["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

/// The messages of a chat, as `role: text`.
fn message_lines(body: &Value) -> Vec<String> {
    let line = |message: &Value| {
        let text = match &message["content"] {
            Value::Array(parts) => parts
                .iter()
                .map(|part| part["text"].as_str().unwrap_or("<image>").to_owned())
                .collect::<String>(),
            text => text.as_str().unwrap_or_default().to_owned(),
        };
        format!("{}: {text}", message["role"].as_str().unwrap())
    };
    body["messages"].as_array().unwrap().iter().map(line).collect()
}
