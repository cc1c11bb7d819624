//! Chats: streamed, plain, and going wrong.

use crate::{
    pipes::OPEN,
    support::{TestResponse, chat, host},
};
use reqwest::Method;
use serde_json::{Value, json};

/// The chunks of a stream, `[DONE]` checked and taken away.
fn chunks(mut frames: Vec<String>) -> Vec<Value> {
    assert_eq!(frames.pop().unwrap(), "data: [DONE]");
    frames
        .iter()
        .map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

fn deltas(chunks: &[Value]) -> Vec<Value> {
    chunks
        .iter()
        .filter(|chunk| !chunk["choices"][0].is_null() && chunk["event"].is_null())
        .map(|chunk| chunk["choices"][0]["delta"].clone())
        .collect()
}

#[actix_web::test]
async fn a_streamed_answer_carries_text_reasoning_tools_and_usage_once() {
    let host = host().await;
    let chunks = chunks(host.stream("script.whole", "hi").await);
    let call = json!({"index": 0, "function": {"name": "f", "arguments": ""}, "type": "function", "id": "t1"});
    assert_eq!(
        deltas(&chunks),
        [
            json!({"role": "assistant", "content": ""}),
            json!({"reasoning_content": "hm"}),
            json!({"content": "Hello "}),
            json!({"content": "\"wörld\"\n"}),
            json!({"tool_calls": [call]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"a\":1}"}}]}),
            json!({}),
        ]
    );
    assert_eq!(chunks[1]["event"]["type"], "status");
    let finish = &chunks[chunks.len() - 2];
    assert_eq!(finish["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(finish["usage"], Value::Null);
    let usage = &chunks[chunks.len() - 1];
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(
        usage["usage"],
        json!({"prompt_tokens": 115, "completion_tokens": 7, "total_tokens": 122, "prompt_tokens_details": {"cached_tokens": 100}})
    );
    let ids: std::collections::HashSet<_> =
        chunks.iter().filter_map(|chunk| chunk["id"].as_str()).collect();
    assert_eq!(ids.len(), 1);
    assert!(chunks.iter().all(|chunk| chunk["model"] == "script.whole"));
}

#[actix_web::test]
async fn a_plain_answer_is_the_same_chunks_folded() {
    let host = host().await;
    let answer = host.chat("script.whole", "hi").await.json;
    let choice = &answer["choices"][0];
    assert_eq!(choice["message"]["content"], "Hello \"wörld\"\n");
    assert_eq!(choice["message"]["reasoning_content"], "hm");
    assert_eq!(
        choice["message"]["tool_calls"],
        json!([{"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}])
    );
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(answer["usage"]["total_tokens"], 122);
}

#[actix_web::test]
async fn usage_is_not_sent_to_those_who_did_not_ask() {
    let host = host().await;
    let mut body = chat("script.whole", "hi");
    body["stream"] = true.into();
    assert!(!host.post("/chat/completions", &body).await.text.contains("usage"));
}

#[actix_web::test]
async fn an_error_before_the_first_chunk_is_the_status() {
    let host = host().await;
    for stream in [false, true] {
        for (model, status, said) in [
            ("script.throttled", 429, "Slow down"),
            ("script.first-error", 504, "Too late"),
            ("script.nothing", 404, "Model `nothing` was not found"),
            ("nothing", 404, "Model `nothing` was not found"),
            ("script.empty", 502, "The answer ended early: what is there is not all of it"),
            ("script.panics", 500, "Internal error: the log has it under this request's id"),
            ("script.internal", 500, "Internal error: the log has it under this request's id"),
        ] {
            let mut body = chat(model, "hi");
            body["stream"] = stream.into();
            let answer = host.post("/chat/completions", &body).await;
            // A model that is not there is told with the ids of others.
            let told = answer.error_message(status).split(": `GET").next().unwrap();
            assert_eq!(told, said, "{model}");
            assert_eq!(answer.json["error"]["message"], answer.error_message(status));
            assert!(!answer.header("x-request-id").is_empty());
        }
    }
    assert_eq!(host.chat("script.throttled", "hi").await.header("retry-after"), "7");
}

#[actix_web::test]
async fn a_late_error_is_a_frame_without_choices_and_then_done() {
    let host = host().await;
    for (model, said) in [
        ("script.late-error", "Broke"),
        ("script.unfinished", "The answer ended early: what is there is not all of it"),
        ("script.panics-late", "Internal error: the log has it under this request's id"),
    ] {
        let chunks = chunks(host.stream(model, "hi").await);
        assert_eq!(chunks[1]["choices"][0]["delta"]["content"], "half", "{model}");
        assert_eq!(chunks[2]["error"]["message"], said, "{model}");
        assert!(chunks[2].get("choices").is_none());
        assert_eq!(chunks.len(), 3);
    }
}

#[actix_web::test]
async fn a_plain_answer_that_breaks_off_is_an_error_and_no_half_answer() {
    let host = host().await;
    for (model, status) in
        [("script.late-error", 502), ("script.unfinished", 502), ("script.panics-late", 500)]
    {
        host.chat(model, "hi").await.error_message(status);
    }
}

#[actix_web::test]
async fn pipes_answer_through_other_models_but_not_in_circles() {
    let host = host().await;
    assert_eq!(host.answer_text("relay", "typed").await, "typed: typed");
    assert!(host.chat("relay", "relay").await.error_message(508).contains("4 pipes"));
}

#[actix_web::test]
async fn who_asks_and_in_which_chat_reaches_the_pipe() {
    let host = host().await;
    let mut body = chat("typed", "who");
    body["user"] = json!({"name": "Ä", "id": "u1", "email": "a@b", "role": "admin"});
    body["chat_id"] = "c1".into();
    body["task"] = "title_generation".into();
    let answer = host.post("/chat/completions", &body).await.json;
    assert_eq!(answer["choices"][0]["message"]["content"], "u1|c1|title_generation");

    let headers = host
        .request(Method::POST, "/chat/completions")
        .header("X-OpenWebUI-User-Id", "u2")
        .header("X-OpenWebUI-User-Name", "Rig %C3%84dmin")
        .header("X-OpenWebUI-Chat-Id", "c2")
        .json(&chat("typed", "who"));
    let answer = TestResponse::read(headers.send().await.unwrap()).await.json;
    assert_eq!(answer["choices"][0]["message"]["content"], "u2|c2|");
}

#[actix_web::test]
async fn what_clients_really_send_is_accepted() {
    let host = host().await;
    for body in [
        json!({"model": "typed", "messages": [{"role": "user", "content": null}]}),
        json!({"model": "typed", "messages": [{"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": "a", "content": "1"}]}),
        json!({"model": "typed", "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "strange", "x": [1]}]}], "unknown": {"a": 1}, "seed": 1, "temperature": "0.5", "stream": null}),
        json!({"model": "typed", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", "A".repeat(4 << 20))}}]}]}),
    ] {
        let answer = host.post("/chat/completions", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let half = r#"{"model": "typed", "messages": [{"role": "user", "content": "a\ud83d"}]}"#;
    let request = host
        .request(Method::POST, "/chat/completions")
        .header("content-type", "application/json")
        .body(half);
    let answer = TestResponse::read(request.send().await.unwrap()).await;
    assert_eq!(answer.json["choices"][0]["message"]["content"], "typed: a\u{fffd}");
}

#[actix_web::test]
async fn a_body_that_cannot_be_so_is_refused_by_field() {
    let host = host().await;
    let refused = |body: &'static str| {
        let request = host
            .request(Method::POST, "/chat/completions")
            .header("content-type", "application/json")
            .body(body);
        async { TestResponse::read(request.send().await.unwrap()).await }
    };
    for (body, status, param) in [
        ("{", 400, Value::Null),
        (r#"{"messages": []}"#, 400, json!("model")),
        (r#"{"model": "typed", "messages": []}"#, 400, json!("messages")),
        (
            r#"{"model": "typed", "messages": [{"role": "robot", "content": "x"}]}"#,
            400,
            json!("messages[0].role"),
        ),
        (
            r#"{"model": "typed", "messages": [{"role": "user", "content": 7}]}"#,
            400,
            json!("messages[0].content"),
        ),
    ] {
        let answer = refused(body).await;
        assert_eq!(
            (answer.status, &answer.json["error"]["param"]),
            (status, &param),
            "{body}: {}",
            answer.text
        );
    }
    let deep = "[".repeat(100_000);
    let request = host
        .request(Method::POST, "/chat/completions")
        .header("content-type", "application/json")
        .body(deep);
    assert_eq!(request.send().await.unwrap().status().as_u16(), 400);
    let request = host.request(Method::POST, "/chat/completions").body("{}");
    assert_eq!(request.send().await.unwrap().status().as_u16(), 415);
}

#[actix_web::test]
async fn a_client_that_leaves_frees_the_upstream_with_and_without_chunks_flowing() {
    let host = host().await;
    let mut open = OPEN.subscribe();
    for (model, stream) in [
        ("script.hangs", false),
        ("script.hangs", true),
        ("script.hangs-late", false),
        ("script.hangs-late", true),
    ] {
        let mut body = chat(model, "hi");
        body["stream"] = stream.into();
        let request = host.request(Method::POST, "/chat/completions").json(&body);
        let client = actix_web::rt::spawn(async move {
            let mut response = request.send().await.unwrap();
            while response.chunk().await.unwrap().is_some() {}
        });
        open.wait_for(|open| *open == 1).await.unwrap();
        client.abort();
        let freed = tokio::time::timeout(
            std::time::Duration::from_secs(1),
            open.wait_for(|open| *open == 0),
        );
        freed.await.unwrap_or_else(|_| panic!("{model} (stream: {stream}) still runs")).unwrap();
    }
}

#[actix_web::test]
async fn the_callers_request_id_comes_back_if_it_is_fit_to() {
    let host = host().await;
    let sent =
        |id: &str| host.request(Method::GET, "/models").header("x-request-id", id.to_owned());
    let answer = TestResponse::read(sent("my-id.1").send().await.unwrap()).await;
    assert_eq!((answer.header("x-request-id"), answer.header("x-process-time")), ("my-id.1", "0"));
    let answer = TestResponse::read(sent(&"x".repeat(200)).send().await.unwrap()).await;
    assert_eq!(answer.header("x-request-id").len(), 36);
}

#[actix_web::test]
async fn embeddings_of_a_model_that_has_none_are_not_found() {
    let host = host().await;
    let answer = host.post("/embeddings", &json!({"model": "typed", "input": "a"})).await;
    assert!(answer.error_message(404).starts_with("Model `typed` was not found: "));
}
