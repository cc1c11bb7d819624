//! Recorded exchanges of Open WebUI, replayed: every request is accepted, and every answer has what
//! Open WebUI reads.
//!
//! The recordings are the project's own, in `tests/recordings`: one JSON object a line with the
//! request as Open WebUI sent it. They were made with pipes named `echo`, `typed_valves`,
//! `recorder_filter` and `fake`; here each call goes to the pipe of the same kind.

use crate::support::{TestHost, TestResponse, host};
use reqwest::Method;
use serde_json::{Value, json};
use std::{fs, path::Path};

/// The recorded ids and ours.
const NAMES: [(&str, &str); 7] = [
    ("conversation_turn_limit_filter", "polite"),
    ("recorder_filter", "polite"),
    ("typed_valves", "typed"),
    ("echo.plain", "script.whole"),
    ("echo.shapes.v1", "script.whole"),
    ("echo", "script"),
    ("fake", "typed"),
];

fn ours(text: &str) -> String {
    NAMES.iter().fold(text.to_owned(), |text, (recorded, ours)| text.replace(recorded, ours))
}

/// Every recorded request that goes to a Pipelines server.
fn recordings() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let lines = files
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .flat_map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(path).unwrap();
            text.lines()
                .map(|line| (name.clone(), serde_json::from_str(line).unwrap()))
                .collect::<Vec<_>>()
        });
    lines.collect()
}

async fn replay(host: &TestHost, request: &Value) -> TestResponse {
    let method: Method = request["method"].as_str().unwrap().parse().unwrap();
    let mut replayed = host.request(method, &ours(request["path"].as_str().unwrap()));
    for header in request["headers"].as_array().into_iter().flatten() {
        let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
        if name.starts_with("X-") || name == "User-Agent" {
            replayed = replayed.header(name, value);
        }
    }
    if !request["json"].is_null() {
        let body = ours(&request["json"].to_string());
        replayed = replayed.header("content-type", "application/json").body(body);
    }
    TestResponse::read(replayed.send().await.unwrap()).await
}

/// Returns the parts that Open WebUI reads of an answer to this path
/// (`docs/reference/open-webui.md`, "Calls" and "Inlet and outlet bodies" and "Streamed answers").
fn has_what_is_read(path: &str, request: &Value, answer: &TestResponse) -> bool {
    let json = &answer.json;
    match path.trim_start_matches("/v1") {
        "/models" => {
            json["pipelines"] == true
                && json["data"]
                    .as_array()
                    .is_some_and(|list| list.iter().all(|model| model["id"].is_string()))
        }
        "/pipelines" => json["data"].is_array(),
        "/chat/completions" if request["json"]["stream"] == true => {
            answer.text.ends_with("data: [DONE]\n\n")
        }
        "/chat/completions" => json["choices"][0]["message"]["role"] == "assistant",
        path if path.ends_with("/valves/spec") => json["properties"].is_object(),
        path if path.ends_with("/filter/inlet") => {
            json["model"].is_string() && json["messages"].is_array()
        }
        path if path.ends_with("/filter/outlet") => {
            json["messages"]
                == serde_json::from_str::<Value>(&ours(
                    &request["json"]["body"]["messages"].to_string(),
                ))
                .unwrap()
        }
        _ => json.is_object(),
    }
}

/// The status that we mean to give where it is not 200.
fn expected_status(path: &str, request: &Value) -> u16 {
    match path.trim_start_matches("/v1") {
        "/pipelines/add" | "/pipelines/upload" => 409,
        "/pipelines/delete" => 404,
        "/embeddings" => 404,
        path if path.contains("nosuch") => 404,
        path if path.ends_with("/valves/update") && request["json"].is_null() => 415,
        _ => 200,
    }
}

#[actix_web::test]
async fn every_recorded_request_is_accepted_and_answered_in_full() {
    let host = host().await;
    let recordings = recordings();
    assert!(recordings.len() > 100, "only {} recordings", recordings.len());
    for (name, exchange) in recordings {
        let request = &exchange["request"];
        let path = request["path"].as_str().unwrap();
        let answer = replay(&host, request).await;
        let place = format!("{name} {}: {} {path}", exchange["seq"], request["method"]);
        if path.ends_with("/valves/update") && answer.status == 422 {
            // The recorder's valves are not ours; what its values mean is tested with the valves.
            assert!(answer.json["detail"].is_string(), "{place}");
            continue;
        }
        assert_eq!(answer.status, expected_status(path, request), "{place}: {}", answer.text);
        assert!(
            answer.status != 200 || has_what_is_read(path, request, &answer),
            "{place}: {}",
            answer.text
        );
    }
}

#[actix_web::test]
async fn the_forwarded_user_reaches_the_pipe() {
    let host = host().await;
    let forwarded = recordings()
        .into_iter()
        .filter(|(name, _)| name == "q1_user_headers")
        .map(|(_, exchange)| exchange);
    let mut chats = 0;
    for exchange in forwarded.filter(|exchange| exchange["request"]["path"] == "/chat/completions")
    {
        let mut request = exchange["request"].clone();
        let user = request["json"]["user"]["id"].clone();
        request["json"] =
            json!({"model": "typed", "messages": [{"role": "user", "content": "who"}]});
        let answer = replay(&host, &request).await;
        let text = answer.json["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
        assert!(text.starts_with(user.as_str().unwrap()), "{text}");
        chats += 1;
    }
    assert!(chats > 0);
}
