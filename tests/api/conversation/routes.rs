//! Conversations are listed, shown and deleted by those that they belong to.

use super::{ask, message, rig, rig_with, say};
use crate::support::{Builder, TestHost, TestResponse};
use reqwest::Method;
use serde_json::{Value, json};
use std::{fs, path::Path};

async fn send(host: &TestHost, method: Method, path: &str, key: Option<&str>) -> TestResponse {
    let request = match key {
        None => host.request(method, path),
        Some(key) => host.request_without_key(method, path).bearer_auth(key),
    };
    TestResponse::read(request.send().await.unwrap()).await
}

fn ids(listed: &TestResponse) -> Vec<String> {
    assert_eq!(listed.status, 200, "{}", listed.text);
    let data = listed.json["data"].as_array().unwrap().iter();
    data.map(|entry| {
        format!("{} {}", entry["user"].as_str().unwrap(), entry["id"].as_str().unwrap())
    })
    .collect()
}

/// Returns whether a file of this folder or of its folders holds this text.
fn is_on_disk(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return is_on_disk(&path, text);
        }
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[actix_web::test]
async fn each_user_has_their_own_and_the_hosts_key_has_all() {
    let builder = Builder::new().flag("--api-keys", "ci=secret-of-ci,cd=secret-of-cd");
    let rig = rig_with(builder, json!({})).await;
    for user in ["anna", "ben"] {
        say(&rig.host, user, "c", &format!("I am {user}")).await;
    }
    ask(&rig.host, json!([message("user", "nobody")]), json!({"conversation_id": "c"})).await;
    let body = json!({"model": super::MODEL, "conversation_id": "c", "messages": [message("user", "machine")],
        "user": {"id": "anna"}});
    let request =
        rig.host.request_without_key(Method::POST, "/chat/completions").bearer_auth("secret-of-ci");
    assert_eq!(request.json(&body).send().await.unwrap().status(), 200);

    let all = send(&rig.host, Method::GET, "/conversations", None).await;
    assert_eq!(ids(&all), [" c", "anna c", "ben c", "key:ci c"]);
    assert_eq!(all.json["object"], "list");
    let page = send(&rig.host, Method::GET, "/conversations?limit=2", None).await;
    assert_eq!((ids(&page).len(), &page.json["has_more"]), (2, &json!(true)));
    let next =
        send(&rig.host, Method::GET, "/v1/conversations?after=c&after_user=anna", None).await;
    assert_eq!(ids(&next), ["ben c", "key:ci c"]);
    let anna = send(&rig.host, Method::GET, "/conversations?user=anna", None).await;
    assert_eq!(ids(&anna), ["anna c"]);
    let request = rig.host.request(Method::GET, "/conversations");
    let forwarded = request.header("x-openwebui-user-id", "ben").send().await.unwrap();
    assert_eq!(ids(&TestResponse::read(forwarded).await), ["ben c"]);

    let own = send(&rig.host, Method::GET, "/conversations", Some("secret-of-ci")).await;
    assert_eq!(ids(&own), ["key:ci c"]);
    let other =
        send(&rig.host, Method::GET, "/conversations?user=anna", Some("secret-of-ci")).await;
    assert!(other.error_message(403).contains("only the host's own key"), "{}", other.text);
    let none = send(&rig.host, Method::GET, "/conversations/c", Some("secret-of-cd")).await;
    assert!(none.error_message(404).contains("no conversation `c`"));
    let deleted = send(&rig.host, Method::DELETE, "/conversations/c", Some("secret-of-cd")).await;
    deleted.error_message(404);

    let shown = send(&rig.host, Method::GET, "/conversations/c?user=anna", None).await;
    assert_eq!(shown.json["object"], "conversation");
    assert_eq!(shown.json["messages"][0], message("user", "I am anna"));
    assert_eq!(shown.json["messages"][1]["role"], "assistant");
    assert!(!shown.text.contains("ben"), "{}", shown.text);
}

