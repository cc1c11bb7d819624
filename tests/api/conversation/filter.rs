//! Memory for models of any connection of Open WebUI, as a filter.

use super::{SUMMARIZE, message, rig};
use crate::support::TestResponse;
use reqwest::Method;
use serde_json::{Value, json};

fn inlet(messages: &Value) -> Value {
    json!({"user": {"id": "anna"}, "body": {
        "model": "elsewhere.model", "messages": messages, "stream": true, "kept": 1,
        "metadata": {"chat_id": "chat"},
    }})
}

#[actix_web::test]
async fn a_filter_cuts_the_history_to_its_window() {
    let valves = json!({
        "filter": true, "memory_window": 1, "persona": "You are a pirate.",
        "summary_model": "openai_proxy.m",
    });
    let rig = rig(valves).await;
    let request = rig.host.request(Method::GET, "/models");
    let request = request.header("user-agent", "Python/3.11 aiohttp/3.12");
    let models = TestResponse::read(request.send().await.unwrap()).await.json;
    let filter = models["data"].as_array().unwrap().iter().find(|one| one["id"] == "conversation");
    assert_eq!(filter.unwrap()["pipeline"]["type"], "filter", "{models}");
    let history = json!([
        message("user", "a"),
        message("assistant", "b"),
        message("user", "c"),
        message("assistant", "d"),
        message("user", "e"),
    ]);
    for _ in 0..2 {
        let filtered = rig.host.post("/conversation/filter/inlet", &inlet(&history)).await;
        assert_eq!(filtered.status, 200, "{}", filtered.text);
        assert_eq!(filtered.json["kept"], 1);
        let texts = super::message_lines(&filtered.json);
        assert!(texts[0].starts_with("system: You are a pirate.\n\nSummary"), "{texts:?}");
        assert_eq!(texts[1..], ["user: c", "assistant: d", "user: e"]);
    }
    let summaries = rig.upstream.chat_bodies();
    assert_eq!(summaries.len(), 1, "the second request finds the summary");
    assert!(summaries[0].to_string().contains(SUMMARIZE));

    let mut whole = history.as_array().unwrap().clone();
    whole.push(json!({"role": "assistant", "content": "f", "id": "m"}));
    let outlet = json!({"user": {"id": "anna"}, "body": {"model": "elsewhere.model", "chat_id": "chat", "messages": whole}});
    let finished = rig.host.post("/conversation/filter/outlet", &outlet).await;
    assert_eq!(finished.json, outlet["body"], "nothing is changed");
    let shown = rig.host.get("/conversations/chat?user=anna").await;
    assert!(shown.text.contains("\"f\""), "{}", shown.text);
    let one = rig.ask(json!([message("user", "hi")]), json!({})).await;
    one.error_message(404);
}

#[actix_web::test]
async fn background_tasks_pass_as_they_are() {
    let rig = rig(json!({"filter": true})).await;
    let mut task = inlet(&json!([message("user", "### Task:\nWrite a title")]));
    task["body"]["metadata"]["task"] = "title_generation".into();
    let filtered = rig.host.post("/conversation/filter/inlet", &task).await;
    assert_eq!(filtered.json["messages"], task["body"]["messages"]);
}
