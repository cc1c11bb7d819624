//! The filter alone, before a scripted host.

use super::*;
use pipe_sdk::{ChatRef, ModelKind, Usage, User, testing::ScriptedHost};
use std::sync::Arc;

async fn filter(valves: RateLimitValves) -> RateLimit {
    RateLimit::on_startup(valves).await.unwrap()
}

fn context(user: &str, role: &str) -> CallContext {
    let user = User { id: user.into(), role: Some(role.into()), ..User::default() };
    CallContext::new(Some(user), None, None)
}

fn chat_of(prompt_tokens: u64, completion_tokens: u64) -> Demand {
    Demand { kind: DemandKind::Chat, amount: 1, prompt_tokens, completion_tokens }
}

async fn asks(
    filter: &RateLimit,
    scripted: &ScriptedHost,
    context: &CallContext,
    model: &str,
) -> Result<()> {
    let host = scripted.host_of(context.clone());
    let (demand, cost, chat) = (chat_of(0, 0), None, Arc::new(ChatRef::default()));
    // Each is a request of its own.
    let mut context = context.clone();
    context.admission = Arc::default();
    let host = host.with_context(context.clone());
    filter.admit(AdmissionRequest { model: model.into(), demand, cost, chat, context, host }).await
}

fn refusal(answer: Result<()>) -> (String, u64) {
    match answer {
        Err(PipeError::Throttled { message, retry_after }) => {
            (message, retry_after.unwrap().as_secs())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_request_after_the_last_waits_until_the_first_has_left() {
    let filter =
        filter(RateLimitValves { requests_per_minute: Some(2), ..Default::default() }).await;
    let (host, ann, bob) = (ScriptedHost::new(), context("ann", "user"), context("bob", "user"));
    asks(&filter, &host, &ann, "m").await.unwrap();
    tokio::time::advance(Duration::from_secs(20)).await;
    asks(&filter, &host, &ann, "m").await.unwrap();
    let (message, wait) = refusal(asks(&filter, &host, &ann, "m").await);
    assert_eq!(message, "the limit of 2 requests a minute is reached: try again in 40 s");
    assert_eq!(wait, 40);
    asks(&filter, &host, &bob, "m").await.unwrap();
    tokio::time::advance(Duration::from_secs(40)).await;
    asks(&filter, &host, &ann, "m").await.unwrap();
    refusal(asks(&filter, &host, &ann, "m").await);
}

#[tokio::test(start_paused = true)]
async fn tokens_count_when_the_answer_has_ended() {
    let filter = filter(RateLimitValves { tokens_per_day: Some(100), ..Default::default() }).await;
    let (host, ann) = (ScriptedHost::new(), context("ann", "user"));
    asks(&filter, &host, &ann, "m").await.unwrap();
    let usage = Usage { prompt_tokens: 90, completion_tokens: 20, ..Usage::default() };
    let spent = UsageReport {
        model: "m".into(),
        kind: ModelKind::Chat,
        usage,
        cost: None,
        context: ann.clone(),
        host: host.host_of(ann.clone()),
    };
    filter.record_usage(spent).await;
    let (message, wait) = refusal(asks(&filter, &host, &ann, "m").await);
    assert!(message.contains("100 tokens a day") && message.contains("24 h"), "{message}");
    assert_eq!(wait, 86_400);
}

#[tokio::test(start_paused = true)]
async fn a_rule_for_a_person_wins_over_the_role_and_that_over_the_default() {
    let exceptions =
        Some("role admin: none; user eve: 1 request/day; model big*: 1 request/hour".into());
    let valves = RateLimitValves { requests_per_day: Some(3), exceptions, ..Default::default() };
    let (filter, host) = (filter(valves).await, ScriptedHost::new());
    let (admin, eve, ann) =
        (context("root", "admin"), context("eve", "admin"), context("ann", "user"));
    for _ in 0..9 {
        asks(&filter, &host, &admin, "m").await.unwrap();
    }
    asks(&filter, &host, &eve, "m").await.unwrap();
    refusal(asks(&filter, &host, &eve, "m").await);
    asks(&filter, &host, &ann, "big.model").await.unwrap();
    assert!(refusal(asks(&filter, &host, &ann, "big.model").await).0.contains("an hour"));
    asks(&filter, &host, &ann, "m").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_used_up_says_when_its_next_period_begins() {
    let filter = filter(RateLimitValves { budget_per_day: Some(0.5), ..Default::default() }).await;
    let (host, ann) = (ScriptedHost::new(), context("ann", "user"));
    host.spend("ann", 499_999);
    asks(&filter, &host, &ann, "m").await.unwrap();
    host.spend("ann", 10_001);
    let (message, wait) = refusal(asks(&filter, &host, &ann, "m").await);
    assert!(
        message.starts_with("the budget of $0.5 a day is used up: $0.51 were spent"),
        "{message}"
    );
    assert!(wait <= 86_400);
}

#[test]
fn what_was_spent_is_never_nothing() {
    for (millionths, said) in [(12, "$0.000012"), (9_999, "$0.009999"), (510_000, "$0.51")] {
        assert_eq!(format_dollars(millionths), said);
    }
}

#[tokio::test(start_paused = true)]
async fn background_tasks_pass_unless_they_are_to_count() {
    for count_tasks in [false, true] {
        let valves =
            RateLimitValves { requests_per_day: Some(1), count_tasks, ..Default::default() };
        let (filter, host) = (filter(valves).await, ScriptedHost::new());
        let user = context("ann", "user").user;
        let task =
            CallContext::new(user.map(|user| User::clone(&user)), None, Some("title_generation"));
        asks(&filter, &host, &task, "m").await.unwrap();
        assert_eq!(asks(&filter, &host, &task, "m").await.is_err(), count_tasks);
    }
}

#[tokio::test(start_paused = true)]
async fn the_inlet_counts_only_what_the_door_will_not_see() {
    let filter = filter(RateLimitValves { requests_per_day: Some(1), ..Default::default() }).await;
    let scripted = ScriptedHost::new().answers("own.model", []);
    let passes = async |model: &str, base: Option<&str>| {
        let mut body = serde_json::json!({"model": model, "messages": []});
        if let Some(base) = base {
            body["metadata"]["model"]["info"]["base_model_id"] = base.into();
        }
        let (body, host) =
            (serde_json::from_value(body).unwrap(), scripted.host_of(context("ann", "user")));
        filter.inlet(FilterCall { body, user: None, host }).await.is_ok()
    };
    for _ in 0..3 {
        assert!(passes("own.model", None).await && passes("prefix.own.model", None).await);
        assert!(passes("my-preset", Some("own.model")).await);
    }
    assert!(passes("llama3", None).await);
    assert!(!passes("llama3", None).await);
}
