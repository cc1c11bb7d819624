//! Work in the background: documents that fail alone, models that appear, and chunks that are cut
//! anew.

use super::{ECHO, ask, host, host_with_documents, list_documents, post_form};
use crate::rig::{LITE, model_id, rig};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::json;

#[actix_web::test]
async fn a_text_over_the_limit_fails_alone_in_a_form_of_several() {
    let host = host().await;
    let large = "A line of words that nobody will ever read.\n".repeat(400_000);
    let file = |name: &'static str, text: String| Part::bytes(text.into_bytes()).file_name(name);
    let form = Form::new()
        .part("file", file("a.md", "# Alpha".into()))
        .part("file", file("b.txt", large))
        .part("file", file("c.md", "# Gamma".into()));
    let put = post_form(&host, "/rag/documents/documents", form).await;
    assert_eq!(put.status, 200, "{}", put.text);
    let states: Vec<_> =
        list_documents(&host).await.into_iter().map(|one| one["state"].clone()).collect();
    assert_eq!(states, ["words_only", "failed", "words_only"]);
}

#[actix_web::test]
async fn the_first_embedding_model_of_the_host_is_used_unless_the_valve_names_one() {
    let rig = rig(json!({})).await;
    rig.host.update_valves("rag", &json!({"generators": model_id(LITE)})).await;
    let body = json!({"id": "leave.md", "text": "# Leave\nParents get thirty weeks."});
    let put = rig.host.post("/rag/documents/documents?wait=true", &body).await;
    assert_eq!(put.status, 200, "{}", put.text);
    let collection = rig.host.get("/rag").await.json["collections"][0].clone();
    let model = collection["model"].as_str().unwrap_or_default();
    assert!(model.contains("embed"), "{collection}");
    assert_eq!(list_documents(&rig.host).await[0]["state"], "ready");
}

#[actix_web::test]
async fn another_chunk_size_cuts_what_is_stored() {
    let host = host().await;
    let text: String = (0..200).map(|number| format!("Sentence {number} is here. ")).collect();
    host.post("/rag/documents/documents", &json!({"id": "a", "text": text})).await;
    let before = list_documents(&host).await[0]["chunks"].as_u64().unwrap();
    let body = json!({"chunk_tokens": 32});
    let updated = ask(&host, Method::PATCH, "/rag/documents", Some(&body)).await;
    assert_eq!(updated.json["chunk_tokens"], 32, "{}", updated.text);
    host.post("/rag/elsewhere/documents?wait=true", &json!({"id": "wake", "text": "wake"})).await;
    let after = list_documents(&host).await[0]["chunks"].as_u64().unwrap();
    assert!(after > 2 * before, "{after} {before}");
    let found = host.post("/rag/documents/search", &json!({"query": "sentence 77"})).await;
    assert!(found.text.contains("Sentence 77 is here"), "{}", found.text);
}

#[actix_web::test]
async fn a_greeting_goes_to_the_generator_as_it_is() {
    let host = host_with_documents().await;
    assert_eq!(host.answer_text(ECHO, "Hello there!").await, "typed: Hello there!");
}
