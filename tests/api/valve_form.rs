//! The form of long pipes, the reasons of refused saves, and names in the picker.

use crate::{
    bedrock,
    pipes::PIPES,
    rig::{PIPE, rig},
    support::{Builder, TestHost, TestResponse, host},
    valves::pages_transform,
};
use bedrock_emulator::{ANY, BedrockException, Operation, Script};
use pipewright::pipes::PIPES as SHIPPED;
use reqwest::Method;
use serde_json::{Value, json};

/// The everyday valves of Bedrock.
const EVERYDAY: [&str; 16] = [
    "show_advanced",
    "regions",
    "aws_access_key_id",
    "aws_secret_access_key",
    "bedrock_api_key",
    "aws_profile",
    "aws_role_arn",
    "inference_profiles",
    "allow",
    "deny",
    "aliases",
    "fallbacks",
    "prompt_caching",
    "reasoning",
    "guardrail_id",
    "guardrail_version",
];

async fn properties(host: &TestHost, path: &str) -> Vec<(String, Value)> {
    let spec = host.get(path).await.json;
    let properties = spec["properties"].as_object().unwrap().clone();
    properties.into_iter().collect()
}

async fn names(host: &TestHost, pipe: &str) -> Vec<String> {
    let all = properties(host, &format!("/{pipe}/valves/spec")).await;
    all.into_iter().map(|(name, _)| name).collect()
}

