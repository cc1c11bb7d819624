//! Conversations are remembered by another replica, and after a crash.

use super::{host, message, message_lines, reply, say};
use crate::{
    optimizer::upstream::Upstream,
    process::{KEY, MODEL, Process},
    replicas::database,
    support::{Builder, TestResponse},
};
use bedrock_emulator::{DEMO_KEY, Emulator, EmulatorOptions};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::path::Path;
use tokio::task::spawn_blocking;

#[actix_web::test]
async fn two_replicas_take_turns_in_one_conversation() {
    let Some(url) = database().await else { return };
    let upstream = Upstream::start(&["m"], reply);
    let over = || host(Builder::new().database(&url), &upstream, json!({"persona": null}));
    let (here, there) = (over().await, over().await);
    for turn in 0..6 {
        let replica = if turn % 2 == 0 { &here } else { &there };
        say(replica, "anna", "c", &format!("question {turn}")).await;
        let seen = message_lines(upstream.chat_bodies().last().unwrap());
        assert_eq!(seen.len(), 2 * turn.min(5) + 1, "{seen:?}");
        if turn > 0 {
            assert_eq!(seen[seen.len() - 2], format!("assistant: answer {}", turn - 1));
        }
    }
    // Both at once: neither turn is lost.
    let both = [(&here, "from here"), (&there, "from there")];
    join_all(both.map(|(replica, text)| say(replica, "anna", "d", text))).await;
    let shown = there.get("/conversations/d?user=anna").await.text;
    assert!(shown.contains("from here") && shown.contains("from there"), "{shown}");
    let request = there.request(reqwest::Method::DELETE, "/conversations/c?user=anna");
    assert_eq!(request.send().await.unwrap().status(), 200);
    here.get("/conversations/c?user=anna").await.error_message(404);
}

/// A host with Bedrock's emulator behind it, over this folder.
async fn process(bedrock: &std::sync::Arc<Emulator>, folder: &Path) -> Process {
    let (bedrock, folder) = (std::sync::Arc::clone(bedrock), folder.to_owned());
    let start = move || {
        let (id, secret) = DEMO_KEY;
        let variables = [
            ("BEDROCK_MODELS_AWS_ACCESS_KEY_ID", id),
            ("BEDROCK_MODELS_AWS_SECRET_ACCESS_KEY", secret),
            ("CONVERSATION_MODELS", MODEL),
        ];
        Process::start_as(&variables, &bedrock, &folder, &[])
    };
    spawn_blocking(start).await.unwrap()
}

async fn messages(host: &Process) -> Vec<Value> {
    let request = host.client.get(format!("{}/conversations/c", host.url)).bearer_auth(KEY);
    let shown = TestResponse::read(request.send().await.unwrap()).await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    shown.json["messages"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn a_host_that_is_killed_between_turns_loses_nothing() {
    let bedrock = std::sync::Arc::new(Emulator::start(EmulatorOptions::default()).unwrap());
    let folder = tempfile::tempdir().unwrap();
    for turn in 0..3 {
        let host = process(&bedrock, folder.path()).await;
        let question = format!("question {turn}");
        let body = json!({
            "model": format!("conversation.{MODEL}"), "conversation_id": "c", "stream": turn % 2 == 0,
            "messages": [message("user", &question)],
        });
        let answered = TestResponse::read(host.post("/chat/completions", &body).await).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        // At once after the answer.
        host.signal("-KILL");
        host.wait_for_exit().await;
        let host = process(&bedrock, folder.path()).await;
        let messages = messages(&host).await;
        assert_eq!(messages.len(), 2 * (turn + 1));
        assert_eq!(messages[2 * turn], message("user", &question));
        assert_eq!(messages[2 * turn + 1]["role"], "assistant");
        host.signal("-KILL");
        host.wait_for_exit().await;
    }
}
