//! A local server at an address, as people have them.

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
};

/// The API that the server speaks.
#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    /// OpenAI's API under `/v1`, streamed.
    OpenAi,
    /// A bare `/generate`, as the guide has it.
    Generate,
    /// OpenAI's API, which breaks off in the first word.
    Cut,
    /// OpenAI's API, which fails at one prompt.
    Poisoned,
    /// OpenAI's API, which fails.
    Failing,
    /// OpenAI's API, which is out of order.
    Broken,
}

/// A running local server.
pub struct LocalServer {
    pub url: String,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl LocalServer {
    pub fn start(form: Form) -> Self {
        let asked: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::clone(&asked);
        let app = move || {
            let heard = Arc::clone(&heard);
            App::new().default_service(web::to(
                move |request: actix_web::HttpRequest, body: web::Bytes| {
                    let body = serde_json::from_slice(&body).unwrap_or_default();
                    let path = request.path().to_owned();
                    let is_poison = body_is_poison(&body);
                    let form = match form {
                        Form::Poisoned if is_poison => Form::Failing,
                        Form::Poisoned => Form::OpenAi,
                        form => form,
                    };
                    let answer = answer(form, &path);
                    heard.lock().unwrap().push((path, body));
                    async { answer }
                },
            ))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap();
        actix_web::rt::spawn(server.run());
        Self { url, asked }
    }

    /// The bodies of the chats that it was asked, by path.
    pub fn chats(&self) -> Vec<(String, Value)> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(_, body)| !body.is_null()).cloned().collect()
    }
}

/// An address where nobody listens.
pub fn dead() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/v1", listener.local_addr().unwrap())
}

fn answer(form: Form, path: &str) -> HttpResponse {
    match (form, path) {
        (Form::OpenAi | Form::Cut | Form::Broken, "/v1/models") => {
            HttpResponse::Ok().json(json!({"data": [{"id": "tiny"}]}))
        }
        (Form::Cut, "/v1/chat/completions") => HttpResponse::Ok()
            .content_type("text/event-stream")
            .body(step(&json!({"content": "f"}), &Value::Null)),
        (Form::OpenAi, "/v1/chat/completions") => {
            let usage =
                json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}});
            HttpResponse::Ok().content_type("text/event-stream").body(
                [
                    step(&json!({"role": "assistant"}), &Value::Null),
                    step(&json!({"content": "from "}), &Value::Null),
                    step(&json!({"content": "home"}), &"stop".into()),
                    format!("data: {usage}\n\ndata: [DONE]\n\n"),
                ]
                .concat(),
            )
        }
        (Form::Failing, _) => {
            HttpResponse::InternalServerError().json(json!({"error": {"message": "it failed"}}))
        }
        (Form::Broken, _) => HttpResponse::ServiceUnavailable().finish(),
        (Form::Generate, "/generate") => HttpResponse::Ok().json(json!({"text": "from home"})),
        _ => HttpResponse::NotFound().finish(),
    }
}

fn body_is_poison(body: &Value) -> bool {
    body["messages"]
        .as_array()
        .and_then(|all| all.last())
        .is_some_and(|last| last["content"] == "poison")
}

fn step(delta: &Value, finish: &Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    format!("data: {}\n\n", json!({"choices": [choice]}))
}
