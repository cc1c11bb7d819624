//! The description of the routes, held against what they answer.

use crate::{
    rig::{LITE, Rig, THINKER, chat_body, model_id, rig_without_fallbacks},
    support::{Builder, TestResponse, host},
};
use pipewright::slot::Registration;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Returns the schema of this response, as a document of its own.
fn schema(api: &Value, method: &str, path: &str, status: u16, kind: &str) -> Value {
    let response = &api["paths"][path][method]["responses"][status.to_string()];
    let schema = &response["content"][kind]["schema"];
    assert!(schema.is_object(), "{method} {path} describes no {status} of {kind}: {response}");
    let mut schema = schema.clone();
    schema["components"] = api["components"].clone();
    schema
}

/// Checks that a response is as it is described.
fn check(api: &Value, method: &str, path: &str, answer: &TestResponse) {
    let kind = answer.header("content-type").split(';').next().unwrap();
    let schema = schema(api, method, path, answer.status, kind);
    if kind == "application/json" {
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<_> = validator.iter_errors(&answer.json).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{method} {path}: {errors:?} in {}", answer.text);
    }
}

async fn check_post(rig: &Rig, api: &Value, path: &str, body: &Value, status: u16) {
    let answer = rig.host.post(path, body).await;
    assert_eq!(answer.status, status, "{path}: {}", answer.text);
    check(api, "post", path, &answer);
}

#[actix_web::test]
async fn what_models_answer_is_as_it_is_described() {
    let rig = rig_without_fallbacks(json!({})).await;
    let api = rig.host.get("/openapi.json").await.json;
    let (lite, claude) = (model_id(LITE), model_id(THINKER));
    let chat = chat_body(LITE, &json!({}));
    check_post(&rig, &api, "/chat/completions", &chat, 200).await;
    let mut streamed = chat.clone();
    streamed["stream"] = true.into();
    check_post(&rig, &api, "/chat/completions", &streamed, 200).await;
    check_post(&rig, &api, "/chat/completions", &json!({"model": lite}), 400).await;
    let unknown = json!({"model": "nothing.here", "messages": chat["messages"]});
    check_post(&rig, &api, "/chat/completions", &unknown, 404).await;
    check_post(&rig, &api, "/completions", &json!({"model": lite, "prompt": "hi"}), 200).await;
    let message = json!({"model": claude, "max_tokens": 9, "messages": chat["messages"]});
    check_post(&rig, &api, "/messages", &message, 200).await;
    check_post(&rig, &api, "/messages", &json!({"model": claude}), 400).await;
    check_post(&rig, &api, "/messages/count_tokens", &message, 200).await;
    check_post(&rig, &api, "/responses", &json!({"model": lite, "input": "hi"}), 200).await;
    check_post(&rig, &api, "/responses/compact", &json!({"model": lite, "input": "hi"}), 200).await;
    let embed = json!({"model": model_id("amazon.titan-embed-text-v2:0"), "input": "some text"});
    check_post(&rig, &api, "/embeddings", &embed, 200).await;
    let rerank =
        json!({"model": model_id("cohere.rerank-v3-5:0"), "query": "q", "documents": ["a"]});
    check_post(&rig, &api, "/rerank", &rerank, 200).await;
    let picture = json!({"model": model_id("amazon.nova-canvas-v1:0"), "prompt": "a fox"});
    check_post(&rig, &api, "/images/generations", &picture, 200).await;
    for path in ["/models", "/usage", "/usage?format=csv", "/admin", "/metrics", "/pipelines"] {
        let answer = rig.host.get(path).await;
        check(&api, "get", path.split('?').next().unwrap(), &answer);
    }
    check(&api, "get", "/models/{id}", &rig.host.get(&format!("/models/{lite}")).await);
    check(&api, "get", "/admin/pipes/{id}", &rig.host.get("/admin/pipes/bedrock_models").await);
    for path in ["valves", "valves/spec"] {
        let answer = rig.host.get(&format!("/bedrock_models/{path}")).await;
        check(&api, "get", &format!("/{{id}}/{path}"), &answer);
    }
    let refused =
        rig.host.update_valves("bedrock_models", &json!({"connect_timeout_seconds": "many"})).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    check(&api, "post", "/{id}/valves/update", &refused);
}

