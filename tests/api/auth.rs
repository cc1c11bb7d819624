//! Authentication.

use crate::support::{Builder, KEY, TestHost, TestResponse, chat, host};
use pipewright::http::{Access, PREFIXES, ROUTES};

/// The path with something in its placeholder.
fn fill_placeholder(path: &str) -> String {
    path.replace("{id:.+}", "typed")
        .replace("{collection:[^/]+}", "typed")
        .replace("{document:.+}", "typed")
}

#[actix_web::test]
async fn every_route_but_the_open_ones_asks_for_the_key() {
    let host = Builder::new().flag("--bad-keys-per-minute", "1000").start().await;
    let prefixes = PREFIXES.into_iter().chain([""]);
    for (route, prefix) in
        prefixes.flat_map(|prefix| ROUTES.iter().map(move |route| (route, prefix)))
    {
        let path = format!("{prefix}{}", fill_placeholder(route.path));
        let path =
            if route.path == "/" && path.len() > 1 { path.trim_end_matches('/') } else { &path };
        let without = TestResponse::read(
            host.request_without_key(route.method.as_str().parse().unwrap(), path)
                .send()
                .await
                .unwrap(),
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
            assert_eq!(without.error_message(401), words, "{path}");
        }
        let wrong = host
            .request_without_key(route.method.as_str().parse().unwrap(), path)
            .bearer_auth("wrong")
            .send()
            .await
            .unwrap();
        assert_eq!(TestResponse::read(wrong).await.error_message(401), "Invalid API key", "{path}");
    }
}

#[actix_web::test]
async fn unknown_paths_need_a_key_like_known_ones() {
    let host = host().await;
    let stranger = TestResponse::read(
        host.request_without_key(reqwest::Method::GET, "/nothing").send().await.unwrap(),
    )
    .await;
    stranger.error_message(401);
    assert_eq!(host.get("/nothing").await.error_message(404), "Not Found");
    assert_eq!(host.get("/chat/completions").await.error_message(405), "Method Not Allowed");
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
    let answer = host
        .request_without_key(reqwest::Method::GET, "/models")
        .header("Authorization", format!("bearer {KEY}"));
    assert_eq!(answer.send().await.unwrap().status().as_u16(), 200);
}

#[actix_web::test]
async fn a_named_key_opens_the_models_and_is_a_person_of_its_own() {
    let host = Builder::new().flag("--api-keys", "ci=theirs").start().await;
    for route in ROUTES.iter().filter(|route| route.access == Access::Admin) {
        let method = route.method.as_str().parse().unwrap();
        let request =
            host.request_without_key(method, &fill_placeholder(route.path)).bearer_auth("theirs");
        let refused = TestResponse::read(request.send().await.unwrap()).await;
        assert!(refused.error_message(403).contains("opens the models only"), "{}", route.path);
    }
    let mut body = chat("typed", "who");
    body["user"] = "somebody else".into();
    let request =
        host.request_without_key(reqwest::Method::POST, "/chat/completions").bearer_auth("theirs");
    let request = request.header("x-openwebui-user-id", "somebody else").json(&body);
    let answered = TestResponse::read(request.send().await.unwrap()).await;
    let text = answered.json["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.starts_with("key:ci"), "{text}");
}

const DEFAULT: &str = "0p3n-w3bu!";

/// The answer to a request for the models with this key and these headers.
async fn get_models(host: &TestHost, key: &str, headers: &[(&str, &str)]) -> TestResponse {
    let request = host.request_without_key(reqwest::Method::GET, "/models").bearer_auth(key);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    TestResponse::read(request.send().await.unwrap()).await
}

#[actix_web::test]
async fn the_default_key_opens_a_host_on_loopback_and_another_only_by_a_switch() {
    let host = Builder::new().listen_on("127.0.0.1", DEFAULT).start().await;
    assert_eq!(get_models(&host, DEFAULT, &[]).await.status, 200);
    let host = Builder::new().listen_on("0.0.0.0", DEFAULT).start().await;
    let refused = get_models(&host, DEFAULT, &[]).await;
    for way_out in ["PIPELINES_API_KEY", "--allow-default-key"] {
        assert!(refused.error_message(401).contains(way_out), "{}", refused.text);
    }
    let host = Builder::new().listen_on("0.0.0.0", DEFAULT).switch("--allow-default-key");
    assert_eq!(get_models(&host.start().await, DEFAULT, &[]).await.status, 200);
}

#[actix_web::test]
async fn a_page_whose_name_was_made_to_lead_here_does_not_come_in_by_the_default_key() {
    let host = Builder::new().listen_on("127.0.0.1", DEFAULT).flag("--host-names", "models.lan");
    let host = host.start().await;
    for (name, status) in [
        ("localhost:9099", 200),
        ("[::1]:9099", 200),
        ("models.lan", 200),
        ("evil.example:9099", 401),
        ("127.0.0.1.evil.example", 401),
    ] {
        let answered = get_models(&host, DEFAULT, &[("host", name)]).await;
        assert_eq!(answered.status, status, "{name}: {}", answered.text);
    }
    let refused = get_models(&host, DEFAULT, &[("host", "evil.example")]).await;
    assert!(refused.error_message(401).contains("HOST_NAMES"), "{}", refused.text);
    // A key of one's own is not known to the page.
    let host = crate::support::host().await;
    assert_eq!(get_models(&host, KEY, &[("host", "evil.example")]).await.status, 200);
}

#[actix_web::test]
async fn bad_keys_are_throttled_and_a_good_key_is_not() {
    let host = Builder::new().flag("--bad-keys-per-minute", "3").start().await;
    let lie = |number: usize| format!("198.51.100.{number}");
    for number in 0..3 {
        let forwarded = lie(number);
        let refused = get_models(&host, "guess", &[("x-forwarded-for", &forwarded)]).await;
        assert_eq!(refused.error_message(401), "Invalid API key");
    }
    // Nobody is believed to be a proxy.
    let refused = get_models(&host, "guess", &[("x-forwarded-for", "198.51.100.9")]).await;
    assert!(refused.error_message(429).contains("correct the key"), "{}", refused.text);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(
        TestResponse::read(
            host.request_without_key(reqwest::Method::GET, "/models").send().await.unwrap()
        )
        .await
        .status,
        429
    );
    assert_eq!(get_models(&host, KEY, &[]).await.status, 200);
    assert_eq!(get_models(&host, "guess", &[]).await.status, 429);
}

#[actix_web::test]
async fn a_proxy_that_is_known_tells_its_clients_apart() {
    let host =
        Builder::new().listen_on("127.0.0.1", DEFAULT).flag("--trusted-proxies", "127.0.0.0/8");
    let host = host.flag("--bad-keys-per-minute", "1").start().await;
    let from = async |client: &str, key: &str| {
        get_models(&host, key, &[("x-forwarded-for", client)]).await.status
    };
    assert_eq!(from("10.0.0.1", DEFAULT).await, 200);
    assert_eq!(from("198.51.100.1", DEFAULT).await, 401, "it is no private address");
    assert_eq!(from("198.51.100.1", "guess").await, 429);
    assert_eq!(from("198.51.100.2", "guess").await, 401);
    // The first address may be the client's own invention.
    assert_eq!(from("10.0.0.9, 198.51.100.2", "guess").await, 429);
}
