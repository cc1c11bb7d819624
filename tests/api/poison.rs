//! Prompts that make a model fail cost nobody but whoever sends them.

use crate::{
    hybrid::{self, server::LocalServer},
    rig::{LITE, MICRO, Rig, chat_body, rig, rig_without_fallbacks, with_stream},
    support::{TestHost, TestResponse},
};
use bedrock_emulator::{ANY, BedrockException, InjectedFault, ModelAnswer, Script};
use serde_json::json;

/// Returns the failures of a model that a prompt can cause: its own errors, an answer that breaks
/// off, one that says it failed, and one that never begins.
fn failing_scripts() -> [Script; 5] {
    let half = || Script::answer(ModelAnswer::with_text(["half", "more"]));
    [
        Script::fault(BedrockException::from_name("ModelErrorException", "the model failed")),
        Script::fault(BedrockException::from_name(
            "ModelTimeoutException",
            "the model took too long",
        )),
        half().fail_after(2, InjectedFault::Reset),
        half().fail_after(
            2,
            InjectedFault::Exception(BedrockException::from_name(
                "ModelStreamErrorException",
                "it failed",
            )),
        ),
        Script::fault(BedrockException::from_name("InternalServerException", "oops")),
    ]
}

async fn ask(host: &TestHost, model: &str, user: &str) -> TestResponse {
    let chat = chat_body(model, &json!({"user": {"id": user}}));
    host.post("/chat/completions", &with_stream(chat, true)).await
}

/// Returns the share of innocent chats that are refused, in percent, while somebody sends ten
/// poisoned prompts to one of theirs; `name` tells under which name the nth is sent.
async fn refused_percent(rig: &Rig, name: impl Fn(usize) -> String) -> usize {
    let (mut innocent, mut refused, mut sent) = (0, 0, 0);
    for round in 0..40 {
        for poison in failing_scripts().into_iter().chain(failing_scripts()) {
            rig.bedrock.script(ANY, poison);
            ask(&rig.host, LITE, &name(sent)).await;
            sent += 1;
        }
        let answered = ask(&rig.host, LITE, &format!("innocent-{}", round % 4)).await;
        innocent += 1;
        refused += usize::from(answered.status != 200);
    }
    refused * 100 / innocent
}

#[actix_web::test]
async fn whoever_sends_poison_locks_nobody_out_under_one_name_or_two() {
    for names in [1, 2] {
        for fallback in [true, false] {
            let valves = json!({"max_attempts": 1});
            let rig =
                if fallback { rig(valves).await } else { rig_without_fallbacks(valves).await };
            let share = refused_percent(&rig, |sent| format!("mallory-{}", sent % names)).await;
            assert_eq!(share, 0, "{names} {fallback}");
        }
    }
}

#[actix_web::test]
async fn many_names_lock_nobody_out_while_some_are_answered() {
    let rig = rig_without_fallbacks(json!({"max_attempts": 1})).await;
    for number in 0..60 {
        // One call of six is answered.
        assert_eq!(ask(&rig.host, LITE, &format!("innocent-{number}")).await.status, 200);
        for poison in failing_scripts() {
            rig.bedrock.script(ANY, poison);
            ask(&rig.host, LITE, &format!("mallory-{number}")).await;
        }
    }
    assert_eq!(ask(&rig.host, LITE, "innocent").await.status, 200);
}

#[actix_web::test]
async fn errors_that_one_client_provokes_on_purpose_are_followed_by_good_answers() {
    let rig = rig_without_fallbacks(json!({})).await;
    for poison in (0..6).flat_map(|_| failing_scripts()) {
        rig.bedrock.script(ANY, poison.times(3));
        rig.host.chat(&crate::rig::model_id(LITE), "hi").await;
    }
    rig.bedrock.clear_scripts();
    assert_eq!(rig.host.chat(&crate::rig::model_id(LITE), "hi").await.status, 200);
}

#[actix_web::test]
async fn where_all_regions_have_failed_one_is_asked_all_the_same() {
    let rig = rig(json!({"max_attempts": 1, "fallback_profiles": false})).await;
    let ill = BedrockException::from_name("ServiceUnavailableException", "later");
    rig.bedrock.script(LITE, Script::fault(ill).times(2 * 20));
    for number in 0..20 {
        assert_eq!(ask(&rig.host, LITE, &format!("user-{}", number % 4)).await.status, 503);
    }
    assert_eq!(rig.model_requests().len(), 40);
    // Both regions rest now, and nobody has to wait until that is over.
    assert_eq!(ask(&rig.host, LITE, "user-0").await.status, 200);
    assert_eq!(rig.model_requests().len(), 41);
}

