//! Access to documents: by the body, by headers, and without a user.

use super::{ECHO, host_with, post_form};
use crate::support::{Builder, TestHost, TestResponse, chat};
use reqwest::{
    Method, RequestBuilder,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

const SECRET: &str = "The salary of the director is seven.";
const OPEN: &str = "The salary of an apprentice is three.";

async fn host() -> TestHost {
    let host = host_with(Builder::new().flag("--api-keys", "ci=theirs")).await;
    let documents = json!({"documents": [
        {"id": "secret", "text": SECRET, "audience": {"only": {"users": ["anna"], "roles": ["admin"]}}},
        {"id": "open", "text": OPEN},
    ]});
    assert_eq!(host.post("/rag/documents/documents", &documents).await.status, 200);
    host
}

fn question() -> Value {
    chat(ECHO, "what is the salary?")
}

async fn visible_documents(request: RequestBuilder) -> (bool, bool) {
    let answered = TestResponse::read(request.send().await.unwrap()).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    (answered.text.contains(OPEN), answered.text.contains(SECRET))
}

#[actix_web::test]
async fn nobody_known_is_shown_public_documents_only() {
    let host = host().await;
    let request = || host.request(Method::POST, "/chat/completions");
    assert_eq!(visible_documents(request().json(&question())).await, (true, false));
    let search = host.request(Method::POST, "/rag/documents/search");
    assert_eq!(visible_documents(search.json(&json!({"query": "salary"}))).await, (true, false));
}

#[actix_web::test]
async fn a_person_is_known_by_the_body_or_by_headers() {
    let host = host().await;
    let request = || host.request(Method::POST, "/chat/completions");
    for (id, role, all) in
        [("anna", "user", true), ("paul", "user", false), ("root", "admin", true)]
    {
        let mut body = question();
        body["user"] = json!({"id": id, "name": id, "email": "", "role": role});
        assert_eq!(visible_documents(request().json(&body)).await, (true, all), "{id}");
        let headers =
            request().header("x-openwebui-user-id", id).header("x-openwebui-user-role", role);
        assert_eq!(
            visible_documents(headers.json(&question())).await,
            (true, all),
            "{id} by header"
        );
        let search = json!({"query": "salary", "user": {"id": id, "role": role}});
        let search = host.request(Method::POST, "/rag/documents/search").json(&search);
        assert_eq!(visible_documents(search).await, (true, all), "{id} in a search");
    }
}

#[actix_web::test]
async fn a_named_key_is_nobody_else_and_keeps_nothing() {
    let host = host().await;
    let request = |method, path: &str| host.request_without_key(method, path).bearer_auth("theirs");
    let mut body = question();
    body["user"] = json!({"id": "anna", "role": "admin"});
    let chat = request(Method::POST, "/chat/completions").json(&body);
    assert_eq!(visible_documents(chat).await, (true, false));
    let search = json!({"query": "salary", "user": {"id": "anna"}});
    let found = request(Method::POST, "/rag/documents/search").json(&search);
    assert_eq!(visible_documents(found).await, (true, false));
    for (method, path, body) in [
        (Method::POST, "/rag/documents/search", json!({"query": "salary", "everything": true})),
        (Method::POST, "/rag/documents/documents", json!({"id": "a", "text": "a"})),
        (Method::GET, "/rag/documents/documents", json!({})),
        (Method::DELETE, "/rag/documents/documents/x/search", json!({})),
        (Method::DELETE, "/rag/documents", json!({})),
    ] {
        let refused = request(method, path).json(&body).send().await.unwrap();
        assert_eq!(refused.status(), 403, "{path}");
    }
}

#[actix_web::test]
async fn who_keeps_the_documents_sees_all_of_them_and_says_so() {
    let host = host().await;
    let search = json!({"query": "salary", "everything": true});
    let search = host.request(Method::POST, "/rag/documents/search").json(&search);
    assert_eq!(visible_documents(search).await, (true, true));
}

#[actix_web::test]
async fn who_may_see_a_file_holds_for_all_that_follow_it_in_the_form() {
    let host = host().await;
    let file = |name: &'static str| Part::bytes(SECRET.as_bytes().to_vec()).file_name(name);
    let audience = r#"{"only": {"users": ["anna"]}}"#;
    let form = Form::new()
        .text("audience", audience)
        .part("file", file("one.md"))
        .part("file", file("two.md"));
    assert_eq!(post_form(&host, "/rag/documents/documents", form).await.status, 200);
    let search = host.request(Method::POST, "/rag/documents/search");
    assert_eq!(visible_documents(search.json(&json!({"query": "salary"}))).await, (true, false));
    let late = Form::new().part("file", file("three.md")).text("audience", audience);
    let refused = post_form(&host, "/rag/documents/documents", late).await;
    assert!(refused.error_message(400).starts_with("audience: comes after the last file"));
}

#[actix_web::test]
async fn the_roles_that_a_collection_is_for_hold_for_searches_too() {
    let host = host().await;
    host.post("/rag/salaries/documents", &json!({"id": "a", "text": OPEN})).await;
    let valves = json!({"collections": "documents, salaries=admin|hr"});
    assert_eq!(host.update_valves("rag", &valves).await.status, 200);
    let search = |user: Value| {
        let body = json!({"query": "salary", "user": user});
        host.request(Method::POST, "/rag/salaries/search").json(&body).send()
    };
    assert_eq!(search(json!({"id": "paul", "role": "user"})).await.unwrap().status(), 404);
    assert_eq!(search(json!({"id": "rita", "role": "hr"})).await.unwrap().status(), 200);
    let twice = host.update_valves("rag", &json!({"collections": "a, a=admin"})).await;
    assert!(twice.text.contains("must name `a` once"), "{}", twice.text);
}

#[actix_web::test]
async fn a_generator_that_is_not_there_is_told_by_its_own_name() {
    let host = host().await;
    host.update_valves("rag", &json!({"generators": "nosuch.model"})).await;
    let refused = host.post("/chat/completions", &chat("rag.nosuch.model", "hi")).await;
    assert!(
        refused.error_message(404).contains("Model `nosuch.model` was not found"),
        "{}",
        refused.text
    );
}
