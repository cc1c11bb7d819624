//! Everything that can go wrong, as the client meets it.

use crate::client::{Ask, LITE, chunk, frames};
use bedrock_emulator::{
    ANY, BedrockException, Catalogue, Emulator, EmulatorOptions, ExchangeOutcome, InjectedFault,
    ModelAnswer, Script, StreamEvent,
};
use http_body_util::BodyExt as _;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

const HOUR: Duration = Duration::from_secs(3600);

fn hello() -> Script {
    Script::answer(ModelAnswer::with_text(["Hel", "lo"]))
}

fn started() -> Emulator {
    Emulator::start(EmulatorOptions::default()).unwrap()
}

async fn streamed(script: Script) -> (Vec<String>, String) {
    let emulator = started();
    emulator.script(ANY, script);
    frames(Ask::stream(LITE).send(&emulator).await.unwrap().into_body()).await
}

#[tokio::test]
async fn each_frame_is_a_chunk_of_its_own() {
    let (names, end) = streamed(hello()).await;
    let delta = "contentBlockDelta";
    assert_eq!(
        names,
        ["messageStart", delta, delta, "contentBlockStop", "messageStop", "metadata"]
    );
    assert_eq!(end, "end");
}

#[tokio::test]
async fn a_stream_can_end_without_a_stop() {
    assert_eq!(
        streamed(hello().fail_after(2, InjectedFault::Close)).await,
        (names(2), "end".to_owned())
    );
}

#[tokio::test]
async fn a_stream_can_carry_failures_and_strangers() {
    let (names, _) = streamed(
        hello().fail_after(1, InjectedFault::Exception(BedrockException::throttling("slow"))),
    )
    .await;
    assert_eq!(names, ["messageStart", "throttlingException"]);
    let error = InjectedFault::Error { code: "Oops".into(), message: "no".into() };
    assert_eq!(streamed(hello().fail_after(1, error)).await.0, ["messageStart", "Oops"]);
    let stranger = StreamEvent::new("weatherReport", json!({}));
    assert_eq!(streamed(hello().insert(1, stranger)).await.0[1], "weatherReport");
}

#[tokio::test]
async fn frames_can_be_spoilt() {
    for (mishap, end) in [
        (InjectedFault::TruncatedFrame, "not one frame in one chunk"),
        (InjectedFault::BadMessageCrc, "message checksum"),
        (InjectedFault::BadPreludeCrc, "prelude checksum"),
    ] {
        let (read, told) = streamed(hello().fail_after(2, mishap)).await;
        assert_eq!(read, names(2));
        assert!(told.contains(end), "{told}");
    }
}

#[tokio::test]
async fn a_connection_can_be_reset() {
    let (_, end) = streamed(hello().fail_after(2, InjectedFault::Reset)).await;
    assert!(end.starts_with("broken off"), "{end}");
    let emulator = started();
    emulator.script(ANY, hello().fail_after(0, InjectedFault::Reset));
    let response = Ask::converse(LITE).send(&emulator).await.unwrap();
    let broken = response.into_body().collect().await.unwrap_err();
    assert!(format!("{broken:?}").contains("ConnectionReset"), "{broken:?}");
}

#[tokio::test]
async fn the_emulator_notices_that_a_client_leaves_amid_a_stream() {
    let emulator = started();
    emulator.script(ANY, hello().fail_after(2, InjectedFault::Hang));
    let mut body = Ask::stream(LITE).send(&emulator).await.unwrap().into_body();
    for _ in 0..2 {
        chunk(&mut body).await.unwrap().unwrap();
    }
    drop(body);
    assert_eq!(emulator.wait_for_outcome(0).await, ExchangeOutcome::Aborted);
}

#[tokio::test]
async fn the_emulator_notices_that_a_client_leaves_before_the_headers() {
    let emulator = started();
    emulator.script(ANY, Script::hang());
    let asking = Ask::converse(LITE).send(&emulator);
    tokio::select! {
        _ = asking => panic!("it hangs"),
        _ = emulator.wait_for_requests(1) => {}
    }
    assert_eq!(emulator.wait_for_outcome(0).await, ExchangeOutcome::Aborted);
}

#[tokio::test]
async fn an_answer_read_to_its_end_is_answered() {
    let emulator = started();
    frames(Ask::stream(LITE).send(&emulator).await.unwrap().into_body()).await;
    Ask::converse(LITE).json(&emulator).await;
    assert_eq!(
        (emulator.wait_for_outcome(0).await, emulator.wait_for_outcome(1).await),
        (ExchangeOutcome::Completed, ExchangeOutcome::Completed)
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_late_and_slow() {
    let emulator = started();
    emulator.script(ANY, hello().delay(HOUR).pace(HOUR));
    let begun = Instant::now();
    let body = Ask::stream(LITE).send(&emulator).await.unwrap().into_body();
    assert!((HOUR..2 * HOUR).contains(&begun.elapsed()));
    frames(body).await;
    assert!(begun.elapsed() >= 3 * HOUR);
}

#[tokio::test]
async fn refusals_have_their_status_type_and_headers() {
    let emulator = started();
    emulator.script(
        "amazon.*",
        Script::fault(BedrockException::throttling("Too many tokens").header("retry-after", "7"))
            .times(2),
    );
    emulator.script(ANY, Script::html(502));
    for _ in 0..2 {
        let response = Ask::stream(LITE).send(&emulator).await.unwrap();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "7");
        let kind = response.headers()["x-amzn-errortype"].to_str().unwrap();
        assert!(kind.starts_with("ThrottlingException:http://internal.amazon.com/"), "{kind}");
        assert_eq!(response.headers()["x-amzn-requestid"].len(), 36);
    }
    let response = Ask::converse(LITE).send(&emulator).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (502, &"text/html".parse().unwrap())
    );
    assert_eq!(Ask::converse(LITE).json(&emulator).await.0, 200);
}

