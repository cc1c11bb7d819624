//! Two hosts over one PostgreSQL: what comes in on one is answered from on the other.

use super::{ECHO, LEAVE, host_with};
use crate::support::Builder;
use serde_json::json;
use store::testing::Server;

#[actix_web::test]
async fn what_is_put_into_one_host_is_found_by_the_other() {
    let Some(server) = tokio::task::spawn_blocking(Server::with_vectors).await.unwrap() else {
        return;
    };
    let url = server.database().await.unwrap();
    let over = || host_with(Builder::new().variable("RAG_INDEX_URL", &url));
    let (here, there) = (over().await, over().await);
    let put =
        here.post("/rag/documents/documents", &json!({"id": "leave.md", "text": LEAVE})).await;
    assert_eq!(put.status, 200, "{}", put.text);
    let text = there.answer_text(ECHO, "How many weeks do parents get?").await;
    assert!(text.contains("thirty weeks"), "{text}");
    let shown = there.get("/rag/valves").await.text;
    assert!(!shown.contains("postgres://"), "{shown}");
}

#[actix_web::test]
async fn a_database_that_cannot_be_reached_is_told_of_and_asked_again() {
    let url = "postgres://nobody@127.0.0.1:1/nothing";
    let host = host_with(Builder::new().variable("RAG_INDEX_URL", url)).await;
    let refused = host.get("/rag").await;
    assert!(
        refused.error_message(503).contains("The document index cannot be opened or queried"),
        "{}",
        refused.text
    );
    assert_eq!(host.get("/health/ready").await.json["degraded"], json!(["rag"]));
}
