//! The binary as a Lambda function, with Lambda's runtime API behind it, and what takes invocations
//! where there is no Lambda.

use crate::{
    process::{KEY, MODEL},
    support::{TestResponse, client},
};
use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    web::{self, Data, Path, Payload},
};
use bedrock_emulator::{
    ANY, DEMO_KEY, Emulator, EmulatorOptions, InjectedFault, ModelAnswer, Operation, Script,
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::{
    fs::File,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    sync::{Mutex, mpsc},
    time::timeout,
};

/// The events that a function gets and its answers, in the forms of Lambda's runtime API.
struct Runtime {
    events: mpsc::UnboundedSender<Value>,
    said: mpsc::UnboundedReceiver<FunctionMessage>,
    server: ServerHandle,
    port: u16,
}

/// One thing that a function says.
#[derive(Debug, PartialEq)]
enum FunctionMessage {
    /// An answer begins: its mode and its type.
    Begins(String, String),
    Chunk(Vec<u8>),
    Ends,
    /// It has failed, on this path.
    Error(String),
}

struct Wires {
    events: Mutex<mpsc::UnboundedReceiver<Value>>,
    said: mpsc::UnboundedSender<FunctionMessage>,
}

async fn next(wires: Data<Wires>) -> HttpResponse {
    let Some(event) = wires.events.lock().await.recv().await else {
        return HttpResponse::Gone().finish();
    };
    HttpResponse::Ok()
        .insert_header(("Lambda-Runtime-Aws-Request-Id", uuid::Uuid::new_v4().to_string()))
        .insert_header(("Lambda-Runtime-Deadline-Ms", "4102444800000"))
        .insert_header((
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:us-east-1:123456789012:function:chat",
        ))
        .insert_header(("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"))
        .json(event)
}

async fn response(request: HttpRequest, mut body: Payload, wires: Data<Wires>) -> HttpResponse {
    let header = |name: &str| {
        request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
    };
    let kind = header("content-type");
    wires
        .said
        .send(FunctionMessage::Begins(header("lambda-runtime-function-response-mode"), kind))
        .unwrap();
    while let Some(chunk) = body.next().await {
        wires.said.send(FunctionMessage::Chunk(chunk.unwrap().to_vec())).unwrap();
    }
    wires.said.send(FunctionMessage::Ends).unwrap();
    HttpResponse::Accepted().finish()
}

async fn error(path: Path<String>, wires: Data<Wires>) -> HttpResponse {
    wires.said.send(FunctionMessage::Error(path.into_inner())).unwrap();
    HttpResponse::Accepted().finish()
}

impl Runtime {
    fn start() -> Self {
        let (events, receiver) = mpsc::unbounded_channel();
        let (sender, said) = mpsc::unbounded_channel();
        let wires = Data::new(Wires { events: Mutex::new(receiver), said: sender });
        let service = move || {
            App::new()
                .app_data(wires.clone())
                .route("/2018-06-01/runtime/invocation/next", web::get().to(next))
                .route("/2018-06-01/runtime/invocation/{id}/response", web::post().to(response))
                .route("/2018-06-01/runtime/{what:.*error}", web::post().to(error))
        };
        let server =
            HttpServer::new(service).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let port = server.addrs()[0].port();
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { events, said, server: handle, port }
    }

    async fn next_message(&mut self) -> FunctionMessage {
        let said = timeout(Duration::from_secs(20), self.said.recv()).await;
        said.expect("the function is silent").unwrap()
    }

    /// The head of a streamed answer, when its first bytes after that are there, and those bytes.
    async fn begin_stream(&mut self) -> (Value, String) {
        let kind = "application/vnd.awslambda.http-integration-response";
        assert_eq!(
            self.next_message().await,
            FunctionMessage::Begins("streaming".into(), kind.into())
        );
        let mut told = Vec::new();
        loop {
            let at = told.windows(8).position(|bytes| bytes == [0; 8]);
            if let Some(at) = at.filter(|at| told.len() > at + 8) {
                let head = serde_json::from_slice(&told[..at]).unwrap();
                return (head, String::from_utf8(told[at + 8..].to_vec()).unwrap());
            }
            let FunctionMessage::Chunk(chunk) = self.next_message().await else {
                panic!("it ended: {told:?}")
            };
            told.extend(chunk);
        }
    }

    /// The head of a streamed answer, and all of its body.
    async fn read_stream(&mut self, event: Value) -> (Value, String) {
        self.events.send(event).unwrap();
        let (head, mut body) = self.begin_stream().await;
        loop {
            match self.next_message().await {
                FunctionMessage::Chunk(chunk) => body += std::str::from_utf8(&chunk).unwrap(),
                FunctionMessage::Ends => return (head, body),
                said => panic!("{said:?}"),
            }
        }
    }
}

/// The binary, ended with its test.
struct Function {
    child: Child,
    folder: TempDir,
}

impl Function {
    fn start(bedrock: &Emulator, variables: &[(&str, &str)]) -> Self {
        let (id, secret) = DEMO_KEY;
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_pipewright"))
            .args(["--workers", "1"])
            .current_dir(folder.path())
            .env("BEDROCK_MODELS_AWS_ACCESS_KEY_ID", id)
            .env("BEDROCK_MODELS_AWS_SECRET_ACCESS_KEY", secret)
            .env("BEDROCK_MODELS_ENDPOINT_URL", bedrock.endpoint())
            .env("PIPELINES_API_KEY", KEY)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    /// As Lambda starts it.
    fn of(runtime: &Runtime, bedrock: &Emulator, variables: &[(&str, &str)]) -> Self {
        let api = format!("127.0.0.1:{}", runtime.port);
        let lambda = [
            ("AWS_LAMBDA_RUNTIME_API", api.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "chat"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ];
        Self::start(bedrock, &[&lambda, variables].concat())
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Returns the event that a function URL makes of this request.
fn url_event(method: &str, path: &str, key: &str, body: &Value) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": {
            "host": "abc.lambda-url.us-east-1.on.aws", "content-type": "application/json", "authorization": format!("Bearer {key}"),
            "x-forwarded-for": "203.0.113.9", "x-amzn-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
        },
        "requestContext": {
            "accountId": "anonymous", "apiId": "abc", "domainName": "abc.lambda-url.us-east-1.on.aws", "domainPrefix": "abc",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9", "userAgent": "curl/8"},
            "requestId": "1", "routeKey": "$default", "stage": "$default", "time": "12/Mar/2026:19:03:58 +0000", "timeEpoch": 1_773_342_238_000_i64,
        },
        "body": body.to_string(), "isBase64Encoded": false,
    })
}

fn chat(key: &str, model: &str, stream: bool) -> Value {
    let body =
        json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
    url_event("POST", "/v1/chat/completions", key, &body)
}

fn bedrock() -> Emulator {
    Emulator::start(EmulatorOptions::default()).unwrap()
}

/// Returns whether a model was asked.
fn was_asked(bedrock: &Emulator) -> bool {
    let chats = [Some(Operation::ConverseStream), Some(Operation::Converse)];
    bedrock.requests().iter().any(|request| chats.contains(&request.operation))
}

#[actix_web::test]
async fn a_streamed_chat_leaves_the_function_while_it_is_said() {
    let (mut runtime, bedrock) = (Runtime::start(), bedrock());
    bedrock.script(
        ANY,
        Script::answer(ModelAnswer::with_text(["Hel", "lo"])).fail_after(3, InjectedFault::Hang),
    );
    let _function = Function::of(&runtime, &bedrock, &[]);
    runtime.events.send(chat(KEY, MODEL, true)).unwrap();
    let (head, mut body) = runtime.begin_stream().await;
    assert_eq!(head["statusCode"], 200, "{body}");
    let kind = &head["headers"]["content-type"];
    assert_eq!(kind, "text/event-stream; charset=utf-8");
    // The model has not said all, but what it has is there.
    while !body.contains("\"Hel\"") {
        let FunctionMessage::Chunk(chunk) = runtime.next_message().await else { panic!("{body}") };
        body += std::str::from_utf8(&chunk).unwrap();
    }
    assert!(!body.contains("[DONE]"), "{body}");
}

#[actix_web::test]
async fn one_event_after_the_other_is_answered_with_its_own_status() {
    let (mut runtime, bedrock) = (Runtime::start(), bedrock());
    let _function = Function::of(&runtime, &bedrock, &[]);
    let (head, body) = runtime.read_stream(chat(KEY, MODEL, true)).await;
    assert_eq!(head["statusCode"], 200);
    assert!(body.starts_with("data: {") && body.ends_with("data: [DONE]\n\n"), "{body}");

    let (head, body) = runtime.read_stream(chat(KEY, MODEL, false)).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&head["statusCode"], &head["headers"]["content-type"]),
        (&json!(200), &json!("application/json"))
    );
    assert!(body["choices"][0]["message"]["content"].as_str().unwrap().contains("hi"), "{body}");

    for (event, status, code) in [
        (chat("another key", MODEL, true), 401, "invalid_api_key"),
        (chat(KEY, "bedrock_models.no-such-model", true), 404, "model_not_found"),
    ] {
        let (head, body) = runtime.read_stream(event).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&head["statusCode"], &body["error"]["code"]), (&json!(status), &json!(code)));
    }
    let (head, body) = runtime.read_stream(url_event("GET", "/v1/models", KEY, &Value::Null)).await;
    assert_eq!(head["statusCode"], 200);
    assert!(body.contains(MODEL), "{body}");
}

