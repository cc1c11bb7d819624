//! Chats with documents behind them.

use super::{ECHO, host_with_documents};
use crate::support::{TestResponse, chat};
use reqwest::Method;
use serde_json::{Value, json};

const QUESTION: &str = "How many weeks of leave do parents get?";

fn data(frames: &[String]) -> Vec<Value> {
    let frames = frames.iter().filter_map(|frame| frame.strip_prefix("data: "));
    frames.filter_map(|frame| serde_json::from_str(frame).ok()).collect()
}

#[actix_web::test]
async fn a_streamed_answer_shows_its_sources_before_its_first_word_and_cites_them() {
    let host = host_with_documents().await;
    let frames = data(&host.stream(ECHO, QUESTION).await);
    let kinds: Vec<_> = frames
        .iter()
        .filter_map(|frame| {
            let delta = &frame["choices"][0]["delta"];
            let text = delta["content"].as_str().filter(|text| !text.is_empty());
            frame["event"]["type"]
                .as_str()
                .or_else(|| text.map(|_| "text"))
                .or_else(|| delta["annotations"].is_array().then_some("annotation"))
        })
        .collect();
    assert_eq!(kinds, ["status", "status", "source", "text", "annotation"]);
    let source = frames.iter().find(|frame| frame["event"]["type"] == "source").unwrap();
    assert_eq!(
        source["event"]["data"]["source"],
        json!({"id": "documents/leave.md", "name": "Leave", "url": "https://example.com/leave"})
    );
    let annotation = frames.iter().find_map(|frame| {
        frame["choices"][0]["delta"]["annotations"][0].get("url_citation").cloned()
    });
    assert_eq!(annotation.unwrap()["url"], "https://example.com/leave");
}

#[actix_web::test]
async fn every_frame_of_a_stream_is_a_chunk_that_clients_of_openai_can_read() {
    let host = host_with_documents().await;
    for frame in data(&host.stream(ECHO, QUESTION).await) {
        assert!(frame["choices"].is_array() && frame["id"].is_string(), "{frame}");
    }
}

#[actix_web::test]
async fn open_webui_is_shown_each_source_once() {
    let host = host_with_documents().await;
    let mut body = chat(ECHO, QUESTION);
    body["stream"] = true.into();
    let request = host.request(Method::POST, "/chat/completions").json(&body);
    let request = request.header("user-agent", "Python/3.11 aiohttp/3.14.5");
    let text = TestResponse::read(request.send().await.unwrap()).await.text;
    assert!(text.contains("\"type\":\"source\"") && !text.contains("annotations"), "{text}");
}

#[actix_web::test]
async fn a_plain_answer_carries_sources_and_annotations() {
    let host = host_with_documents().await;
    let answer = host.chat(ECHO, QUESTION).await.json;
    let message = &answer["choices"][0]["message"];
    assert!(message["content"].as_str().unwrap().contains("<source id=\"1\" name=\"Leave\">"));
    assert_eq!(message["annotations"][0]["url_citation"]["title"], "Leave");
    assert_eq!(answer["sources"][0]["source"]["name"], "Leave");
}

#[actix_web::test]
async fn models_with_documents_are_listed_like_others() {
    let host = host_with_documents().await;
    let models = host.get("/models").await.json;
    let ids: Vec<_> = models["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
    assert!(ids.contains(&&json!("rag.typed")) && ids.contains(&&json!("rag.script.whole")));
}

#[actix_web::test]
async fn the_tasks_of_open_webui_go_to_the_generator_alone() {
    let host = host_with_documents().await;
    let task = "### Task:\nGenerate a title for: parents and leave";
    assert_eq!(host.answer_text(ECHO, task).await, format!("typed: {task}"));
}

#[actix_web::test]
async fn as_a_filter_it_puts_what_it_finds_before_any_chat() {
    let host = host_with_documents().await;
    let turned = host.update_valves("rag", &json!({"filter": true})).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    let body = chat("gpt-5", QUESTION);
    let user = json!({"id": "u1", "role": "user"});
    let passed = host.post("/rag/filter/inlet", &json!({"user": user, "body": body})).await.json;
    let text = passed["messages"][0]["content"].as_str().unwrap();
    assert!(text.contains("thirty weeks") && text.ends_with(QUESTION), "{text}");
    assert_eq!(passed["model"], "gpt-5");
    let asks = host.request(Method::GET, "/models").header("user-agent", "aiohttp");
    let models = TestResponse::read(asks.send().await.unwrap()).await.json;
    let filter =
        models["data"].as_array().unwrap().iter().find(|model| model["id"] == "rag").unwrap();
    assert_eq!(filter["pipeline"]["pipelines"], json!(["*"]));
}
