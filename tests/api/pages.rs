//! The host's own pages, and what the admin page reads.

use crate::{
    rig::{LITE, chat_body, rig_without_fallbacks},
    support::{Builder, KEY, TestHost, TestResponse, chat, host},
};
use bedrock_emulator::{ANY, BedrockException, Script};
use pipewright::http::{Access, DEFAULT_KEY, ROUTES};
use reqwest::{Method, header::ACCEPT};
use serde_json::{Value, json};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn page(host: &TestHost, path: &str) -> TestResponse {
    TestResponse::read(
        host.request_without_key(Method::GET, path).header(ACCEPT, BROWSER).send().await.unwrap(),
    )
    .await
}

#[actix_web::test]
async fn a_browser_gets_the_start_page_and_a_client_the_json() {
    let host = host().await;
    for path in ["/", "/v1"] {
        let start = page(&host, path).await;
        assert!(start.text.contains("<title>Start · pipewright</title>"), "{}", start.text);
        assert_eq!(start.header("vary"), "accept");
        for accept in ["*/*", "application/json"] {
            let asked = host.request_without_key(Method::GET, path).header(ACCEPT, accept);
            let client = TestResponse::read(asked.send().await.unwrap()).await;
            assert_eq!(client.json, json!({"status": true}), "{accept}");
        }
    }
}

#[actix_web::test]
async fn the_start_page_shows_the_default_key_and_no_other() {
    let own = host().await;
    let text = page(&own, "/").await.text;
    assert!(text.contains("PIPELINES_API_KEY") && !text.contains(KEY), "{text}");
    assert!(!text.contains(DEFAULT_KEY), "{text}");
    let default = Builder::new().listen_on("127.0.0.1", DEFAULT_KEY).start().await;
    assert!(page(&default, "/").await.text.contains(DEFAULT_KEY));
    // A name that a page elsewhere may have pointed here does not show it.
    let elsewhere = default.request_without_key(Method::GET, "/").header(ACCEPT, BROWSER);
    let elsewhere = elsewhere.header("host", "example.org").send().await.unwrap();
    assert!(!TestResponse::read(elsewhere).await.text.contains(DEFAULT_KEY));
}

#[actix_web::test]
async fn a_browser_that_leaves_away_the_slash_is_sent_to_the_page() {
    let host = host().await;
    for (path, title) in [("/admin", "Admin"), ("/v1/usage", "Usage"), ("/rag", "Documents")] {
        let page = page(&host, path).await;
        assert!(page.text.contains(&format!("<title>{title} ·")), "{path}: {}", page.text);
        // A client gets the data.
        assert_eq!(host.get(path).await.header("content-type"), "application/json", "{path}");
    }
}

#[actix_web::test]
async fn pages_run_their_own_script_alone_and_hold_no_data() {
    let host = host().await;
    let pages = ROUTES.iter().filter(|route| {
        route.access == Access::Open && (route.path.ends_with('/') || route.path == "/docs")
    });
    let mut seen = 0;
    for route in pages {
        let page = page(&host, route.path).await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{}", route.path);
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        for loads in ["<script src", "<link rel=\"stylesheet\"", "@import", "typed"] {
            assert!(!page.text.contains(loads), "{} has {loads}", route.path);
        }
        seen += 1;
    }
    assert!(seen >= 4);
}

async fn valve(host: &TestHost, pipe: &str, name: &str) -> Value {
    let described = host.get(&format!("/admin/pipes/{pipe}")).await;
    assert_eq!(described.status, 200, "{}", described.text);
    let valves = described.json["valves"].as_array().unwrap();
    valves.iter().find(|valve| valve["name"] == name).unwrap().clone()
}

