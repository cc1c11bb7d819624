//! The listed models, and the errors of upstreams that cannot be listed.

use super::{
    KEY, MODEL, PIPES, host, rig,
    server::{ResponseStep, Server, answer, json_of, listing},
};
use crate::{
    support::{Builder, TestHost},
    valves::pages_transform,
};
use serde_json::{Value, json};
use std::net::TcpListener;

/// The ids and the names of all that is listed for chats.
async fn list_chat_models(host: &TestHost) -> Vec<(String, String)> {
    let list = host.get("/models").await.json;
    let text = |model: &Value, name: &str| model[name].as_str().unwrap().to_owned();
    list["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|model| model["pipeline"]["type"] != "filter")
        .map(|model| (text(model, "id"), text(model, "name")))
        .collect()
}

async fn ids(host: &TestHost) -> Vec<String> {
    list_chat_models(host).await.into_iter().map(|(id, _)| id).collect()
}

#[actix_web::test]
async fn a_fresh_host_lists_nothing_and_is_well() {
    let host = Builder::new().pipes(PIPES).start().await;
    assert_eq!(ids(&host).await, Vec::<String>::new());
    assert_eq!(host.get("/health/ready").await.json["degraded"], json!([]));
    host.chat(MODEL, "hi").await.error_message(404);
}

#[actix_web::test]
async fn what_the_page_reads_and_sends_back_untouched_changes_nothing() {
    let host = Builder::new().pipes(PIPES).start().await;
    let (spec, values) =
        (host.get("/openai_proxy/valves/spec").await.json, host.valves("openai_proxy").await);
    let posted = pages_transform(&spec, &values);
    assert_eq!(host.update_valves("openai_proxy", &posted).await.json, values);
    let saved = host.folder.path().join("openai_proxy");
    assert!(!saved.exists(), "nothing was worth to be saved");
}

#[actix_web::test]
async fn openai_without_a_key_is_not_asked_and_an_entry_says_what_is_missing() {
    let host = host("https://api.openai.com/v1", json!({"api_key": null})).await;
    let entry = ("openai_proxy.error".into(), "⚠ OpenAI proxy".into());
    assert_eq!(list_chat_models(&host).await, [entry]);
    for model in ["openai_proxy.error", "openai_proxy.gpt-4o"] {
        let refused = host.chat(model, "hi").await;
        assert!(
            refused.error_message(500).contains("API key required: enter it in the valves"),
            "{}",
            refused.text
        );
        assert_eq!(refused.json["error"]["code"], "upstream_auth_error");
    }
    assert_eq!(host.get("/health/ready").await.json["degraded"], json!(["openai_proxy"]));
}

#[actix_web::test]
async fn each_reason_not_to_be_listed_is_said() {
    for (acts, key, words) in [
        (json_of("401 Unauthorized", "", &json!({"error": KEY})), Value::Null, "API key required"),
        (
            json_of("401 Unauthorized", "", &json!({"error": KEY})),
            KEY.into(),
            "the API key is not accepted",
        ),
        (
            answer("200 OK", "content-type: text/html\r\n", "<html>"),
            KEY.into(),
            "is no OpenAI-compatible API",
        ),
        (json_of("200 OK", "", &json!({"data": "x"})), KEY.into(), "is no OpenAI-compatible API"),
        (json_of("500 Oops", "", &json!({})), KEY.into(), "failed to list"),
        (vec![ResponseStep::Reset], KEY.into(), "cannot be reached"),
        (json_of("404 Not Found", "", &json!({})), KEY.into(), "does not list its models"),
    ] {
        let server = Server::start(&[]).await;
        server.script_list(acts);
        let host = host(&server.url(), json!({"api_key": key})).await;
        let list = list_chat_models(&host).await;
        assert_eq!(list, [("openai_proxy.error".into(), "⚠ OpenAI proxy".into())], "{words}");
        let refused = host.chat("openai_proxy.error", "hi").await;
        assert!(refused.status >= 400 && refused.text.contains(words), "{}", refused.text);
        assert!(server.chat_requests().is_empty());
        assert!(!refused.text.contains(KEY) && !refused.text.contains("127.0.0.1"));
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let host = host(&format!("http://{closed}/v1"), json!({})).await;
    assert_eq!(list_chat_models(&host).await[0].1, "⚠ OpenAI proxy");
    let refused = host.chat("openai_proxy.error", "hi").await;
    assert!(refused.text.contains("cannot be reached"), "{}", refused.text);
}

#[actix_web::test]
async fn a_list_that_cannot_be_renewed_is_served_stale() {
    let rig = rig(json!({})).await;
    rig.server.script_list(json_of("500 Oops", "", &json!({})));
    // New valves have the list asked for again.
    rig.host.update_valves("openai_proxy", &json!({"model_list_seconds": 60})).await;
    rig.server.wait_for_lists(2).await;
    rig.host.get("/models").await;
    assert_eq!(ids(&rig.host).await, [MODEL]);
    assert_eq!(rig.plain().await.status, 200);
}

#[actix_web::test]
async fn a_list_is_asked_for_once_however_often_it_is_read() {
    let rig = rig(json!({})).await;
    for _ in 0..20 {
        rig.host.get("/models").await;
        rig.plain().await;
    }
    assert_eq!(rig.server.requests().len() - rig.server.chat_requests().len(), 1);
}

#[actix_web::test]
async fn models_are_listed_with_what_their_server_tells() {
    let server = Server::start(&[]).await;
    let model = json!({"id": "a/b", "name": "A B", "context_length": 8192, "architecture": {"input_modalities": ["text"]}, "supported_parameters": ["temperature"]});
    server.script_list(json_of("200 OK", "", &json!({"data": [model]})));
    let host = host(&server.url(), json!({})).await;
    let model = host.get("/models/openai_proxy.a%2Fb").await.json;
    assert_eq!(
        (&model["name"], &model["description"]),
        (&json!("A B"), &json!("8k context · local"))
    );
    let capabilities = &model["info"]["meta"]["capabilities"];
    assert_eq!(
        (&capabilities["vision"], &capabilities["builtin_tools"]),
        (&json!(false), &json!(false))
    );
}

#[actix_web::test]
async fn the_valves_choose_among_the_models_and_name_those_that_are_not_listed() {
    let server =
        Server::start(&["gpt-4o", "gpt-5", "o3", "whisper-1", "text-embedding-3-small"]).await;
    let url = server.url();
    for (models, wanted) in [
        (Value::Null, &["gpt-4o", "gpt-5", "o3"][..]),
        ("gpt-*".into(), &["gpt-4o", "gpt-5"]),
        ("o3, mine".into(), &["o3", "mine"]),
        ("*5".into(), &["gpt-5"]),
    ] {
        let host = host(&url, json!({"models": models})).await;
        let wanted: Vec<_> = wanted.iter().map(|id| format!("openai_proxy.{id}")).collect();
        assert_eq!(ids(&host).await, wanted);
    }
    server.script_list(json_of("404 Not Found", "", &json!({})));
    let host = host(&url, json!({"models": "mine"})).await;
    assert_eq!(ids(&host).await, ["openai_proxy.mine"]);
    host.chat("openai_proxy.other", "hi").await.error_message(404);
    assert_eq!(host.answer_text("openai_proxy.mine", "hi").await, "pong");
}

#[actix_web::test]
async fn a_base_url_with_a_slash_at_its_end_is_the_same() {
    let server = Server::start(&["m"]).await;
    let host = host(&format!("{}/", server.url()), json!({})).await;
    assert_eq!(host.answer_text(MODEL, "hi").await, "pong");
    assert_eq!(server.chat_requests()[0].line, "POST /v1/chat/completions");
}

#[actix_web::test]
async fn valves_that_cannot_be_so_are_refused_by_name_and_rule() {
    let rig = rig(json!({})).await;
    for (valve, value, rule) in [
        ("api_base", json!("ftp://canary"), "must be an http:// or https:// URL"),
        ("api_base", json!("canary"), "must be an http:// or https:// URL"),
        ("api_base", json!("http://169.254.169.254/canary"), "must not be a link-local address"),
        ("timeout", json!(4), "must be between 5 and 120"),
        ("timeout", json!("121"), "must be between 5 and 120"),
        ("rate_limit", json!(-1), "must be between"),
        ("more_upstreams", json!("canary"), "must be a name and a base URL"),
        ("more_api_keys", json!("canary"), "must be keys with their hosts"),
        ("name_prefix", json!("canary canary"), "must be made of letters"),
    ] {
        let turned = json!({"api_key": "sk-2", valve: value});
        let refused = rig.host.update_valves("openai_proxy", &turned).await;
        let said = refused.error_message(422);
        assert!(said.contains(valve) && said.contains(rule), "{valve}: {said}");
        assert!(!refused.text.contains("canary"), "{}", refused.text);
    }
}

#[actix_web::test]
async fn a_key_does_not_follow_its_address_to_another_host() {
    let rig = rig(json!({})).await;
    let evil = Server::start(&["m"]).await;
    let moved = rig.host.update_valves("openai_proxy", &json!({"api_base": evil.url()})).await;
    assert!(moved.error_message(422).contains("api_key"), "{}", moved.text);
    // Nor do those of further upstreams, which are bound to their hosts.
    let url = rig.server.url();
    let origin = url.strip_suffix("/v1").unwrap();
    let further = json!({"more_upstreams": format!("a {url}"), "more_api_keys": format!("{origin}=sk-canary")});
    assert_eq!(rig.host.update_valves("openai_proxy", &further).await.status, 200);
    let stolen = json!({"more_upstreams": format!("a {}", evil.url())});
    assert_eq!(rig.host.update_valves("openai_proxy", &stolen).await.status, 200);
    evil.wait_for_lists(1).await;
    rig.host.chat("openai_proxy.a/m", "hi").await;
    for asked in evil.requests() {
        assert!(!format!("{asked:?}").contains("sk-"), "{asked:?}");
    }
}

#[actix_web::test]
async fn a_model_that_begins_to_be_served_is_found_after_the_list_is_renewed() {
    let rig = rig(json!({})).await;
    rig.host.chat("openai_proxy.n", "hi").await.error_message(404);
    rig.server.script_list(listing(&["m", "n"]));
    rig.host.update_valves("openai_proxy", &json!({"model_list_seconds": 60})).await;
    assert_eq!(rig.host.answer_text("openai_proxy.n", "hi").await, "pong");
}

#[actix_web::test]
async fn the_key_may_be_saved_before_the_address_but_follows_it_to_no_other() {
    let server = Server::start(&["m"]).await;
    let host = Builder::new().pipes(PIPES).start().await;
    for valves in [json!({"api_key": KEY}), json!({"api_base": server.url()})] {
        let turned = host.update_valves("openai_proxy", &valves).await;
        assert_eq!(turned.status, 200, "{}", turned.text);
    }
    for valves in [json!({"api_base": null}), json!({"api_base": "https://evil.example/v1"})] {
        let refused = host.update_valves("openai_proxy", &valves).await;
        assert!(
            refused.error_message(422).contains("api_key: must be entered again"),
            "{}",
            refused.text
        );
    }
    // A key that the operator sets goes to no address that an admin enters.
    let host = Builder::new().pipes(PIPES).variable("OPENAI_PROXY_API_KEY", KEY).start().await;
    let refused = host.update_valves("openai_proxy", &json!({"api_base": server.url()})).await;
    assert!(refused.error_message(422).contains("api_key"), "{}", refused.text);
}

#[actix_web::test]
async fn a_host_that_starts_while_an_upstream_is_away_has_the_models_that_it_had() {
    let rig = rig(json!({})).await;
    let before = ids(&rig.host).await;
    assert_eq!(before, [MODEL]);
    let file = rig.host.folder.path().join("openai_proxy/model-lists.json");
    let written = async {
        while !file.exists() {
            rig.host.get("/health/live").await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), written).await.expect("no list");
    assert!(!std::fs::read_to_string(&file).unwrap().contains(KEY));
    let folder = rig.host.stop().await;
    drop(rig.server);
    let host = Builder::with_folder(folder).pipes(PIPES).start().await;
    assert_eq!(ids(&host).await, before);
    assert_eq!(host.chat(MODEL, "hi").await.status, 502);
    assert_eq!(host.get("/health/ready").await.json["degraded"], json!(["openai_proxy"]));
    // With another key it is another's list.
    let turned = host.update_valves("openai_proxy", &json!({"api_key": "sk-other"})).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    assert!(!ids(&host).await.contains(&MODEL.to_owned()));
}
