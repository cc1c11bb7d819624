//! Answers from documents, through the front door: what is put in is found, cited, and shown to
//! those who may see it.

mod access;
mod chats;
mod files;
mod keeping;
mod meaning;
mod paths;
mod replicas;
mod search;
mod signed;
mod upkeep;

use crate::{
    pipes::{Script, Typed},
    support::{Builder, TestHost, TestResponse},
};
use ::rag::Rag;
use pipewright::slot::Registration;
use reqwest::{Method, multipart::Form};
use serde_json::{Value, json};

/// Documents, a model that repeats what it is asked, and one that streams.
const PIPES: &[Registration] = &[
    Registration::for_pipe::<Rag>(),
    Registration::for_pipe::<Typed>(),
    Registration::for_pipe::<Script>(),
];

const LEAVE: &str = "# Leave\nParents get thirty weeks of leave, which they may share.\n";
const PARKING: &str = "# Parking\nThe garage opens at six; bicycles stand in the yard.\n";

const ECHO: &str = "rag.typed";

async fn host() -> TestHost {
    host_with(Builder::new()).await
}

async fn host_with(builder: Builder) -> TestHost {
    let valves = "[rag]\ngenerators = \"typed, script.whole\"\n";
    builder.valves_file(valves).pipes(PIPES).start().await
}

/// With two documents in it.
async fn host_with_documents() -> TestHost {
    let host = host().await;
    let documents = json!({"documents": [{"id": "leave.md", "text": LEAVE, "url": "https://example.com/leave"}, {"id": "parking.md", "text": PARKING}]});
    let put = host.post("/rag/documents/documents", &documents).await;
    assert_eq!(put.status, 200, "{}", put.text);
    host
}

async fn ask(host: &TestHost, method: Method, path: &str, body: Option<&Value>) -> TestResponse {
    let request = host.request(method, path);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    TestResponse::read(request.send().await.unwrap()).await
}

async fn post_form(host: &TestHost, path: &str, form: Form) -> TestResponse {
    TestResponse::read(host.request(Method::POST, path).multipart(form).send().await.unwrap()).await
}

async fn list_documents(host: &TestHost) -> Vec<Value> {
    let listed = host.get("/rag/documents/documents").await;
    listed.json["documents"].as_array().unwrap().clone()
}
