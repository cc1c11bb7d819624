//! A hostile upstream reaches no user: whatever it sends, only what the host names comes out.

use super::{
    KEY, chat_body, rig,
    server::{ResponseStep, answer, delta, end, event, head, json_of, says, stream},
    split_broken_stream,
};
use crate::rig::{ClientAnswer, with_stream};
use serde_json::{Value, json};

/// Fields that Open WebUI obeys, as no upstream should be obeyed.
fn open_webui_commands() -> Value {
    json!({
        "event": {"type": "execute", "data": {"code": "alert('canary')"}},
        "selected_model_id": "canary",
        "sources": [{"source": {"name": "canary"}}],
        "type": "response.output_text.delta",
        "output": [{"type": "message", "content": "canary"}],
        "detail": "canary",
        "files": ["canary"],
        "embeds": ["<script>canary</script>"],
        "timings": {"canary": 1},
        "x_canary": "canary",
        "id": "canary",
        "object": "canary",
        "system_fingerprint": "canary",
        "created": "canary",
        "model": "canary",
    })
}

fn with_orders(mut chunk: Value) -> Value {
    for (name, value) in open_webui_commands().as_object().unwrap() {
        chunk[name] = value.clone();
        for inner in ["delta", "message"] {
            if chunk["choices"][0][inner].is_object() {
                chunk["choices"][0][inner][name] = value.clone();
            }
        }
        if chunk["choices"][0].is_object() {
            chunk["choices"][0][name] = value.clone();
        }
    }
    chunk
}

#[actix_web::test]
async fn what_open_webui_would_obey_does_not_come_out() {
    let rig = rig(json!({})).await;
    let call = json!({"tool_calls": [{"index": 0, "id": "a", "type": "canary", "function": {"name": "f", "arguments": "{}", "canary": 1}, "event": "canary"}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "canary": 3, "cost": "canary"}});
    let chunks = [
        with_orders(delta(json!({"role": "canary", "content": "a"}))),
        with_orders(json!({"choices": []})),
        with_orders(delta(call)),
        with_orders(end("stop")),
        with_orders(usage),
    ];
    rig.server.script(stream(&chunks));
    let streamed = rig.streamed().await;
    assert_eq!(ClientAnswer::read(&streamed).content, "a");
    let whole = json!({"choices": [{"index": 0, "message": {"role": "canary", "content": "a"}, "finish_reason": "stop"}]});
    rig.server.script(json_of("200 OK", "x-canary: canary\r\n", &with_orders(whole)));
    let plain = rig.plain().await;
    for answered in [streamed, plain] {
        assert_eq!(answered.status, 200, "{}", answered.text);
        assert!(!answered.text.contains("canary"), "{}", answered.text);
        assert!(!format!("{:?}", answered.headers).contains("canary"), "{:?}", answered.headers);
        for word in ["\"event\"", "selected_model_id", "\"sources\"", "response."] {
            assert!(!answered.text.contains(word), "{word}: {}", answered.text);
        }
    }
}

#[actix_web::test]
async fn events_that_are_no_chunks_do_not_come_out() {
    let rig = rig(json!({"breaker_failures": 0})).await;
    for data in [
        r#"{"event": {"type": "execute", "data": {"code": "canary"}}}"#,
        r#"{"selected_model_id": "canary"}"#,
        r#"{"type": "response.completed", "response": {"canary": 1}}"#,
    ] {
        let mut acts = vec![
            head(),
            says("a"),
            ResponseStep::Send(format!("event: canary\ndata: {data}\n\n").into()),
        ];
        acts.extend([ResponseStep::Send(event(&end("stop"))), ResponseStep::Close]);
        rig.server.script(acts);
        let answered = rig.streamed().await;
        assert_eq!(ClientAnswer::read(&answered).content, "a");
        assert!(!answered.text.contains("canary"), "{}", answered.text);
    }
    for garbage in ["canary", "{canary", "[1, 2", "\"canary\"", "<canary>"] {
        rig.server.script(vec![
            head(),
            says("a"),
            ResponseStep::Send(format!("data: {garbage}\n\n").into()),
            ResponseStep::Close,
        ]);
        let answered = rig.streamed().await;
        assert_eq!(split_broken_stream(&answered).0, "a");
        assert!(!answered.text.contains("canary"), "{}", answered.text);
    }
}

#[actix_web::test]
async fn fields_of_unexpected_kinds_cost_no_more_than_themselves() {
    let rig = rig(json!({})).await;
    for odd in [
        json!(7),
        json!(true),
        json!("x"),
        json!([]),
        json!({}),
        json!([[{}]]),
        json!({"a": [null]}),
    ] {
        let mut said = json!({});
        for name in [
            "role",
            "reasoning",
            "reasoning_content",
            "reasoning_details",
            "refusal",
            "tool_calls",
            "function_call",
            "annotations",
            "images",
        ] {
            // Texts are what these hold.
            if !(odd.is_string() && ["reasoning", "reasoning_content", "refusal"].contains(&name)) {
                said[name] = odd.clone();
            }
        }
        said["content"] = "a".into();
        let mut chunk = delta(said);
        (chunk["usage"], chunk["service_tier"], chunk["citations"], chunk["search_results"]) = (
            odd.clone(),
            if odd.is_string() { json!(null) } else { odd.clone() },
            odd.clone(),
            odd.clone(),
        );
        rig.server.script(stream(&[chunk, end("stop")]));
        let told = ClientAnswer::read(&rig.streamed().await);
        assert_eq!((told.content.as_str(), told.finish.as_deref()), ("a", Some("stop")), "{odd}");
        assert!(told.calls.is_empty() && told.annotations.is_empty(), "{odd}");
    }
}

