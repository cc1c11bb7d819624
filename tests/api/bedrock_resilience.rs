//! A model of Bedrock's that fails again and again is left in peace, and what is asked of it at
//! once has an end.

use crate::rig::{
    ClientAnswer, LITE, MICRO, Rig, chat_body, model_id, rig, rig_without_fallbacks, tool,
    with_stream,
};
use bedrock_emulator::{ANY, BedrockException, InjectedFault, ModelAnswer, Script};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

fn failing_script() -> Script {
    Script::fault(BedrockException::from_name("ServiceUnavailableException", "later")).always()
}

/// So many chats in a row, of ten people in turn, and how often each status came out of it.
async fn send_from_ten_users(rig: &Rig, chats: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for number in 0..chats {
        statuses.push(rig.post(&of_user(&format!("user-{}", number % 10), LITE)).await.status);
    }
    statuses
}

/// Returns a chat of this person.
fn of_user(user: &str, model: &str) -> Value {
    chat_body(model, &json!({"user": {"id": user}}))
}

/// Returns the same chat, so many times in a row, and the status that came out of each.
async fn send_repeatedly(rig: &Rig, chats: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..chats {
        statuses.push(rig.host.chat(&model_id(LITE), "hi").await.status);
    }
    statuses
}

#[actix_web::test]
async fn a_model_that_fails_again_and_again_is_not_asked_for_a_while() {
    let rig = rig_without_fallbacks(json!({})).await;
    rig.bedrock.script(LITE, failing_script());
    assert!(send_from_ten_users(&rig, 50).await.iter().all(|status| *status == 503));
    // Twenty chats, and the retries that all chats may spend together.
    assert_eq!(rig.model_requests().len(), 20 + 11);
    let resting = rig.host.chat(&model_id(LITE), "hi").await;
    let said = resting.error_message(503);
    assert!(said.contains("failed again and again (the last time, it said that it has failed)"));
    let wait: u64 = resting.header("retry-after").parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(rig.host.chat(&model_id(MICRO), "hi").await.status, 200, "the others are well");
}

#[actix_web::test]
async fn while_it_rests_the_others_answer_at_once() {
    let rig = rig(json!({"max_attempts": 1, "fallback_profiles": false})).await;
    rig.bedrock.script_model_in("us-east-1", LITE, failing_script());
    assert!(send_from_ten_users(&rig, 40).await.iter().all(|status| *status == 200));
    let first = rig.targets().iter().filter(|(region, _)| region == "us-east-1").count();
    assert_eq!(first, 20);
}

#[actix_web::test]
async fn a_model_that_is_well_again_is_asked_again() {
    let valves = json!({"breaker_failures": 1, "breaker_seconds": 1, "max_attempts": 1});
    let rig = rig_without_fallbacks(valves).await;
    rig.bedrock
        .script(ANY, Script::fault(BedrockException::from_name("InternalServerException", "oops")));
    assert_eq!(send_repeatedly(&rig, 2).await, [502, 503]);
    let well = async { while send_repeatedly(&rig, 1).await != [200] {} };
    timeout(Duration::from_secs(3), well).await.expect("it rests for too long");
    assert_eq!(rig.model_requests().len(), 2);
}

#[actix_web::test]
async fn retries_are_a_tenth_of_all_chats_and_a_throttled_model_is_asked_on() {
    let rig = rig_without_fallbacks(json!({})).await;
    rig.bedrock.script(ANY, Script::throttle().always());
    assert!(send_repeatedly(&rig, 100).await.iter().all(|status| *status == 429));
    // A tenth, and what a quiet time has saved.
    let asked = rig.model_requests().len();
    assert!((115..=120).contains(&asked), "{asked}");
}

#[actix_web::test]
async fn more_at_once_than_may_be_are_refused_and_have_a_place_when_one_ends() {
    let rig = rig_without_fallbacks(json!({"max_concurrent": 1})).await;
    let begins =
        Script::answer(ModelAnswer::with_text(["one", "two"])).fail_after(2, InjectedFault::Hang);
    rig.bedrock.script(ANY, begins);
    let request = rig.host.request(Method::POST, "/chat/completions");
    let running =
        request.json(&with_stream(chat_body(LITE, &json!({})), true)).send().await.unwrap();
    assert_eq!(running.status(), 200);
    let full = rig.host.chat(&model_id(LITE), "hi").await;
    assert!(full.error_message(503).contains("limit of concurrent requests"), "{}", full.text);
    assert_eq!(full.header("retry-after"), "1");
    drop(running);
    let free = async { while send_repeatedly(&rig, 1).await != [200] {} };
    timeout(Duration::from_secs(3), free).await.expect("its place is not free");
}

#[actix_web::test]
async fn how_each_model_fares_is_among_the_metrics() {
    let rig = rig_without_fallbacks(json!({"breaker_failures": 2})).await;
    rig.bedrock.script(LITE, failing_script());
    send_from_ten_users(&rig, 3).await;
    rig.host.answer_text(&model_id(MICRO), "hi").await;
    let metrics = rig.host.get("/metrics").await.text;
    let labels = |model: &str| format!("pipe=\"bedrock_models\",upstream=\"us-east-1/{model}\"");
    for line in [
        format!("pipewright_upstream_breaker{{{},state=\"open\"}} 1", labels(LITE)),
        format!("pipewright_upstream_breaker{{{},state=\"closed\"}} 1", labels(MICRO)),
        format!("pipewright_upstream_retries_total{{{}}} 4", labels(LITE)),
        format!("pipewright_upstream_refused_total{{{}}} 1", labels(LITE)),
        format!("pipewright_upstream_failures_total{{{},kind=\"server\"}} 6", labels(LITE)),
        format!("pipewright_upstream_in_flight{{{}}} 0", labels(MICRO)),
    ] {
        assert!(metrics.contains(&line), "{line} is missing from\n{metrics}");
    }
}

#[actix_web::test]
async fn an_answer_that_is_tried_again_is_read_as_the_first_one_would_have_been() {
    let rig = rig_without_fallbacks(json!({})).await;
    let busy = InjectedFault::Exception(BedrockException::throttling("Too many requests"));
    rig.bedrock.script(ANY, Script::answer(ModelAnswer::with_text(["a"])).fail_after(0, busy));
    let chat = with_stream(chat_body(LITE, &json!({"tools": [tool("a.b")]})), true);
    let sent = "a_b_1eef715d";
    rig.bedrock.script(ANY, Script::answer(ModelAnswer::new().tool("c1", sent, ["{}"])));
    let told = ClientAnswer::read(&rig.post(&chat).await);
    let asked = &rig.model_requests()[1].json;
    let name = &asked["toolConfig"]["tools"][0]["toolSpec"]["name"];
    assert_eq!((name, told.calls[0][1].as_str()), (&json!(sent), "a.b"));
}
