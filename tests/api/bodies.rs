//! Bodies of requests: how much of them is held, how long they are waited for, and what they may be
//! made of.

use crate::support::{Builder, KEY, TestHost, TestResponse, chat, host};
use pipewright::pipes::PIPES;
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// Returns the routes that take bodies, with a body that each understands.
fn body_routes() -> Vec<(&'static str, Value)> {
    let message = json!([{"role": "user", "content": "hi"}]);
    vec![
        ("/chat/completions", chat("typed", "hi")),
        ("/messages", json!({"model": "typed", "max_tokens": 5, "messages": message})),
        ("/messages/count_tokens", json!({"model": "typed", "messages": message})),
        ("/responses", json!({"model": "typed", "input": message})),
        ("/embeddings", json!({"model": "typed", "input": ["hi"]})),
        ("/rerank", json!({"model": "typed", "query": "hi", "documents": ["hi"]})),
        ("/images/generations", json!({"model": "typed", "prompt": "hi"})),
        ("/typed/filter/inlet", json!({"body": {"model": "typed", "messages": message}})),
        ("/typed/filter/outlet", json!({"body": {"model": "typed", "messages": message}})),
        ("/typed/valves/update", json!({})),
        ("/rag/documents/search", json!({"query": "hi"})),
        ("/rag/documents/documents", json!({"id": "a", "text": "hi"})),
        ("/rag", json!({"name": "one"})),
    ]
}

async fn post(host: &TestHost, path: &str, body: String) -> TestResponse {
    let request = host.request(Method::POST, path).header("content-type", "application/json");
    TestResponse::read(request.body(body).send().await.unwrap()).await
}

/// The body with this field.
fn with_field(mut body: Value, name: &str, value: &str) -> String {
    body[name] = "here".into();
    body.to_string().replace("\"here\"", value)
}

#[actix_web::test]
async fn no_way_in_takes_a_body_of_millions_of_pieces() {
    let host = Builder::new().pipes(PIPES).start().await;
    for (path, body) in body_routes() {
        for piece in ["{}", "[]", "1", "\"\"", "{\"a\":1}"] {
            let limit = if path.starts_with("/rag/documents/doc") { 1_000_000 } else { 500_000 };
            let pieces = format!("[{}1]", format!("{piece},").repeat(limit));
            let refused = post(&host, path, with_field(body.clone(), "more", &pieces)).await;
            // A body of a route with a smaller limit is refused for that.
            assert_eq!(refused.status, 413, "{path} {piece}: {}", refused.text);
        }
    }
}

#[actix_web::test]
async fn a_list_of_too_many_is_named() {
    let host = host().await;
    let many = |item: Value, count: usize| Value::from(vec![item; count]);
    let message = json!({"role": "user", "content": "hi"});
    let part = json!({"type": "text", "text": "a"});
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {}}});
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    for (path, field, body) in [
        ("/chat/completions", "messages", json!({"messages": many(message.clone(), 20_001)})),
        (
            "/chat/completions",
            "messages[0].content",
            json!({"messages": [{"role": "user", "content": many(part.clone(), 20_001)}]}),
        ),
        ("/chat/completions", "tools", json!({"messages": [message], "tools": many(tool, 2001)})),
        (
            "/chat/completions",
            "messages[0].tool_calls",
            json!({"messages": [{"role": "assistant", "tool_calls": many(call, 2001)}]}),
        ),
        (
            "/messages",
            "messages",
            json!({"max_tokens": 1, "messages": many(message.clone(), 20_001)}),
        ),
        ("/responses", "input", json!({"input": many(message.clone(), 20_001)})),
    ] {
        let mut body = body;
        body["model"] = "typed".into();
        let refused = host.post(path, &body).await;
        let said = refused.error_message(400);
        assert!(said.starts_with(&format!("{field}: may hold ")), "{path}: {said}");
    }
    // As many as there may be are taken, and answered.
    let parts = many(part, 20_000);
    let body = json!({"model": "typed", "messages": [{"role": "user", "content": parts}]});
    assert_eq!(host.post("/chat/completions", &body).await.status, 200);
}

#[actix_web::test]
async fn nesting_has_an_end() {
    let host = Builder::new().pipes(PIPES).start().await;
    for (path, body) in body_routes() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            let refused = post(&host, path, with_field(body.clone(), "more", &deep)).await;
            assert_eq!(refused.status, 400, "{path}: {}", refused.text);
        }
    }
}

#[actix_web::test]
async fn bodies_share_a_budget_and_give_it_back() {
    let host = Builder::new().flag("--max-bodies-mib", "8").start().await;
    let large = |model: &str| chat(model, &"x".repeat(3 << 20));
    // It is held for as long as its answer has not begun.
    let hangs = host.request(Method::POST, "/chat/completions").json(&large("script.hangs"));
    let hangs = actix_web::rt::spawn(hangs.send());
    // Its pipe has it, so the budget holds it.
    while !host.get("/metrics").await.text.contains("pipelines_in_flight{pipe=\"script\"} 1") {}
    let refused = host.post("/chat/completions", &large("typed")).await;
    assert!(refused.error_message(429).contains("--max-bodies-mib"), "{}", refused.text);
    assert_eq!(refused.json["error"]["code"], "bodies_exhausted");
    assert_eq!(refused.header("retry-after"), "2");
    // A smaller one has room.
    assert_eq!(host.chat("typed", "hi").await.status, 200);
    hangs.abort();
    while host.post("/chat/completions", &large("typed")).await.status != 200 {}
    // One that never has room.
    let refused = host.post("/chat/completions", &chat("typed", &"x".repeat(7 << 20))).await;
    assert_eq!(refused.error_message(413), "The body may have 5461 KiB at most");
}

