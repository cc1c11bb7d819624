//! The streams of each API, byte by byte but for ids and times, as snapshots.

use crate::rig::{LITE, Rig, model_id, rig};
use bedrock_emulator::{ANY, ModelAnswer, Script};
use insta::assert_snapshot;
use serde_json::{Value, json};

/// Returns an answer with reasoning, text and a tool call.
fn answer() -> ModelAnswer {
    ModelAnswer::new().text(["Let me ", "look."]).tool(
        "tooluse_1",
        "weather",
        [r#"{"city": "#, r#""Paris"}"#],
    )
}

/// Returns the frames of a stream with the same ids and times in each run.
fn normalize(stream: &str) -> String {
    let mut normalized = stream.to_owned();
    let mut ids = Vec::new();
    for frame in stream.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let Ok(frame) = serde_json::from_str::<Value>(frame) else { continue };
        collect_ids(&frame, &mut ids);
        for field in ["created", "created_at", "completed_at"] {
            for number in [&frame[field], &frame["response"][field]] {
                if number.is_number() {
                    let (old, new) = (format!("\"{field}\":{number}"), format!("\"{field}\":0"));
                    normalized = normalized.replace(&old, &new);
                }
            }
        }
    }
    for (number, id) in ids.iter().enumerate() {
        let prefix = id.split(['-', '_']).next().unwrap_or_default();
        normalized = normalized.replace(id.as_str(), &format!("{prefix}-{number}"));
    }
    normalized
}

/// Collects the ids of a frame that the host has made up.
fn collect_ids(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str().filter(|_| matches!(name.as_str(), "id" | "item_id")) {
                    Some(id) if id.starts_with("tooluse_") => {}
                    Some(id) if !ids.iter().any(|known| known == id) => ids.push(id.to_owned()),
                    Some(_) => {}
                    None => collect_ids(value, ids),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_ids(item, ids)),
        _ => {}
    }
}

async fn stream(rig: &Rig, path: &str, body: &Value) -> String {
    rig.bedrock.script(ANY, Script::answer(answer()));
    let answered = rig.host.post(path, body).await;
    assert_eq!(answered.status, 200, "{path}: {}", answered.text);
    normalize(&answered.text)
}

#[actix_web::test]
async fn each_api_streams_in_its_own_form() {
    let rig = rig(json!({})).await;
    let model = model_id(LITE);
    let messages = json!([{"role": "user", "content": "hi"}]);
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let function = json!({"name": "weather", "parameters": schema});
    let chat = json!({
        "model": model, "messages": messages, "stream": true,
        "stream_options": {"include_usage": true},
        "tools": [{"type": "function", "function": function}],
    });
    assert_snapshot!("chat-completions", stream(&rig, "/chat/completions", &chat).await);
    let responses = json!({
        "model": model, "input": "hi", "stream": true,
        "tools": [{"type": "function", "name": "weather", "parameters": schema}],
    });
    assert_snapshot!("responses", stream(&rig, "/responses", &responses).await);
    let messages = json!({
        "model": model, "messages": messages, "max_tokens": 100, "stream": true,
        "tools": [{"name": "weather", "input_schema": schema}],
    });
    assert_snapshot!("messages", stream(&rig, "/messages", &messages).await);
}

#[actix_web::test]
async fn completions_stream_in_their_own_form() {
    let rig = rig(json!({})).await;
    rig.bedrock.script(ANY, Script::answer(ModelAnswer::with_text(["Once ", "upon"])));
    let body = json!({"model": model_id(LITE), "prompt": "Tell", "stream": true});
    let answered = rig.host.post("/completions", &body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert_snapshot!("completions", normalize(&answered.text));
}