#[actix_web::test]
async fn what_is_deleted_is_gone_from_memory_and_from_disk() {
    let rig = rig(json!({})).await;
    let canary = "a canary that sings ".repeat(400);
    for conversation in ["one", "two", "three"] {
        for turn in 0..4 {
            say(&rig.host, "anna", conversation, &format!("{conversation} {turn} {canary}")).await;
        }
    }
    say(&rig.host, "ben", "one", "a finch that whistles").await;
    assert!(is_on_disk(rig.host.folder.path(), "canary"));
    let deleted = send(&rig.host, Method::DELETE, "/conversations/one?user=anna", None).await;
    assert_eq!(
        deleted.json,
        json!({"id": "one", "object": "conversation.deleted", "deleted": true})
    );
    assert!(!is_on_disk(rig.host.folder.path(), "one 3 a canary"));
    rig.say("anna", "one", "Do you know me?").await;
    assert!(!rig.message_lines().join(" ").contains("canary"));

    let refused = send(&rig.host, Method::DELETE, "/conversations", None).await;
    assert!(refused.error_message(400).starts_with("user: name the user"), "{}", refused.text);
    let deleted = send(&rig.host, Method::DELETE, "/conversations?user=anna", None).await;
    assert_eq!(deleted.json["deleted"], 3, "{}", deleted.text);
    assert!(!is_on_disk(rig.host.folder.path(), "canary"));
    assert!(is_on_disk(rig.host.folder.path(), "finch"));
    let all = send(&rig.host, Method::DELETE, "/conversations?user=*", None).await;
    assert_eq!(all.json["deleted"], 1);
}

#[actix_web::test]
async fn with_a_key_nothing_on_disk_can_be_read() {
    let key = "0123456789abcdef0123456789abcdef";
    let rig = rig_with(Builder::new().flag("--secret-key", key), json!({})).await;
    rig.say("anna", "c", "a canary").await;
    rig.say("anna", "c", "again").await;
    assert!(rig.message_lines().contains(&"user: a canary".to_owned()));
    assert!(!is_on_disk(rig.host.folder.path(), "a canary"));
}

#[actix_web::test]
async fn a_user_has_so_many_conversations_of_such_a_size() {
    let rig = rig(json!({"max_conversations": 2, "max_kib": 16})).await;
    for conversation in ["one", "two", "three"] {
        rig.say("anna", conversation, "hi").await;
    }
    rig.say("ben", "one", "hi").await;
    let listed = send(&rig.host, Method::GET, "/conversations", None).await;
    let mut ids = ids(&listed);
    assert!(ids.contains(&"anna three".to_owned()) && ids.contains(&"ben one".to_owned()));
    ids.retain(|id| id.starts_with("anna"));
    assert_eq!(ids.len(), 2, "{ids:?}");

    for turn in 0..4 {
        rig.say("anna", "three", &format!("turn {turn} {}", "x".repeat(6000))).await;
    }
    let shown = send(&rig.host, Method::GET, "/conversations/three?user=anna", None).await;
    assert!(shown.json["bytes"].as_u64().unwrap() <= 17 << 10, "{}", shown.json["bytes"]);
    assert!(shown.text.contains("turn 3") && !shown.text.contains("turn 0"));
    let streamed = ask(
        &rig.host,
        json!([message("user", &"x".repeat(20_000))]),
        json!({"user": {"id": "anna"}, "conversation_id": "three", "stream": true}),
    )
    .await;
    assert!(streamed.text.contains("too long to be remembered"), "{}", streamed.text);
}

#[actix_web::test]
async fn wrong_parameters_are_named() {
    let rig = rig(json!({})).await;
    for (query, field) in [("limit=0", "limit"), ("limit=x", "limit"), ("owner=anna", "owner")] {
        let refused = send(&rig.host, Method::GET, &format!("/conversations?{query}"), None).await;
        assert!(refused.error_message(400).starts_with(field), "{}", refused.text);
        let param: &Value = &refused.json["error"]["param"];
        assert_eq!(param, field);
    }
}