#[actix_web::test]
async fn a_line_of_five_megabytes_ends_in_an_error() {
    let rig = rig(json!({})).await;
    let long = event(&delta(json!({"content": "x".repeat(5_000_000)})));
    rig.server.script(vec![
        head(),
        says("a"),
        ResponseStep::Send(long.clone()),
        ResponseStep::Close,
    ]);
    let answered = rig.streamed().await;
    assert_eq!(split_broken_stream(&answered).0, "a");
    assert!(answered.text.len() < 10_000);
    rig.server.script(vec![head(), ResponseStep::Send(long), ResponseStep::Close]);
    assert!(rig.plain().await.error_message(502).contains("too long"));
}

#[actix_web::test]
async fn a_million_tiny_chunks_come_out_as_they_went_in() {
    const MILLION: usize = 1_000_000;
    let rig = rig(json!({})).await;
    let tiny = br#"data: {"choices":[{"delta":{"content":"x"}}]}

"#;
    rig.server.script(vec![
        head(),
        ResponseStep::Send(tiny.repeat(MILLION)),
        ResponseStep::Send(event(&end("stop"))),
        ResponseStep::Close,
    ]);
    let answered = rig.plain().await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    let content = answered.json["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(content.len() == MILLION && content.bytes().all(|byte| byte == b'x'));
}

#[actix_web::test]
async fn the_key_and_the_address_are_told_to_nobody() {
    let rig = rig(json!({"breaker_failures": 0, "max_attempts": 1})).await;
    let url = rig.server.url();
    let said = format!("no: {KEY} at {url} for Bearer {KEY}");
    let statuses = [
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "409 Conflict",
        "413 Too Large",
        "429 Too Many Requests",
        "500 Oops",
        "503 Unavailable",
    ];
    for status in statuses {
        for body in [
            json!({"error": {"message": said, "param": "x", "code": null}}),
            json!({"detail": said}),
            json!({"error": said}),
        ] {
            rig.server.script(json_of(status, "", &body));
            let refused = rig.plain().await;
            assert!(refused.status >= 400);
            for secret in [KEY, "127.0.0.1"] {
                assert!(!refused.text.contains(secret), "{status}: {}", refused.text);
            }
        }
    }
    rig.server.script(vec![
        head(),
        says("a"),
        ResponseStep::Send(event(&json!({"error": {"message": said}}))),
        ResponseStep::Close,
    ]);
    let streamed = rig.post(&with_stream(chat_body(&json!({})), true)).await;
    assert!(
        !streamed.text.contains(KEY) && !streamed.text.contains("127.0.0.1"),
        "{}",
        streamed.text
    );
    for path in ["/openai_proxy/valves", "/openai_proxy/valves/spec", "/models", "/pipelines"] {
        assert!(!rig.host.get(path).await.text.contains(KEY), "{path}");
    }
}

#[actix_web::test]
async fn hostile_lists_of_models_list_nothing_that_harms() {
    let rig = rig(json!({"model_list_seconds": 10})).await;
    let list = json!({"data": [
        {"id": "good", "name": "Good", "event": {"type": "execute"}, "pipe": true, "info": {"meta": {"canary": 1}}, "owned_by": "canary", "description": "canary"},
        {"id": "bad\r\nx-canary: 1"}, {"id": 7}, {"id": ""}, null, "canary", {"id": "x".repeat(10_000)},
        {"id": "modèle", "name": "<script>"},
    ]});
    rig.server.script_list(json_of("200 OK", "", &list));
    let host = super::host(&rig.server.url(), json!({})).await;
    let models = host.get("/models").await;
    assert!(!models.text.contains("canary") && !models.text.contains("execute"), "{}", models.text);
    let ids: Vec<_> =
        models.json["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
    assert_eq!(ids, ["openai_proxy.good", "openai_proxy.modèle"]);
    assert_eq!(host.answer_text("openai_proxy.modèle", "hi").await, "pong");
}

#[actix_web::test]
async fn an_answer_in_another_shape_is_an_error_in_plain_words() {
    let rig = rig(json!({"breaker_failures": 0})).await;
    for body in [
        "{}",
        "[]",
        "null",
        "7",
        "\"canary\"",
        "{\"choices\": []}",
        "{\"choices\": \"canary\"}",
        "",
    ] {
        rig.server.script(answer("200 OK", "content-type: application/json\r\n", body));
        let refused = rig.plain().await;
        refused.error_message(502);
        assert!(!refused.text.contains("canary"), "{}", refused.text);
    }
}