#[actix_web::test]
async fn the_admin_page_reads_every_valve_with_its_source_and_no_secret() {
    let host = Builder::new()
        .variable("TYPED_TIMEOUT", "77")
        .valves_file("[typed]\nlevel = \"high\"\n")
        .start()
        .await;
    assert_eq!(
        host.update_valves("typed", &json!({"api_key": "hunter2", "prefix": "p"})).await.status,
        200
    );
    let timeout = valve(&host, "typed", "timeout").await;
    assert_eq!(
        (&timeout["source"], &timeout["source_name"], &timeout["value"], &timeout["maximum"]),
        (&json!("pinned"), &json!("TYPED_TIMEOUT"), &json!(77), &json!(120.0))
    );
    let level = valve(&host, "typed", "level").await;
    assert_eq!((&level["source"], &level["kind"]), (&json!("file"), &json!("choice")));
    assert_eq!(valve(&host, "typed", "prefix").await["source"], "saved");
    assert_eq!(valve(&host, "typed", "share").await["source"], "default");
    // A saved value lies above the file, whose value is the default that it goes back to.
    assert_eq!(host.update_valves("typed", &json!({"level": "low"})).await.status, 200);
    let level = valve(&host, "typed", "level").await;
    assert_eq!((&level["source"], &level["default"]), (&json!("saved"), &json!("high")));
    assert_eq!(host.update_valves("typed", &json!({"level": null})).await.status, 200);
    assert_eq!(valve(&host, "typed", "level").await["source"], "file");
    assert_eq!(timeout["default"], 30);
    let key = valve(&host, "typed", "api_key").await;
    assert_eq!(
        (&key["kind"], &key["value"], &key["is_set"]),
        (&json!("secret"), &json!(null), &json!(true))
    );
    let text = host.get("/admin/pipes/typed").await.text + &host.get("/admin").await.text;
    assert!(!text.contains("hunter2"), "{text}");
    host.get("/admin/pipes/nothing").await.error_message(404);
}

#[actix_web::test]
async fn every_valve_that_is_refused_is_named_with_its_rule() {
    let host = host().await;
    let refused = host.update_valves("typed", &json!({"timeout": "1", "share": "2"})).await;
    refused.error_message(422);
    let rules = json!([
        {"field": "timeout", "message": "must be between 5 and 120"},
        {"field": "share", "message": "must be between 0 and 1"},
    ]);
    assert_eq!(refused.json["errors"], rules);
}

#[actix_web::test]
async fn the_overview_lists_failed_requests_without_the_words_of_upstreams() {
    let rig = rig_without_fallbacks(json!({})).await;
    let quote = BedrockException::from_name("ValidationException", "Malformed input: hunter2");
    rig.bedrock.script(ANY, Script::fault(quote));
    rig.post(&chat_body(LITE, &json!({}))).await.error_message(400);
    rig.host.post("/chat/completions", &chat("nothing.here", "hi")).await.error_message(404);
    let wrong = rig.host.request_without_key(Method::GET, "/v1/models").bearer_auth("hunter2");
    TestResponse::read(wrong.send().await.unwrap()).await.error_message(401);
    let overview = rig.host.get("/admin").await;
    let errors = overview.json["errors"].as_array().unwrap();
    let statuses: Vec<_> = errors.iter().map(|error| error["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [401, 404, 400], "{}", overview.text);
    assert_eq!(errors[0]["reason"], "Invalid API key");
    assert!(errors[1]["reason"].as_str().unwrap().contains("nothing.here"), "{}", errors[1]);
    assert!(errors[2]["reason"].as_str().unwrap().contains("refused"), "{}", errors[2]);
    assert!(errors[2]["model"].as_str().unwrap().contains(LITE), "{}", errors[2]);
    assert!(!overview.text.contains("hunter2"), "{}", overview.text);
}

#[actix_web::test]
async fn the_overview_tells_how_each_pipe_and_its_upstreams_fare() {
    let rig = rig_without_fallbacks(json!({})).await;
    assert_eq!(rig.post(&chat_body(LITE, &json!({}))).await.status, 200);
    let overview = rig.host.get("/admin").await.json;
    let pipes = overview["pipes"].as_array().unwrap();
    let bedrock = pipes.iter().find(|pipe| pipe["id"] == "bedrock_models").unwrap();
    assert_eq!((&bedrock["type"], &bedrock["problem"]), (&json!("manifold"), &json!(null)));
    let upstreams = bedrock["upstreams"].as_array().unwrap();
    let calls = upstreams.iter().filter_map(|upstream| upstream["calls"].as_u64()).sum::<u64>();
    assert!(calls > 0 && upstreams.iter().all(|one| one["breaker"] == "closed"), "{bedrock}");
    assert!(overview["uptime_seconds"].is_u64() && overview["is_default_key"] == json!(false));
}
