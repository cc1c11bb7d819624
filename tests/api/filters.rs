//! Inlets and outlets.

use crate::support::{chat, host};
use serde_json::{Value, json};

fn call(body: &Value) -> Value {
    json!({"user": {"id": "u1", "email": "a@b", "name": "Ada", "role": "user"}, "body": body})
}

#[actix_web::test]
async fn an_inlet_answers_with_the_whole_body_as_it_came() {
    let host = host().await;
    let body = json!({
        "model": "typed", "stream": true, "zeta": [1.5, null], "tool_ids": [], "features": {"voice": false},
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a", "x": 1}], "extra": {"b": 1, "a": 2}}],
    });
    for path in ["/typed/filter/inlet", "/v1/script.whole/filter/inlet", "/typed/filter/outlet"] {
        let answer = host.post(path, &call(&body)).await;
        assert_eq!(answer.text, body.to_string(), "{path}");
    }
}

#[actix_web::test]
async fn the_inlet_of_our_own_models_keeps_the_chats_ids_for_the_chat_call() {
    let host = host().await;
    let mut body = chat("typed", "hi");
    body["metadata"] =
        json!({"chat_id": "c1", "message_id": "m1", "session_id": null, "task": "tags_generation"});
    let own = host.post("/typed/filter/inlet", &call(&body)).await.json;
    assert_eq!(
        (&own["chat_id"], &own["message_id"], &own["task"]),
        (&json!("c1"), &json!("m1"), &json!("tags_generation"))
    );
    assert!(own.get("session_id").is_none());
    let filter = host.post("/polite/filter/inlet", &call(&body)).await.json;
    assert_eq!((filter.get("chat_id"), &filter["polite"]), (None, &json!(true)));
}

#[actix_web::test]
async fn full_model_ids_and_a_connections_prefix_resolve() {
    let host = host().await;
    for id in [
        "script.org/model-v1:0",
        "pp.script.org/model-v1:0",
        "pp.typed",
        "a.b.polite",
        "script.any.thing/at:all",
    ] {
        assert_eq!(
            host.post(&format!("/{id}/filter/inlet"), &call(&chat(id, "hi"))).await.status,
            200,
            "{id}"
        );
    }
    assert_eq!(
        host.post("/nothing/filter/inlet", &call(&chat("x", "hi"))).await.error_message(404),
        "Filter nothing not found"
    );
}

#[actix_web::test]
async fn a_refused_chat_says_why_in_the_reason_phrase_too() {
    let host = host().await;
    let rude = call(&chat("typed", "rude"));
    let answer = host.post("/polite/filter/inlet", &rude).await;
    assert_eq!(answer.error_message(429), "No, Ada: ask\r\npolitely");
    assert_eq!(answer.header("retry-after"), "9");
    let line = host.status_line("/polite/filter/inlet", &rude).await;
    assert_eq!(line, "HTTP/1.1 429 No, Ada: ask  politely");
}

#[actix_web::test]
async fn a_filter_may_be_called_without_a_user() {
    let host = host().await;
    let answer = host
        .post("/polite/filter/inlet", &json!({"user": null, "body": chat("typed", "hi")}))
        .await;
    assert_eq!(answer.status, 200);
    host.post("/polite/filter/inlet", &json!({"body": []})).await.error_message(422);
}
