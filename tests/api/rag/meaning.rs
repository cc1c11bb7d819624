//! Found by meaning: vectors of a model that another pipe of the host serves.

use crate::rig::{LITE, PIPE, Rig, model_id, rig};
use reqwest::Method;
use serde_json::{Value, json};

const COHERE: &str = "cohere.embed-english-v3";
const TITAN: &str = "amazon.titan-embed-text-v2:0";

async fn host_with_documents(model: &str) -> Rig {
    let rig = rig(json!({})).await;
    let valves = json!({"generators": model_id(LITE), "embedding_model": model_id(model)});
    let turned = rig.host.update_valves("rag", &valves).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    put(&rig, "leave.md", "# Leave\nParents get thirty weeks.").await;
    rig
}

/// Until the meaning finds it too.
async fn put(rig: &Rig, id: &str, text: &str) {
    let body = json!({"id": id, "text": text});
    let put = rig.host.post("/rag/documents/documents?wait=true", &body).await;
    assert_eq!(put.status, 200, "{}", put.text);
}

async fn search(rig: &Rig, query: &str) -> Value {
    rig.host.post("/rag/documents/search", &json!({"query": query})).await.json
}

/// Returns the purposes for which Cohere's models were asked for vectors.
fn input_types(rig: &Rig) -> Vec<String> {
    let asked = rig.bedrock.requests().into_iter();
    asked.filter_map(|asked| asked.json["input_type"].as_str().map(str::to_owned)).collect()
}

#[actix_web::test]
async fn documents_and_questions_are_embedded_as_what_they_are_and_only_once() {
    let rig = host_with_documents(COHERE).await;
    let kept = rig.host.get("/rag/documents/documents").await.json;
    assert_eq!(kept["documents"][0]["state"], "ready");
    let collection = rig.host.get("/rag").await.json["collections"][0].clone();
    assert_eq!(collection["model"], model_id(COHERE), "{collection}");
    let found = search(&rig, "Elternzeit").await;
    assert!(found["chunks"][0]["meaning"].is_number(), "{found}");
    assert_eq!(found["notes"], json!([]));
    search(&rig, "Elternzeit").await;
    put(&rig, "leave.md", "# Leave\nParents get thirty weeks.").await;
    put(&rig, "copy.md", "# Leave\nParents get thirty weeks.").await;
    assert_eq!(input_types(&rig), ["search_document", "search_query"]);
}

#[actix_web::test]
async fn another_model_embeds_everything_anew_and_words_find_meanwhile() {
    let rig = host_with_documents(COHERE).await;
    rig.host.update_valves("rag", &json!({"embedding_model": model_id(TITAN)})).await;
    put(&rig, "parking.md", "# Parking\nThe garage opens at six.").await;
    let collection = rig.host.get("/rag").await.json["collections"][0].clone();
    assert_eq!(collection["model"], model_id(TITAN), "{collection}");
    let found = search(&rig, "Elternzeit").await;
    assert_eq!(found["chunks"].as_array().unwrap().len(), 2);
    assert!(found["chunks"][1]["meaning"].is_number());
    let refused =
        rig.host.update_valves("rag", &json!({"embedding_model": "nothing.of-the-kind"})).await;
    assert!(refused.error_message(422).contains("no model of this host"), "{}", refused.text);
    let denied = rig.host.update_valves(PIPE, &json!({"deny": "amazon.titan-embed*"})).await;
    assert_eq!(denied.status, 200, "{}", denied.text);
    let ready = rig.host.get("/health/ready").await;
    assert!(ready.json["degraded"].as_array().unwrap().contains(&json!("rag")), "{}", ready.text);
    let found = search(&rig, "garage").await;
    assert!(found["notes"][0].as_str().unwrap().contains("words alone"), "{found}");
    assert_eq!(found["chunks"][0]["document"], "parking.md");
}

#[actix_web::test]
async fn who_asks_and_what_it_cost_is_known_of_vectors_too() {
    let rig = host_with_documents(COHERE).await;
    let body = json!({"model": format!("rag.{}", model_id(LITE)), "stream": false, "messages": [{"role": "user", "content": "weeks?"}]});
    let request = rig.host.request(Method::POST, "/chat/completions").json(&body);
    let answered = request.header("x-openwebui-user-id", "anna").send().await.unwrap();
    assert_eq!(answered.status(), 200);
    let usage = rig.host.get("/usage?by=user,kind").await.json;
    let rows = usage["rows"].as_array().unwrap();
    let is = |row: &&Value, user: &str, kind: &str| row["user"] == user && row["kind"] == kind;
    assert!(rows.iter().any(|row| is(&row, "anna", "embed")), "{usage}");
    assert!(rows.iter().any(|row| is(&row, "anna", "chat")), "{usage}");
}