#[actix_web::test]
async fn an_event_that_is_no_request_says_what_the_function_is() {
    let (mut runtime, bedrock) = (Runtime::start(), bedrock());
    let _function = Function::of(&runtime, &bedrock, &[]);
    let (head, body) = runtime.read_stream(json!({"msg": "hello"})).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&head["statusCode"], &body["function"]), (&json!(200), &json!("pipewright")));
    assert!(body["paths"].as_array().unwrap().contains(&json!("POST /chat/completions")), "{body}");
    assert!(!was_asked(&bedrock));
}

#[actix_web::test]
async fn nobody_comes_into_a_function_by_the_key_that_everybody_knows() {
    let (mut runtime, bedrock) = (Runtime::start(), bedrock());
    let known = "0p3n-w3bu!";
    let _function = Function::of(&runtime, &bedrock, &[("PIPELINES_API_KEY", known)]);
    let (head, body) = runtime.read_stream(chat(known, MODEL, false)).await;
    assert_eq!(head["statusCode"], 401);
    assert!(body.contains("PIPELINES_API_KEY"), "{body}");
    assert!(!was_asked(&bedrock));
}

#[actix_web::test]
async fn a_function_behind_a_load_balancer_answers_whole() {
    let (mut runtime, bedrock) = (Runtime::start(), bedrock());
    let _function = Function::of(&runtime, &bedrock, &[("AWS_LWA_INVOKE_MODE", "buffered")]);
    runtime.events.send(chat(KEY, MODEL, false)).unwrap();
    let FunctionMessage::Begins(mode, _) = runtime.next_message().await else {
        panic!("it failed")
    };
    assert_eq!(mode, "");
    let mut whole = Vec::new();
    while let FunctionMessage::Chunk(chunk) = runtime.next_message().await {
        whole.extend(chunk);
    }
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(whole["statusCode"], 200);
    assert!(whole["body"].as_str().unwrap().contains("chat.completion"), "{whole}");
}

