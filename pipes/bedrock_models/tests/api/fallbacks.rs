//! The models that answer when the one that was asked cannot.

use crate::support::*;
use bedrock_emulator::{BedrockException, InjectedFault, ModelAnswer, Script};
use bedrock_models::BedrockValves;
use pipe_sdk::{Hints, PipeError};
use serde_json::json;

const EAST: &str = "us-east-1";
const WEST: &str = "us-west-2";
const SONNET: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

/// Returns a pipe whose models have nobody to answer in their place.
pub async fn lonely() -> Rig {
    lonely_with(|_| {}).await
}

pub async fn lonely_with(turn: impl FnOnce(&mut BedrockValves)) -> Rig {
    rig_with(|valves| {
        valves.fallback_regions = false;
        valves.fallback_profiles = false;
        turn(valves);
    })
    .await
}

/// Returns the targets of the chat, in order: the region and the id.
fn ways(rig: &Rig) -> Vec<(String, String)> {
    let way =
        |asked: bedrock_emulator::RecordedRequest| (asked.region, asked.target.unwrap_or_default());
    rig.asked().into_iter().map(way).collect()
}

fn says(text: &str) -> Script {
    Script::answer(ModelAnswer::with_text([text]))
}

async fn one_attempt() -> Rig {
    rig_with(|valves| valves.max_attempts = 1).await
}