/// Starts a request with this key, and sends it so many bytes of a body that does not end.
fn start_body(host: &TestHost, key: &str, bytes: usize) -> TcpStream {
    let mut socket = TcpStream::connect(host.url.trim_start_matches("http://")).unwrap();
    let head = format!(
        "POST /chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let chunk = format!("{bytes:x}\r\n{}\r\n", " ".repeat(bytes));
    socket.write_all(head.as_bytes()).unwrap();
    // A host that has answered need not read on.
    _ = socket.write_all(chunk.as_bytes());
    socket
}

async fn chat_with_key(host: &TestHost, key: &str, text: &str) -> u16 {
    let request = host.request_without_key(Method::POST, "/chat/completions").bearer_auth(key);
    request.json(&chat("typed", text)).send().await.unwrap().status().as_u16()
}

#[actix_web::test]
async fn bodies_that_do_not_end_are_one_callers_own_trouble() {
    let host =
        Builder::new().flag("--max-bodies-mib", "8").flag("--api-keys", "ci=theirs,dora=hers");
    let host = host.start().await;
    let text = "x".repeat(300 << 10);
    let mut started = Vec::new();
    // Until this caller has no room any more.
    while chat_with_key(&host, "theirs", &text).await == 200 {
        started.push(start_body(&host, "theirs", 600 << 10));
        assert!(started.len() < 1000, "there is no limit");
    }
    for _ in 0..20 {
        started.push(start_body(&host, "theirs", 600 << 10));
    }
    for key in ["hers", KEY] {
        assert_eq!(chat_with_key(&host, key, &text).await, 200, "{key}");
    }
    assert_eq!(chat_with_key(&host, "theirs", &text).await, 429);
    drop(started);
    while chat_with_key(&host, "theirs", &text).await != 200 {}
}

/// The status of what is answered to this head and these pieces of a body.
async fn send_raw(host: &TestHost, head: &str, pieces: Vec<Vec<u8>>) -> String {
    let address = host.url.trim_start_matches("http://").to_owned();
    let head = format!("{head}\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n");
    let answer = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(head.as_bytes()).unwrap();
        for piece in pieces {
            // A host that has answered need not read on.
            if socket.write_all(&piece).is_err() {
                break;
            }
        }
        let mut start = [0; 12];
        socket.read_exact(&mut start).unwrap();
        String::from_utf8(start.to_vec()).unwrap()
    });
    answer.await.unwrap()
}

#[actix_web::test]
async fn a_body_without_end_is_refused_where_its_limit_is() {
    let host = host().await;
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, " ".repeat(1 << 16)).into_bytes();
    let mut pieces =
        vec![b"Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n".to_vec()];
    pieces.resize(20, chunk);
    let status = send_raw(&host, "POST /images/generations HTTP/1.1", pieces).await;
    assert_eq!(status, "HTTP/1.1 413");
}

#[actix_web::test]
async fn a_body_behind_a_handshake_for_a_web_socket_is_refused() {
    let host = host().await;
    let body = chat("typed", "hi").to_string();
    for upgrade in ["websocket", "WebSocket", "h2c, websocket"] {
        let head = format!(
            "Upgrade: {upgrade}\r\nConnection: Upgrade\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let pieces = vec![head.into_bytes(), body.clone().into_bytes()];
        let status = send_raw(&host, "POST /chat/completions HTTP/1.1", pieces).await;
        assert_eq!(status, "HTTP/1.1 400", "{upgrade}");
    }
}

#[actix_web::test]
async fn an_error_does_not_repeat_all_of_a_long_name() {
    let host = host().await;
    let name = "é".repeat(1 << 20);
    let messages = json!([{"role": "user", "content": "hi"}]);
    let mut fields = chat("typed", "hi");
    fields["metadata"] = json!({name.as_str(): "here"});
    let fields = fields.to_string().replace("\"here\"", "1e400");
    for (path, body) in [
        ("/chat/completions", chat(&name, "hi").to_string()),
        ("/messages", json!({"model": name, "max_tokens": 5, "messages": messages}).to_string()),
        ("/responses", json!({"model": name, "input": "hi"}).to_string()),
        ("/embeddings", json!({"model": name, "input": "hi"}).to_string()),
        ("/chat/completions", fields),
    ] {
        let refused = post(&host, path, body).await;
        assert!((400..500).contains(&refused.status), "{path}: {}", refused.status);
        let length = refused.text.len();
        assert!(refused.text.contains('…') && length < 30_000, "{path}: {length}");
    }
}

#[actix_web::test]
async fn what_is_packed_is_not_unpacked() {
    let host = Builder::new().pipes(PIPES).start().await;
    for (path, body) in body_routes() {
        for coding in ["gzip", "deflate", "br", "zstd", "identity, gzip"] {
            let request = host.request(Method::POST, path).header("content-encoding", coding);
            let refused = TestResponse::read(request.json(&body).send().await.unwrap()).await;
            assert_eq!(refused.status, 415, "{path} {coding}: {}", refused.text);
        }
    }
}

#[actix_web::test]
async fn a_form_of_many_tiny_parts_is_refused() {
    let host = Builder::new().pipes(PIPES).start().await;
    let part = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\na\r\n";
    let form = format!("{}--b--\r\n", part.repeat(20_000));
    let request = host.request(Method::POST, "/rag/documents/documents");
    let request = request.header("content-type", "multipart/form-data; boundary=b").body(form);
    let refused = TestResponse::read(request.send().await.unwrap()).await;
    assert!(refused.error_message(400).contains("5000 at most"), "{}", refused.text);
}