#[actix_web::test]
async fn a_function_ends_when_lambda_does_and_tells_no_key() {
    let (mut runtime, bedrock) = (Runtime::start(), bedrock());
    let variables = [("GLOBAL_LOG_LEVEL", "DEBUG"), ("DRAIN_SECONDS", "1")];
    let mut function = Function::of(&runtime, &bedrock, &variables);
    assert_eq!(runtime.read_stream(chat(KEY, MODEL, false)).await.0["statusCode"], 200);
    runtime.server.stop(false).await;
    drop(runtime);
    let child = std::mem::replace(&mut function.child, Command::new("true").spawn().unwrap());
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let ended = timeout(Duration::from_secs(20), ended).await.expect("it runs on").unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let log = std::fs::read_to_string(function.folder.path().join("log")).unwrap();
    assert!(!log.contains(KEY) && log.contains("/v1/chat/completions"), "{log}");
}

#[actix_web::test]
async fn where_there_is_no_lambda_a_port_takes_its_invocations() {
    let bedrock = bedrock();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let variables = [("HOST", "127.0.0.1"), ("PORT", "0"), ("INVOKE_PORT", port.as_str())];
    let _function = Function::start(&bedrock, &variables);
    let url = format!("http://127.0.0.1:{port}/2015-03-31/functions/function/invocations");
    let client = client();
    let invoked = async |event: String| loop {
        // It listens when it listens.
        if let Ok(response) = client.post(&url).body(event.clone()).send().await {
            return TestResponse::read(response).await;
        }
        tokio::task::yield_now().await;
    };
    let hello = invoked(r#"{"msg":"hello"}"#.into()).await;
    assert_eq!((hello.status, &hello.json["function"]), (200, &json!("pipewright")));
    assert!(!was_asked(&bedrock));

    let answered = invoked(chat(KEY, MODEL, false).to_string()).await.json;
    assert_eq!(
        (&answered["statusCode"], &answered["isBase64Encoded"]),
        (&json!(200), &json!(false))
    );
    let body: Value = serde_json::from_str(answered["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(answered["headers"]["content-type"], "application/json");
    let stranger = invoked(chat("0p3n-w3bu!", MODEL, false).to_string()).await.json;
    assert_eq!(stranger["statusCode"], 401);
    let mut garbled = chat(KEY, MODEL, false);
    (garbled["isBase64Encoded"], garbled["body"]) = (true.into(), "!!!".into());
    let mut misshapen = chat(KEY, MODEL, false);
    misshapen["requestContext"] = json!({"http": 5});
    for event in ["{".to_owned(), garbled.to_string(), misshapen.to_string()] {
        let broken = invoked(event).await;
        assert_eq!(
            (broken.header("x-amz-function-error"), &broken.json["errorType"]),
            ("Unhandled", &json!("InvalidEvent"))
        );
        assert!(!broken.text.contains("It is up"), "{}", broken.text);
    }
}