#[tokio::test]
async fn a_model_that_cannot_answer_is_asked_in_its_other_region_and_the_answer_says_who_gave_it() {
    for fault in [
        BedrockException::throttling("Too many"),
        BedrockException::access_denied("not here"),
        BedrockException::not_found("gone"),
        BedrockException::from_name("ServiceUnavailableException", "later"),
        BedrockException::from_name("ModelTimeoutException", "slow"),
        BedrockException::from_name("ModelErrorException", "odd"),
    ] {
        let rig = one_attempt().await;
        rig.bedrock.script_model_in(EAST, HAIKU, Script::fault(fault.clone()));
        rig.bedrock.script_model_in(WEST, HAIKU, says("west"));
        let answer = rig.answer(HAIKU, hello()).await.unwrap();
        assert_eq!(answer.content, "west", "{fault}");
        assert_eq!(answer.model, Some(format!("bedrock_models.{HAIKU}")));
        assert_eq!(ways(&rig), [(EAST.into(), HAIKU.into()), (WEST.into(), HAIKU.into())]);
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_chat_itself_is_wrong_everywhere() {
    for fault in
        [BedrockException::validation("messages.0: odd"), BedrockException::model_error(400, "odd")]
    {
        let rig = one_attempt().await;
        rig.bedrock.script(HAIKU, Script::fault(fault.clone()).always());
        assert_eq!(told(rig.answer(HAIKU, hello()).await).0, "BadRequest", "{fault}");
        assert_eq!(rig.asked().len(), 1, "{fault}");
    }
}

#[tokio::test]
async fn the_error_is_that_of_the_model_that_was_asked() {
    let rig = rig_with(|valves| {
        valves.max_attempts = 1;
        valves.fallbacks = Some(format!("{HAIKU} > {MICRO}"));
    })
    .await;
    rig.bedrock.script(HAIKU, Script::throttle().always());
    rig.bedrock.script(MICRO, Script::fault(BedrockException::access_denied("no")).always());
    assert_eq!(told(rig.answer(HAIKU, hello()).await).0, "Throttled");
}

#[tokio::test]
async fn a_refusal_of_the_request_wins_over_a_model_that_was_only_busy() {
    let rig = rig_with(|valves| {
        valves.max_attempts = 1;
        valves.fallbacks = Some(format!("{HAIKU} > {MICRO}"));
    })
    .await;
    rig.bedrock.script(HAIKU, Script::throttle().always());
    rig.bedrock.script(MICRO, Script::fault(BedrockException::validation("odd")).always());
    assert_eq!(told(rig.answer(HAIKU, hello()).await).0, "BadRequest");
}

#[tokio::test]
async fn a_model_behind_a_profile_is_reached_through_its_geography_and_that_is_remembered() {
    let rig = rig().await;
    let words =
        format!("Invocation of model ID {MICRO} with on-demand throughput isn\u{2019}t supported.");
    let profile = format!("us.{MICRO}");
    rig.bedrock.script(&profile, says("here").always());
    rig.bedrock.script(MICRO, Script::fault(BedrockException::validation(words)).always());
    for _ in 0..2 {
        let answer = rig.answer(MICRO, hello()).await.unwrap();
        assert_eq!(answer.model, Some(format!("bedrock_models.{profile}")));
    }
    let ids: Vec<_> = ways(&rig).into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids, [MICRO, MICRO, &profile, &profile], "both regions once, then never again");
}

#[tokio::test]
async fn a_model_that_is_listed_as_a_profile_only_is_reached_by_its_own_id_too() {
    let rig = rig().await;
    let answer = rig.answer(SONNET, hello()).await.unwrap();
    assert_eq!(answer.model, Some(format!("bedrock_models.us.{SONNET}")));
}

#[tokio::test]
async fn chains_are_followed_in_their_order_and_never_unasked() {
    let rig = lonely_with(|valves| {
        valves.max_attempts = 1;
        valves.fallbacks = Some(format!("anthropic.* > nowhere > {MICRO} > us.{SONNET}"));
    })
    .await;
    rig.bedrock.script(HAIKU, Script::throttle().always());
    rig.bedrock.script(MICRO, Script::fault(BedrockException::access_denied("no")));
    let answer = rig.answer(HAIKU, hello()).await.unwrap();
    assert_eq!(answer.model, Some(format!("bedrock_models.us.{SONNET}")));
    rig.bedrock.script(MICRO, Script::throttle());
    assert_eq!(told(rig.answer(MICRO, hello()).await).0, "Throttled");
}

#[tokio::test]
async fn another_model_is_asked_before_the_first_event_and_not_after() {
    let rig = one_attempt().await;
    for mishap in [
        InjectedFault::Close,
        InjectedFault::Exception(BedrockException::throttling("Too many")),
        InjectedFault::Reset,
    ] {
        let broken = says("east").fail_after(0, mishap.clone());
        rig.bedrock.script_model_in(EAST, HAIKU, broken);
        rig.bedrock.script_model_in(WEST, HAIKU, says("west"));
        assert_eq!(rig.answer(HAIKU, hello()).await.unwrap().content, "west", "{mishap:?}");
    }
    let late = says("east")
        .fail_after(2, InjectedFault::Exception(BedrockException::throttling("Too many")));
    rig.bedrock.script_model_in(EAST, HAIKU, late);
    let asked = rig.asked().len();
    assert_eq!(told(rig.answer(HAIKU, hello()).await).0, "Throttled");
    assert_eq!(rig.asked().len(), asked + 1);
}

#[tokio::test]
async fn an_exception_right_after_the_beginning_is_still_the_failure_of_the_whole() {
    let rig = one_attempt().await;
    let broken = says("east")
        .fail_after(1, InjectedFault::Exception(BedrockException::throttling("Too many")));
    rig.bedrock.script_model_in(EAST, HAIKU, broken);
    rig.bedrock.script_model_in(WEST, HAIKU, says("west"));
    assert_eq!(rig.answer(HAIKU, hello()).await.unwrap().content, "west");
}

#[tokio::test]
async fn a_request_can_force_a_failure() {
    let rig = rig().await;
    let fail = |wish: &str| {
        let mut call = call(MICRO, &hello());
        call.hints = Hints::from([("x-pipewright-fail", wish)]);
        call
    };
    for (wish, answerer) in [("first", MICRO.to_owned()), ("amazon.*@us-east-1", MICRO.to_owned())]
    {
        let answer = rig.ask(fail(wish)).await.unwrap().fold().await.unwrap();
        assert_eq!(answer.model, Some(format!("bedrock_models.{answerer}")), "{wish}");
        let (region, id) = ways(&rig).pop().unwrap();
        assert!(region == WEST || id != MICRO, "{wish}");
    }
    // A name means the model behind a profile too.
    for wish in ["*", "amazon.*"] {
        let Err(PipeError::Throttled { message, .. }) = rig.ask(fail(wish)).await else {
            panic!("not throttled")
        };
        assert!(message.contains("asked for this failure"), "{message}");
    }
}

#[tokio::test]
async fn ids_that_are_not_known_are_answered_by_the_default_if_there_is_one() {
    let rig = rig_with(|valves| valves.default_model = Some(MICRO.into())).await;
    let answer = rig.answer("gpt-4o", hello()).await.unwrap();
    assert_eq!(answer.model, Some(format!("bedrock_models.{MICRO}")));
    let without = lonely().await;
    assert_eq!(told(without.answer("gpt-4o", hello()).await).0, "ModelNotFound");
}

#[tokio::test]
async fn a_fallback_gets_the_chat_in_its_own_form() {
    let rig = lonely_with(|valves| {
        valves.max_attempts = 1;
        valves.fallbacks = Some(format!("{HAIKU} > us.anthropic.claude-sonnet-4-6"));
    })
    .await;
    rig.bedrock.script(HAIKU, Script::throttle());
    let body =
        json!({"messages": [{"role": "user", "content": "?"}], "temperature": 0.5, "top_p": 0.5});
    let answer = rig.answer(HAIKU, body).await.unwrap();
    assert!(answer.model.is_some_and(|id| id.ends_with("claude-sonnet-4-6")));
    assert_eq!(rig.last_body()["inferenceConfig"], json!({"temperature": 0.5}));
}