#[actix_web::test]
async fn one_poisoned_prompt_sends_nobody_to_the_cloud_for_long() {
    let server = LocalServer::start(hybrid::server::Form::Poisoned);
    let host = hybrid::hybrid(&server.url, hybrid::CLOUD, json!({})).await;
    let side = async |user: &str, text: &str| {
        let mut chat = crate::support::chat(hybrid::SMART, text);
        chat["user"] = json!({"id": user});
        let answered = host.post("/chat/completions", &chat).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        answered.header("x-pipewright-side").to_owned()
    };
    assert_eq!(side("ann", "hi").await, "local");
    let mut cloud = 0;
    for round in 0..60 {
        assert_eq!(side("mallory", "poison").await, "cloud", "{round}");
        cloud += usize::from(side(&format!("innocent-{}", round % 7), "hi").await == "cloud");
    }
    assert_eq!(cloud, 0);
}

#[actix_web::test]
async fn a_poisoned_prompt_that_comes_first_is_found_out_by_a_probe() {
    let server = LocalServer::start(hybrid::server::Form::Poisoned);
    let host = hybrid::hybrid(&server.url, hybrid::CLOUD, json!({})).await;
    let side = async |text: &str| {
        let chat = crate::support::chat(hybrid::SMART, text);
        let answered = host.post("/chat/completions", &chat).await;
        answered.header("x-pipewright-side").to_owned()
    };
    assert_eq!(side("poison").await, "cloud");
    let well = async { while side("hi").await != "local" {} };
    tokio::time::timeout(std::time::Duration::from_secs(5), well).await.expect("still suspected");
    assert_eq!(side("poison").await, "cloud");
    assert_eq!(side("hi").await, "local");
}

#[actix_web::test]
async fn a_refusal_teaches_only_whom_it_met_until_two_have_met_it() {
    let rig = rig_without_fallbacks(json!({})).await;
    let words =
        "This model doesn't support the stopSequences field. Remove stopSequences and try again.";
    let ask = async |user: &str| {
        let chat = chat_body(MICRO, &json!({"user": {"id": user}, "stop": ["x"]}));
        assert_eq!(rig.post(&chat).await.status, 200, "{user}");
        let sent = rig.model_requests().pop().unwrap().json;
        (rig.model_requests().len(), sent["inferenceConfig"].get("stopSequences").is_some())
    };
    let refuse = || {
        let words = format!(
            "The model returned the following errors: stopSequences: not supported. {words}"
        );
        rig.bedrock.script(MICRO, Script::fault(BedrockException::validation(&words)));
    };
    refuse();
    assert_eq!(ask("ann").await, (2, false));
    assert_eq!(ask("ann").await, (3, false), "who was refused is spared the second time");
    assert_eq!(ask("bob").await, (4, true), "nobody else loses the field");
    let lessons =
        async || rig.host.get("/pipelines/bedrock_models/lessons").await.json["data"].clone();
    assert_eq!(
        (&lessons().await[0]["quirk"], &lessons().await[0]["for_all"]),
        (&json!("Stop"), &json!(false))
    );
    refuse();
    assert_eq!(ask("bob").await, (6, false));
    assert_eq!(ask("cid").await, (7, false), "what two have been taught holds for all");
    assert_eq!(lessons().await[0]["for_all"], true);
    assert_eq!(rig.host.get("/pipelines/nobody/lessons").await.status, 404);
}

#[actix_web::test]
async fn a_refusal_that_quotes_a_prompt_teaches_nothing() {
    let rig = rig_without_fallbacks(json!({})).await;
    let prompt = "say that stop sequences are not supported";
    for quote in [
        format!("Value '{prompt}' at 'messages.1.member.content' failed to satisfy it"),
        format!("Malformed input request: #/messages/0: {prompt}, please reformat your input"),
    ] {
        for user in ["mallory", "mallory-2", "innocent"] {
            if user != "innocent" {
                rig.bedrock.script(LITE, Script::fault(BedrockException::validation(&quote)));
            }
            let mut chat = chat_body(LITE, &json!({"user": {"id": user}, "stop": ["x"]}));
            if user != "innocent" {
                chat["messages"][0]["content"] = prompt.into();
            }
            rig.post(&chat).await;
        }
        let sent = rig.model_requests().pop().unwrap().json;
        assert_eq!(sent["inferenceConfig"]["stopSequences"], json!(["x"]), "{quote}");
    }
    assert_eq!(rig.host.get("/pipelines/bedrock_models/lessons").await.json["data"], json!([]));
}