async fn description(host: &TestHost, pipe: &str, valve: &str) -> String {
    let all = properties(host, &format!("/{pipe}/valves/spec")).await;
    let (_, property) = all.into_iter().find(|(name, _)| name == valve).unwrap();
    property["description"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_long_form_begins_with_a_switch_and_hides_what_is_not_for_every_day() {
    let emulator = bedrock::emulator();
    let host = bedrock::host(&emulator).await;
    let short = names(&host, PIPE).await;
    assert_eq!(short, EVERYDAY);
    let turned = host.update_valves(PIPE, &json!({"show_advanced": true})).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    let long = names(&host, PIPE).await;
    assert!(long.len() > 50 && long[0] == "show_advanced", "{long:?}");
    let whole = properties(&host, &format!("/{PIPE}/valves/spec?advanced=true")).await;
    assert_eq!(whole.len(), long.len());
}

#[actix_web::test]
async fn a_save_of_the_short_form_keeps_what_it_does_not_show() {
    let emulator = bedrock::emulator();
    let host = bedrock::host(&emulator).await;
    for pipe in SHIPPED {
        let before = host.valves(pipe.id).await;
        let spec = host.get(&format!("/{}/valves/spec", pipe.id)).await.json;
        let turned = host.update_valves(pipe.id, &pages_transform(&spec, &before)).await;
        assert_eq!((turned.status, &turned.json), (200, &before), "{}: {}", pipe.id, turned.text);
    }
    let changed = json!({"show_advanced": true, "max_attempts": 7, "user_in_metadata": true});
    assert_eq!(host.update_valves(PIPE, &changed).await.status, 200);
    assert_eq!(host.update_valves(PIPE, &json!({"show_advanced": false})).await.status, 200);
    let shown = names(&host, PIPE).await;
    assert!(shown.contains(&"max_attempts".into()), "what was changed is shown: {shown:?}");
    assert!(!shown.contains(&"retry_percent".into()));
    let spec = host.get(&format!("/{PIPE}/valves/spec")).await.json;
    let before = host.valves(PIPE).await;
    host.update_valves(PIPE, &pages_transform(&spec, &before)).await;
    assert_eq!(host.valves(PIPE).await["max_attempts"], 7);
    assert_eq!(host.valves(PIPE).await["user_in_metadata"], true);
}

#[actix_web::test]
async fn every_valve_has_a_group_and_tells_its_default() {
    let emulator = bedrock::emulator();
    let host = bedrock::host(&emulator).await;
    for pipe in SHIPPED {
        let path = format!("/{}/valves/spec?advanced=true", pipe.id);
        for (name, property) in properties(&host, &path).await {
            let (title, text) = (property["title"].as_str(), property["description"].as_str());
            let (title, text) = (title.unwrap(), text.unwrap());
            assert!(name == "show_advanced" || title.contains(" · "), "{name}: {title}");
            let end = text.rsplit_once("Default: ").or_else(|| text.rsplit_once("Set by "));
            assert!(end.is_some_and(|(_, end)| end.ends_with('.')), "{name}: {text}");
        }
    }
    assert!(description(&host, PIPE, "regions").await.ends_with("Default: us-east-1, us-west-2."));
    let secret = description(&host, PIPE, "bedrock_api_key").await;
    assert!(secret.ends_with("Default: none."), "{secret}");
}

#[actix_web::test]
async fn the_default_is_what_none_returns_to() {
    let file = "[typed]\ntimeout = 11\napi_key = 'of the file'\n";
    let host = Builder::new().valves_file(file).start().await;
    assert_eq!(host.update_valves("typed", &json!({"timeout": 12})).await.status, 200);
    let told = description(&host, "typed", "timeout").await;
    assert!(told.ends_with("Default: 11 (valves.toml)."), "{told}");
    let secret = description(&host, "typed", "api_key").await;
    assert!(secret.ends_with("Default: set (valves.toml)."), "{secret}");
}

#[actix_web::test]
async fn a_refused_save_is_told_at_the_valve_until_the_next_one() {
    let host = host().await;
    host.update_valves("typed", &json!({"timeout": "4711"})).await.error_message(422);
    let told = description(&host, "typed", "timeout").await;
    let (head, rest) = told.split_at("NOT SAVED 00:00 UTC: ".len());
    assert!(head.starts_with("NOT SAVED ") && head.ends_with(" UTC: "), "{told}");
    assert!(rest.starts_with("must be between 5 and 120. "), "{told}");
    assert!(!description(&host, "typed", "prefix").await.contains("NOT SAVED"));
    assert_eq!(host.get("/pipelines").await.json["data"][0]["id"], "typed");
    host.update_valves("typed", &json!({"prefix": "unbuildable"})).await.error_message(422);
    assert!(!description(&host, "typed", "timeout").await.contains("NOT SAVED"));
    assert!(description(&host, "typed", "prefix").await.contains("must be buildable"));
    assert_eq!(host.update_valves("typed", &json!({"timeout": 12})).await.status, 200);
    assert!(!host.get("/typed/valves/spec").await.text.contains("NOT SAVED"));
}

#[actix_web::test]
async fn a_refused_valve_that_the_short_form_hides_is_shown() {
    let emulator = bedrock::emulator();
    let host = bedrock::host(&emulator).await;
    host.update_valves(PIPE, &json!({"max_attempts": 99})).await.error_message(422);
    assert!(description(&host, PIPE, "max_attempts").await.starts_with("NOT SAVED "));
    assert_eq!(host.update_valves(PIPE, &json!({})).await.status, 200);
    assert!(!names(&host, PIPE).await.contains(&"max_attempts".into()));
}

#[actix_web::test]
async fn what_is_wrong_with_no_valve_stands_at_the_first_one() {
    let host = host().await;
    std::fs::write(host.folder.path().join("typed"), "").unwrap();
    assert_eq!(host.update_valves("typed", &json!({"timeout": 12})).await.status, 507);
    assert!(description(&host, "typed", "prefix").await.starts_with("NOT SAVED "));
}

#[actix_web::test]
async fn the_pipe_that_was_saved_last_is_listed_first() {
    let host = host().await;
    let ids = async || -> Vec<Value> {
        let list = host.get("/pipelines").await.json;
        list["data"].as_array().unwrap().iter().map(|pipe| pipe["id"].clone()).collect()
    };
    let at_first: Vec<_> = PIPES.iter().map(|pipe| pipe.id).collect();
    assert_eq!(ids().await, at_first);
    host.update_valves("polite", &json!({})).await;
    host.update_valves("relay", &json!({})).await;
    assert_eq!(ids().await[..3], ["relay", "polite", "typed"]);
    host.update_valves("nobody", &json!({})).await;
    assert_eq!(ids().await.len(), at_first.len());
}

/// The list as Open WebUI asks for it for a person of this role.
async fn list_for(host: &TestHost, role: Option<&str>) -> Vec<Value> {
    let asks = host.request(Method::GET, "/models").header("user-agent", "Python aiohttp/3.12");
    let asks = asks.header("x-openwebui-user-id", "u1");
    let asks = match role {
        Some(role) => asks.header("x-openwebui-user-role", role),
        None => asks,
    };
    let list = TestResponse::read(asks.send().await.unwrap()).await;
    list.json["data"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn failures_of_listing_are_for_admins() {
    let emulator = bedrock::emulator();
    let denied = Script::fault(BedrockException::access_denied("no")).always();
    emulator.script_list(ANY, Operation::ListFoundationModels, denied);
    let host = bedrock::host(&emulator).await;
    for (role, is_seen) in [(Some("admin"), true), (None, true), (Some("user"), false)] {
        let list = list_for(&host, role).await;
        let warned = list.iter().find(|model| model["name"].as_str().unwrap().starts_with('⚠'));
        assert_eq!(warned.is_some(), is_seen, "{role:?}: {list:?}");
        if let Some(entry) = warned {
            let text = entry["description"].as_str().unwrap();
            assert!(text.contains("access denied: allow bedrock:List"), "{text}");
        }
    }
}

#[actix_web::test]
async fn the_picker_has_short_names_tags_and_one_entry_a_model() {
    let rig = rig(json!({})).await;
    let chats = "bedrock_models.us.amazon.nova-lite-v1:0";
    let answers = json!({"generators": chats});
    assert_eq!(rig.host.update_valves("rag", &answers).await.status, 200);
    let sides = json!({"local_endpoint": "http://127.0.0.1:9/v1", "local_model": "llama3", "cloud_model": "bedrock_models.us.amazon.nova-pro-v1:0"});
    assert_eq!(rig.host.update_valves("hybrid_router", &sides).await.status, 200);
    let list = list_for(&rig.host, Some("user")).await;
    let find = |id: &str| list.iter().find(|model| model["id"] == id).unwrap();
    let lite = find(chats);
    assert_eq!(lite["name"], "Nova Lite (US)");
    let tags: Vec<_> = lite["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    assert_eq!(tags, ["Amazon", "pictures", "documents"]);
    assert!(lite["info"]["meta"]["hidden"].is_null());
    assert_eq!(find("bedrock_models.amazon.nova-lite-v1:0")["info"]["meta"]["hidden"], true);
    let documents = find(&format!("rag.{chats}"));
    assert_eq!(documents["name"], "Documents · Nova Lite");
    assert_eq!(documents["info"]["meta"]["capabilities"]["usage"], true);
    let smart = find("hybrid_router.hybrid-smart");
    assert_eq!(smart["name"], "Smart: llama3 → Nova Pro");
    assert_eq!(smart["info"]["meta"]["capabilities"]["usage"], true);
    for model in &list {
        let name = model["name"].as_str().unwrap();
        assert!(name.chars().count() <= 24, "{name}");
    }
}