#[actix_web::test]
async fn what_documents_and_conversations_answer_is_as_it_is_described() {
    const PIPES: &[Registration] = &[Registration::for_pipe::<::rag::Rag>()];
    let host = Builder::new().pipes(PIPES).start().await;
    let api = host.get("/openapi.json").await.json;
    check(&api, "post", "/rag", &host.post("/rag", &json!({"name": "one"})).await);
    check(&api, "get", "/rag", &host.get("/rag").await);
    let changed = host.request(Method::PATCH, "/rag/one").json(&json!({"chunk_tokens": 64}));
    check(
        &api,
        "patch",
        "/rag/{collection}",
        &TestResponse::read(changed.send().await.unwrap()).await,
    );
    let documents = "/rag/{collection}/documents";
    let stored = host.post("/rag/one/documents", &json!({"id": "a", "text": "Some text."})).await;
    check(&api, "post", documents, &stored);
    check(&api, "get", documents, &host.get("/rag/one/documents").await);
    let found = host.post("/rag/one/search", &json!({"query": "text", "everything": true})).await;
    assert_eq!(found.json["chunks"].as_array().map(Vec::len), Some(1), "{}", found.text);
    check(&api, "post", "/rag/{collection}/search", &found);
    let removed = host.request(Method::DELETE, "/rag/one/documents").json(&json!({"ids": ["a"]}));
    check(&api, "delete", documents, &TestResponse::read(removed.send().await.unwrap()).await);
    check(&api, "get", "/conversations", &host.get("/conversations").await);
    let unknown = host.get("/conversations/none").await;
    assert_eq!(unknown.status, 404);
    check(&api, "get", "/conversations/{id}", &unknown);
}

/// Adds the places where an object has two properties of nearly the same name with schemas of
/// their own: generators of clients give both types one name.
fn find_alike(place: &str, schema: &Value, found: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let plain = name.replace('_', "").to_lowercase();
        if property["type"] == "object" && !names.insert(plain) {
            found.push(format!("{place}.{name}"));
        }
    }
    let parts = schema.as_object().into_iter().flatten();
    let parts = parts.map(|(key, part)| (key.clone(), part));
    let items = schema.as_array().into_iter().flatten().enumerate();
    for (key, part) in parts.chain(items.map(|(index, part)| (index.to_string(), part))) {
        find_alike(&format!("{place}.{key}"), part, found);
    }
}

#[actix_web::test]
async fn generators_of_clients_find_a_name_for_every_type() {
    let api = host().await.get("/openapi.json").await.json;
    let mut found = Vec::new();
    find_alike("schemas", &api["components"]["schemas"], &mut found);
    assert_eq!(found, Vec::<String>::new());
}

#[actix_web::test]
async fn the_description_needs_no_key_and_names_what_does() {
    let host = host().await;
    let asked = host.request_without_key(Method::GET, "/openapi.json").send().await.unwrap();
    let api = TestResponse::read(asked).await;
    assert_eq!((api.status, api.header("content-type")), (200, "application/json"));
    assert_eq!(api.json["openapi"], "3.1.0");
    assert_eq!(api.json["paths"]["/health"]["get"]["security"], json!([]));
    let keyed = json!([{"bearer": []}, {"x-api-key": []}]);
    assert_eq!(api.json["paths"]["/chat/completions"]["post"]["security"], keyed);
    let chat = &api.json["components"]["schemas"]["ChatRequest"];
    assert_eq!(chat["required"], json!(["model", "messages"]));
    assert_eq!(chat["properties"]["top_p"]["anyOf"][0]["maximum"], 1);
}