#[tokio::test]
async fn one_region_can_fail_alone() {
    let emulator = started();
    let listed = |region| {
        let ask = Ask::new(http::Method::GET, "/foundation-models", &json!(null));
        Ask { region, ..ask }.json(&emulator)
    };
    emulator.script_region(
        "us-west-2",
        Script::fault(BedrockException::access_denied("not you")).always(),
    );
    assert_eq!(listed("us-west-2").await, (403, json!({ "message": "not you" })));
    assert_eq!(listed("us-east-1").await.0, 200);
    emulator.clear_scripts();
    assert_eq!(listed("us-west-2").await.0, 200);
}

#[tokio::test]
async fn one_model_can_fail_in_one_region_for_a_while() {
    for (script, status) in [
        (Script::throttle(), 429),
        (
            Script::fault(BedrockException::access_denied("You don't have access to the model.")),
            403,
        ),
        (
            Script::fault(BedrockException::from_name(
                "ServiceUnavailableException",
                "Try again later.",
            )),
            503,
        ),
        (
            Script::fault(BedrockException::from_name(
                "ModelNotReadyException",
                "Model is not ready.",
            )),
            429,
        ),
        (Script::html(502), 502),
    ] {
        let emulator = started();
        let asked = async |region, model| {
            let ask = Ask { region, ..Ask::stream(model) };
            ask.send(&emulator).await.unwrap().status().as_u16()
        };
        emulator.script_model_in("us-east-1", "*.nova-lite-*", script.times(2));
        assert_eq!(asked("us-west-2", LITE).await, 200);
        assert_eq!(asked("us-east-1", "amazon.nova-micro-v1:0").await, 200);
        assert_eq!(asked("us-east-1", LITE).await, status);
        assert_eq!(asked("us-east-1", "us.amazon.nova-lite-v1:0").await, status);
        assert_eq!(asked("us-east-1", LITE).await, 200);
        let regions: Vec<_> = emulator.requests().into_iter().map(|asked| asked.region).collect();
        assert_eq!(regions, ["us-west-2", "us-east-1", "us-east-1", "us-east-1", "us-east-1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_model_can_hang_in_one_region_alone() {
    let emulator = started();
    emulator.script_model_in("us-east-1", LITE, Script::hang().always());
    let asked = |region| Ask { region, ..Ask::converse(LITE) }.json(&emulator);
    assert!(tokio::time::timeout(HOUR, asked("us-east-1")).await.is_err());
    assert_eq!(emulator.wait_for_outcome(0).await, ExchangeOutcome::Aborted);
    assert_eq!(asked("us-west-2").await.0, 200);
}

#[tokio::test]
async fn a_base_id_of_a_profile_can_be_refused_where_the_profile_answers() {
    let emulator = Emulator::start(EmulatorOptions {
        catalogue: Catalogue::all_chat_models(),
        ..EmulatorOptions::default()
    });
    let emulator = emulator.unwrap();
    let (status, refusal) = Ask::converse("deepseek.r1-v1:0").json(&emulator).await;
    let words = refusal["message"].as_str().unwrap();
    assert!(status == 400 && words.contains("on-demand throughput isn’t supported"), "{words}");
    assert_eq!(Ask::converse("us.deepseek.r1-v1:0").json(&emulator).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_region_can_hang_or_be_late() {
    let emulator = started();
    let list = || Ask::new(http::Method::GET, "/inference-profiles", &json!(null)).json(&emulator);
    emulator.script_region("us-east-1", Script::hang());
    emulator.script_region(ANY, Script::demo().delay(HOUR));
    assert!(tokio::time::timeout(HOUR, list()).await.is_err());
    assert_eq!(emulator.wait_for_outcome(0).await, ExchangeOutcome::Aborted);
    let begun = Instant::now();
    assert_eq!(list().await.0, 200);
    assert!(begun.elapsed() >= HOUR);
}

#[tokio::test]
async fn whole_answers_fail_whole() {
    let emulator = started();
    emulator.script(
        ANY,
        hello().fail_after(1, InjectedFault::Exception(BedrockException::model_error(500, "no"))),
    );
    assert_eq!(
        Ask::converse(LITE).json(&emulator).await,
        (424, json!({ "message": "no", "originalStatusCode": 500 }))
    );
}

fn names(count: usize) -> Vec<String> {
    ["messageStart", "contentBlockDelta", "contentBlockDelta"].map(str::to_owned)[..count].to_vec()
}
