//! Users that are proved by Open WebUI's signature alone.

use super::{ECHO, host_with};
use crate::support::{Builder, TestHost, TestResponse, chat};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::Method;
use ring::hmac;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

const SHARED: &str = "what both sides know";

/// The header that Open WebUI sends for this user.
fn token(secret: &str, id: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({"sub": id, "email": "a@b", "name": id, "role": "user", "iss": "open-webui", "iat": now, "exp": now + 300});
    let head = json!({"alg": "HS256", "typ": "JWT"});
    let encoded = |part: String| BASE64_URL_SAFE_NO_PAD.encode(part);
    let signed = format!("{}.{}", encoded(head.to_string()), encoded(claims.to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}

async fn ask(host: &TestHost, token: Option<String>) -> TestResponse {
    let mut body = chat(ECHO, "what is the salary?");
    // The body says so too, as Open WebUI's does.
    body["user"] = json!({"id": "anna", "role": "admin"});
    let request = host.request(Method::POST, "/chat/completions").json(&body);
    let request = match token {
        Some(token) => request.header("x-openwebui-user-jwt", token),
        None => request.header("x-openwebui-user-id", "anna"),
    };
    TestResponse::read(request.send().await.unwrap()).await
}

#[actix_web::test]
async fn only_what_open_webui_has_signed_is_believed_where_its_secret_is_known() {
    let host = host_with(Builder::new().flag("--user-jwt-secret", SHARED)).await;
    let document =
        json!({"id": "a", "text": "The salary is 7.", "audience": {"only": {"users": ["anna"]}}});
    host.post("/rag/documents/documents", &document).await;
    let shown = |answered: TestResponse| answered.text.contains("The salary is 7.");
    assert!(shown(ask(&host, Some(token(SHARED, "anna"))).await));
    assert!(!shown(ask(&host, Some(token(SHARED, "paul"))).await));
    assert!(!shown(ask(&host, None).await));
    let forged = ask(&host, Some(token("another secret", "anna"))).await;
    assert!(forged.error_message(401).contains("x-openwebui-user-jwt: is not signed"));
}
