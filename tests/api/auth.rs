//! Who may come in.

use crate::support::{Answered, Builder, KEY, chat, host};
use pipewright::http::{Access, PREFIXES, ROUTES};

/// The path with something in its placeholder.
fn concrete(path: &str) -> String {
    path.replace("{id:.+}", "typed")
        .replace("{collection:[^/]+}", "typed")
        .replace("{document:.+}", "typed")
}

#[actix_web::test]
async fn every_route_but_the_open_ones_asks_for_the_key() {
    let host = host().await;
    let prefixes = PREFIXES.into_iter().chain([""]);
    for (route, prefix) in
        prefixes.flat_map(|prefix| ROUTES.iter().map(move |route| (route, prefix)))
    {
        let path = format!("{prefix}{}", concrete(route.path));
        let path =
            if route.path == "/" && path.len() > 1 { path.trim_end_matches('/') } else { &path };
        let without = Answered::of(
            host.bare(route.method.as_str().parse().unwrap(), path).send().await.unwrap(),
        )
        .await;
        if route.access == Access::Open {
            assert_eq!(without.status, 200, "{path}");
            continue;
        }
        let words = "Not authenticated: send the API key as a bearer, or as `x-api-key`";
        assert_eq!(without.header("www-authenticate"), "Bearer", "{path}");
        if path.contains("/messages") {
            assert_eq!(without.json["error"]["type"], "authentication_error", "{path}");
            assert_eq!(without.json["error"]["message"], words, "{path}");
        } else {
            assert_eq!(without.json["error"]["code"], "invalid_api_key", "{path}");
            assert_eq!(without.refused(401), words, "{path}");
        }
        let wrong = host
            .bare(route.method.as_str().parse().unwrap(), path)
            .bearer_auth("wrong")
            .send()
            .await
            .unwrap();
        assert_eq!(Answered::of(wrong).await.refused(401), "Invalid API key", "{path}");
    }
}

#[actix_web::test]
async fn what_is_not_served_is_not_told_to_strangers() {
    let host = host().await;
    let stranger =
        Answered::of(host.bare(reqwest::Method::GET, "/nothing").send().await.unwrap()).await;
    stranger.refused(401);
    assert_eq!(host.get("/nothing").await.refused(404), "Not Found");
    assert_eq!(host.get("/chat/completions").await.refused(405), "Method Not Allowed");
}

#[actix_web::test]
async fn a_wrong_key_is_refused_before_the_body_is_read() {
    use std::io::{Read, Write};
    let host = host().await;
    let address = host.url.trim_start_matches("http://").to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        let head = "POST /chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n\
                    Content-Type: application/json\r\nContent-Length: 60000000\r\n\r\n";
        socket.write_all(head.as_bytes()).unwrap();
        let mut start = [0; 12];
        socket.read_exact(&mut start).unwrap();
        String::from_utf8(start.to_vec()).unwrap()
    });
    assert_eq!(answer.await.unwrap(), "HTTP/1.1 401");
}

#[actix_web::test]
async fn the_scheme_may_be_written_in_any_case() {
    let host = host().await;
    let answer =
        host.bare(reqwest::Method::GET, "/models").header("Authorization", format!("bearer {KEY}"));
    assert_eq!(answer.send().await.unwrap().status().as_u16(), 200);
}

#[actix_web::test]
async fn a_named_key_opens_the_models_and_is_a_person_of_its_own() {
    let host = Builder::new().flag("--api-keys", "ci=theirs").start().await;
    for route in ROUTES.iter().filter(|route| route.access == Access::Admin) {
        let method = route.method.as_str().parse().unwrap();
        let request = host.bare(method, &concrete(route.path)).bearer_auth("theirs");
        let refused = Answered::of(request.send().await.unwrap()).await;
        assert!(refused.refused(403).contains("opens the models only"), "{}", route.path);
    }
    let mut body = chat("typed", "who");
    body["user"] = "somebody else".into();
    let request = host.bare(reqwest::Method::POST, "/chat/completions").bearer_auth("theirs");
    let request = request.header("x-openwebui-user-id", "somebody else").json(&body);
    let answered = Answered::of(request.send().await.unwrap()).await;
    let text = answered.json["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.starts_with("key:ci"), "{text}");
}
