//! What is logged: one line a request, and never content.

use crate::process::{KEY, Process};
use bedrock_emulator::{Emulator, Options};
use serde_json::{Value, json};

#[actix_web::test]
async fn one_line_a_request_with_its_numbers_and_without_its_words() {
    let (emulator, folder) =
        (Emulator::start(Options::default()).unwrap(), tempfile::tempdir().unwrap());
    let host = Process::start(&emulator, folder.path(), &[]);
    let body = json!({"model": crate::process::MODEL, "messages": [{"role": "user", "content": "canary-in-the-prompt"}], "user": {"id": "u", "email": "canary@example.com"}});
    let answer = host.post("/chat/completions", &body).await;
    assert_eq!(answer.status(), 200);
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert!(
        answer.text().await.unwrap().contains("canary-in-the-prompt"),
        "the demo quotes what it is asked"
    );
    let secret = json!({"endpoint_url": null, "aws_session_token": "canary-secret"});
    assert_eq!(host.post("/bedrock_models/valves/update", &secret).await.status(), 422);
    assert_eq!(host.ready().await, 200);
    host.signal("-TERM");
    let log = host.log().await;
    assert!(!log.contains("canary") && !log.contains(KEY), "{log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_chat: Vec<_> = lines.iter().filter(|line| line["request.id"] == id.as_str()).collect();
    assert_eq!(of_chat.len(), 1, "{log}");
    assert_eq!((&of_chat[0]["status"], &of_chat[0]["complete"]), (&json!(200), &json!(true)));
    assert!(
        of_chat[0]["prompt_tokens"].as_u64().unwrap() > 0 && of_chat[0]["duration_ms"].is_u64()
    );
    assert!(!log.contains("/health"), "probes are not worth a line");
}
