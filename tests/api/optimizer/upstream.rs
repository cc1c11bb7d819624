//! An OpenAI-compatible server that replies by a script, whatever the order in which it is asked.

use actix_web::{App, HttpResponse, HttpServer, http::StatusCode, web};
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
};
use tokio::sync::watch;

/// The reply of the model.
#[derive(Clone)]
pub enum ScriptedReply {
    Says(String),
    /// Calls these tools with these arguments, after this text.
    Calls(String, Vec<(String, Value)>),
    /// The same, when so many who are told so have come.
    Together(usize, String),
    /// With this status.
    Fails(u16),
}

/// Calls one tool.
pub fn calls(name: &str, arguments: Value) -> ScriptedReply {
    ScriptedReply::Calls(String::new(), vec![(name.into(), arguments)])
}

pub fn says(text: &str) -> ScriptedReply {
    ScriptedReply::Says(text.into())
}

type Script = dyn Fn(&str, usize) -> ScriptedReply + Send + Sync;

struct Shared {
    script: Box<Script>,
    asked: Mutex<Vec<Value>>,
    together: watch::Sender<usize>,
    models: Vec<&'static str>,
}

/// A running server.
pub struct Upstream {
    pub url: String,
    shared: Arc<Shared>,
}

impl Upstream {
    pub fn start(
        models: &[&'static str],
        script: impl Fn(&str, usize) -> ScriptedReply + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            script: Box::new(script),
            asked: Mutex::default(),
            together: watch::Sender::new(0),
            models: models.to_vec(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let serving = Arc::clone(&shared);
        let app = move || {
            let shared = Arc::clone(&serving);
            App::new().default_service(web::to(
                move |request: actix_web::HttpRequest, body: web::Bytes| {
                    let shared = Arc::clone(&shared);
                    async move {
                        if request.path().ends_with("/models") {
                            let models =
                                shared.models.iter().map(|id| json!({"id": id, "object": "model"}));
                            return HttpResponse::Ok().json(
                                json!({"object": "list", "data": models.collect::<Vec<_>>()}),
                            );
                        }
                        shared.answer(serde_json::from_slice(&body).unwrap()).await
                    }
                },
            ))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap();
        actix_web::rt::spawn(server.run());
        Self { url, shared }
    }

    /// The bodies of all chats.
    pub fn chat_bodies(&self) -> Vec<Value> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Shared {
    async fn answer(&self, body: Value) -> HttpResponse {
        let line = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(body.clone());
            (self.script)(&body["messages"].to_string(), asked.len() - 1)
        };
        let mut calls = Vec::new();
        let text = match line {
            ScriptedReply::Says(text) => text,
            ScriptedReply::Calls(text, named) => {
                calls = named;
                text
            }
            ScriptedReply::Together(count, text) => {
                self.together.send_modify(|here| *here += 1);
                self.together.subscribe().wait_for(|here| *here >= count).await.unwrap();
                text
            }
            ScriptedReply::Fails(status) => {
                let status = StatusCode::from_u16(status).unwrap();
                return HttpResponse::build(status)
                    .json(json!({"error": {"message": "not so", "type": "x"}}));
            }
        };
        let chunk = |delta: Value, end: Value| json!({"id": "x", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": end}]});
        let usage = json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}});
        let end = if calls.is_empty() { "stop" } else { "tool_calls" };
        let calls = calls.into_iter().enumerate().map(|(index, (name, arguments))| {
            let function = json!({"name": name, "arguments": arguments.to_string()});
            let call = json!({"index": index, "id": format!("call_{index}"), "type": "function", "function": function});
            chunk(json!({"tool_calls": [call]}), Value::Null)
        });
        let mut chunks = vec![chunk(json!({"role": "assistant", "content": text}), Value::Null)];
        chunks.extend(calls);
        chunks.extend([chunk(json!({}), end.into()), usage]);
        let frames: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        HttpResponse::Ok().content_type("text/event-stream").body(frames + "data: [DONE]\n\n")
    }
}
