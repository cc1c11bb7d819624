//! Recorded chats of Open WebUI with Python pipelines of the reference server, replayed with files
//! that do the same. `tests/recordings/README.md` tells what was recorded.

use super::python_host_with;
use crate::support::{TestHost, TestResponse};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

const FILES: [&str; 4] =
    ["conversation_turn_limit_filter", "echo", "recorder_filter", "typed_valves"];

/// Chats whose answers differ from those of the reference server, by their last message: it has
/// answered nothing, or with Python's spelling of a value.
const DIFFERENT: [(&str, u16, &str); 5] = [
    ("return iterator", 200, "iter"),
    ("yield bytes", 200, "from bytesplain bytes"),
    ("yield numbers", 200, "12.5['x']"),
    ("boom", 500, "Boom in pipe"),
    ("errdict", 502, "Provider said no"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

fn read(path: &str) -> String {
    fs::read_to_string(folder().join(path)).unwrap()
}

/// Returns the recorded requests of a file.
fn requests(file: &str) -> Vec<Value> {
    let lines = read(&format!("{file}.jsonl"));
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn recorded_host() -> Option<TestHost> {
    let texts = FILES.map(|name| read(&format!("pipelines/{name}.py")));
    let names = FILES.map(|name| format!("{name}.py"));
    let files: Vec<_> = names.iter().map(String::as_str).zip(texts.iter().map(|t| &**t)).collect();
    python_host_with(&files, &FILES).await
}

async fn replay(host: &TestHost, request: &Value) -> TestResponse {
    let method: Method = request["method"].as_str().unwrap().parse().unwrap();
    let replayed = host.request(method, request["path"].as_str().unwrap()).json(&request["json"]);
    TestResponse::read(replayed.send().await.unwrap()).await
}

/// Returns the text of an answer, streamed or not, or its error.
fn text(answered: &TestResponse) -> String {
    let content = &answered.json["choices"][0]["message"]["content"];
    if let Some(text) = content.as_str().or_else(|| answered.json["detail"].as_str()) {
        return text.to_owned();
    }
    let data = answered.text.lines().filter_map(|line| line.strip_prefix("data: "));
    let chunks = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    chunks
        .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect()
}

#[actix_web::test]
async fn recorded_chats_are_answered_as_by_the_reference_server() {
    let Some(host) = recorded_host().await else { return };
    let answers: Value = serde_json::from_str(&read("answers.json")).unwrap();
    let mut compared = 0;
    for (file, answers) in answers.as_object().unwrap() {
        for exchange in requests(file) {
            let Some(expected) = answers.get(exchange["seq"].to_string()) else { continue };
            let request = &exchange["request"];
            let asked = request["json"]["messages"].as_array().unwrap().last().unwrap();
            let answered = replay(&host, request).await;
            let place = format!("{file} {}: {asked}: {}", exchange["seq"], answered.text);
            let different = DIFFERENT.iter().find(|(question, ..)| asked["content"] == *question);
            match (different, expected["text"].as_str()) {
                (Some((_, status, expected)), _) => {
                    assert_eq!(
                        (answered.status, &*text(&answered)),
                        (*status, *expected),
                        "{place}"
                    );
                }
                (None, Some(expected)) => {
                    assert_eq!((answered.status, &*text(&answered)), (200, expected), "{place}");
                }
                (None, None) => assert_eq!(expected["status"], answered.status, "{place}"),
            }
            compared += 1;
        }
    }
    assert!(compared > 30, "only {compared} chats");
}

#[actix_web::test]
async fn recorded_filter_calls_change_chats_as_the_reference_server_did() {
    let Some(host) = recorded_host().await else { return };
    for file in [
        "06_api_chat_nonstream",
        "08_ui_chat_new_with_tasks",
        "13_ui_chat_image",
        "30_inlet_refuses",
    ] {
        for exchange in requests(file) {
            let request = &exchange["request"];
            let path = request["path"].as_str().unwrap();
            if !path.contains("/filter/") {
                continue;
            }
            let answered = replay(&host, request).await;
            let place = format!("{file} {}: {path}: {}", exchange["seq"], answered.text);
            let mut messages = request["json"]["body"]["messages"].clone();
            let last = messages.as_array_mut().unwrap().last_mut().unwrap();
            let said = last["content"].as_str().unwrap_or_default().to_owned();
            if said.contains("block me") && path == "/recorder_filter/filter/inlet" {
                assert_eq!(answered.error_message(500), "Blocked by recorder filter", "{place}");
                continue;
            }
            if path == "/recorder_filter/filter/outlet" {
                last["content"] = format!("{said} [outlet]").into();
            }
            assert_eq!((answered.status, &answered.json["messages"]), (200, &messages), "{place}");
        }
    }
}

#[actix_web::test]
async fn recorded_valves_are_saved_and_shown_again() {
    let Some(host) = recorded_host().await else { return };
    for exchange in requests("05_valves_update") {
        let request = &exchange["request"];
        if request["path"] != "/typed_valves/valves/update" {
            continue;
        }
        let answered = replay(&host, request).await;
        let sent = &request["json"];
        let is_wrong = sent["color"] == "blue" || sent["whole"] == "99";
        assert_eq!(answered.status, if is_wrong { 422 } else { 200 }, "{}", answered.text);
        if is_wrong {
            continue;
        }
        let shown = host.valves("typed_valves").await;
        for name in ["text", "whole", "real", "flag", "choice", "choice_num", "color", "opt_int"] {
            let (sent, shown) = (&sent[name], &shown[name]);
            let spelled = |value: &Value| value.to_string().trim_matches('"').to_owned();
            // An empty field and `None` are the default.
            let is_default = *sent == json!("") || sent.is_null();
            assert!(is_default || spelled(sent) == spelled(shown), "{name}: {sent} is {shown}");
        }
        assert_eq!(shown["password"], "**********");
    }
}
