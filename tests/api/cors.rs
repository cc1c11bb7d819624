//! The web pages that may read answers.

use crate::support::{Builder, KEY, TestHost, TestResponse};
use pipewright::http::{Access, PREFIXES, ROUTES};
use reqwest::Method;

const CHAT: &str = "https://chat.example.com";
const OTHER: &str = "https://evil.example.com";

async fn host(origins: &str) -> TestHost {
    Builder::new().flag("--allowed-origins", origins).start().await
}

/// Every route behind every prefix: its method, its path, and whether pages may ask it.
fn routes() -> impl Iterator<Item = (Method, String, bool)> {
    PREFIXES.into_iter().chain([""]).flat_map(|prefix| {
        ROUTES.iter().map(move |route| {
            let path = format!(
                "{prefix}{}",
                route
                    .path
                    .replace("{id:.+}", "typed")
                    .replace("{collection:[^/]+}", "typed")
                    .replace("{document:.+}", "typed")
            );
            let path = if path.len() > 1 { path.trim_end_matches('/') } else { &path };
            let method = route.method.as_str().parse().unwrap();
            (method, path.to_owned(), route.access == Access::Models)
        })
    })
}

/// Returns the headers that a page of this origin gets, with the key and without.
async fn allowed_headers(
    host: &TestHost,
    method: &Method,
    path: &str,
    origin: &str,
) -> Vec<String> {
    let mut granted = Vec::new();
    for key in [KEY, "wrong"] {
        let request = host
            .request_without_key(method.clone(), path)
            .bearer_auth(key)
            .header("origin", origin);
        let answered = TestResponse::read(request.send().await.unwrap()).await;
        assert_eq!(answered.header("access-control-allow-credentials"), "", "{path}");
        granted.push(answered.header("access-control-allow-origin").to_owned());
    }
    granted
}

/// The answer to a browser that asks whether a page may ask.
async fn preflight(host: &TestHost, method: &Method, path: &str, origin: &str) -> TestResponse {
    let request = host
        .request_without_key(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", method.as_str())
        .header("access-control-request-headers", "authorization,content-type,x-stainless-lang");
    TestResponse::read(request.send().await.unwrap()).await
}

#[actix_web::test]
async fn pages_may_read_what_clients_ask_and_only_those_that_are_allowed() {
    for (origins, chat, other) in
        [("", "", ""), ("*", "*", "*"), (&format!("http://localhost:3000, {CHAT}/"), CHAT, "")]
    {
        let host = host(origins).await;
        for (method, path, is_shared) in routes() {
            for (origin, allowed) in [(CHAT, chat), (OTHER, other), ("null", other)] {
                let allowed = if is_shared { allowed } else { "" };
                let place = format!("{origins:?}: {method} {path} of {origin}");
                assert_eq!(
                    allowed_headers(&host, &method, &path, origin).await,
                    [allowed; 2],
                    "{place}"
                );
                let preflight = preflight(&host, &method, &path, origin).await;
                assert_eq!(preflight.header("access-control-allow-origin"), allowed, "{place}");
                assert_eq!(preflight.status == 204, !allowed.is_empty(), "{place}");
            }
        }
    }
}

#[actix_web::test]
async fn a_browser_is_told_before_it_asks_what_it_may_send() {
    let host = host("*").await;
    let told = preflight(&host, &Method::POST, "/v1/chat/completions", CHAT).await;
    assert_eq!((told.status, told.text.as_str()), (204, ""));
    assert_eq!(told.header("access-control-allow-methods"), "POST");
    assert_eq!(
        told.header("access-control-allow-headers"),
        "authorization,content-type,x-stainless-lang"
    );
    assert!(told.header("vary").contains("origin"));
    // Only a browser that asks before it asks is let in without the key.
    let bare = host
        .request_without_key(Method::OPTIONS, "/models")
        .header("origin", CHAT)
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status().as_u16(), 401);
}

#[actix_web::test]
async fn a_page_reads_a_stream_and_who_answered() {
    let host = host(CHAT).await;
    let body = serde_json::json!({"model": "script.whole", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let request = host.request(Method::POST, "/chat/completions").header("origin", CHAT);
    let answered = TestResponse::read(request.json(&body).send().await.unwrap()).await;
    assert!(answered.text.ends_with("data: [DONE]\n\n"), "{}", answered.text);
    assert_eq!(answered.header("access-control-allow-origin"), CHAT);
    let exposed = answered.header("access-control-expose-headers");
    assert!(["x-pipewright-model", "request-id, "].iter().all(|name| exposed.contains(name)));
    // A cache must not hand one page's answer to another.
    let other = host.get("/models").await;
    assert_eq!((other.header("vary"), other.header("access-control-allow-origin")), ("origin", ""));
}
