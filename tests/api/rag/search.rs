//! Trying a question: what each leg gives, and why.

use super::{ECHO, host_with_documents};
use serde_json::{Value, json};

#[actix_web::test]
async fn a_find_tells_what_each_leg_gave_it_and_which_words_it_has() {
    let host = host_with_documents().await;
    let found = host.post("/rag/documents/search", &json!({"query": "sharing the weeks"})).await;
    let chunk = &found.json["chunks"][0];
    assert_eq!((&chunk["document"], &chunk["words_rank"]), (&json!("leave.md"), &json!(1)));
    assert_eq!(chunk["matched"], json!(["sharing", "weeks"]));
    assert!(chunk["words"].as_f64().unwrap() > 0.0 && chunk["score"].as_f64().unwrap() > 0.0);
    assert_eq!(chunk["meaning"], Value::Null);
}

#[actix_web::test]
async fn without_an_embedding_model_words_find_and_it_is_said() {
    let host = host_with_documents().await;
    let found = host.post("/rag/documents/search", &json!({"query": "parents"})).await;
    let note = found.json["notes"][0].as_str().unwrap();
    assert!(note.contains("words alone"), "{note}");
    assert_eq!(found.json["chunks"].as_array().unwrap().len(), 1);
    host.update_valves("rag", &json!({"embedding_model": "local"})).await;
    let found = host.post("/rag/documents/search", &json!({"query": "parents"})).await;
    let note = found.json["notes"][0].as_str().unwrap();
    assert!(note.contains("pipewright models fetch"), "{note}");
    assert_eq!(found.json["chunks"].as_array().unwrap().len(), 1);
    let ready = host.get("/health/ready").await.json;
    assert_eq!(ready["degraded"], json!(["rag"]));
}

#[actix_web::test]
async fn a_collection_that_is_not_there_is_named() {
    let host = host_with_documents().await;
    let refused = host.post("/rag/other/search", &json!({"query": "a"})).await;
    assert_eq!(refused.error_message(404), "There is no collection `other`");
}

#[actix_web::test]
async fn a_search_of_very_many_words_is_refused_or_cut_and_holds_nobody_up() {
    let host = host_with_documents().await;
    let words: Vec<String> = (0..120_000).map(|number| format!("w{number}")).collect();
    let refused = host.post("/rag/documents/search", &json!({"query": words.join(" ")})).await;
    assert_eq!(refused.error_message(400), "query: must have at most 4000 characters");
    // As many words as a question may have, and a chat of as many as it may have: the first ones
    // are looked for.
    let query = format!("garage {}", words[..500].join(" "));
    let found = host.post("/rag/documents/search", &json!({"query": query})).await;
    assert_eq!(found.json["chunks"][0]["document"], "parking.md", "{}", found.text);
    let text = host.answer_text(ECHO, &format!("garage {}", words.join(" "))).await;
    assert!(text.contains("opens at six"), "the beginning is searched by");
}
