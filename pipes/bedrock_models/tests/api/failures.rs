//! Failures before the answer and in its midst.

use crate::{
    fallbacks::{lonely, lonely_with},
    support::*,
};
use bedrock_emulator::{ANY, BedrockException, InjectedFault, ModelAnswer, Script};
use futures_util::StreamExt;
use pipe_sdk::{Chunk, PipeError};
use std::time::Duration;

fn answer() -> ModelAnswer {
    ModelAnswer::with_text(["one", "two", "three"])
}

/// Returns the chunks until the first error, and the error.
async fn broken(rig: &Rig) -> (Vec<Chunk>, (String, String)) {
    let mut stream = rig.stream(HAIKU, hello()).await.unwrap();
    let mut chunks = Vec::new();
    loop {
        match stream.next().await.unwrap() {
            Ok(chunk) => chunks.push(chunk),
            Err(error) => {
                assert!(stream.next().await.is_none(), "nothing comes after an error");
                return (chunks, told::<()>(Err(error)));
            }
        }
    }
}

#[tokio::test]
async fn a_throttled_chat_is_tried_again_and_answers() {
    let rig = lonely().await;
    rig.bedrock.script(ANY, Script::throttle().times(2));
    rig.bedrock.script(ANY, Script::answer(answer()));
    assert_eq!(rig.answer(HAIKU, hello()).await.unwrap().content, "onetwothree");
    let asked = rig.asked();
    let attempts: Vec<_> = asked.iter().map(|request| request.attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert!(asked.iter().all(|request| request.body == asked[0].body));
}

#[tokio::test]
async fn attempts_are_as_many_as_the_valve_says() {
    let rig = lonely_with(|valves| valves.max_attempts = 1).await;
    let fault = BedrockException::throttling("Too many tokens").header("retry-after", "7");
    rig.bedrock.script(ANY, Script::fault(fault));
    let Err(PipeError::Throttled { retry_after, .. }) = rig.stream(HAIKU, hello()).await else {
        panic!("not throttled")
    };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
    assert_eq!(rig.asked().len(), 1);
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_only_some_are_tried_again() {
    for (fault, kind, attempts) in [
        (BedrockException::validation("messages.0: odd"), "BadRequest", 1),
        (
            BedrockException::validation("The provided model identifier is invalid."),
            "ModelNotFound",
            1,
        ),
        (BedrockException::access_denied("not you"), "Denied", 1),
        (BedrockException::from_name("ExpiredTokenException", "expired"), "Credentials", 1),
        (BedrockException::not_found("gone"), "ModelGone", 1),
        (BedrockException::from_name("ModelNotReadyException", "warming up"), "NotReady", 3),
        (BedrockException::from_name("ModelTimeoutException", "slow"), "Timeout", 1),
        (BedrockException::model_error(500, "oops"), "Upstream", 1),
        (BedrockException::from_name("InternalServerException", "oops"), "Upstream", 3),
        (BedrockException::from_name("ServiceUnavailableException", "later"), "Unavailable", 3),
        (BedrockException::from_name("ServiceQuotaExceededException", "enough"), "Throttled", 1),
    ] {
        let rig = lonely().await;
        rig.bedrock.script(ANY, Script::fault(fault.clone()).always());
        let (told, words) = told(rig.stream(HAIKU, hello()).await);
        assert_eq!(told, kind, "{fault}: {words}");
        assert_eq!(rig.asked().len(), attempts, "{fault}");
    }
}

#[tokio::test]
async fn a_page_of_html_is_a_failure_of_the_upstream() {
    let rig = lonely().await;
    rig.bedrock.script(ANY, Script::html(502).always());
    let (kind, words) = told(rig.stream(HAIKU, hello()).await);
    assert_eq!(kind, "Upstream", "{words}");
    assert!(!words.contains('<'), "{words}");
}

#[tokio::test]
async fn a_model_behind_a_profile_only_says_so() {
    let rig = lonely().await;
    let words = "Invocation of model ID x with on-demand throughput isn\u{2019}t supported.";
    rig.bedrock.script(ANY, Script::fault(BedrockException::validation(words)));
    let (kind, words) = told(rig.stream(HAIKU, hello()).await);
    assert_eq!(kind, "BadRequest");
    assert!(words.contains("inference profile"), "{words}");
}

#[tokio::test]
async fn an_exception_as_the_first_event_is_the_error_of_the_whole_answer() {
    let rig = lonely().await;
    let script = Script::answer(answer())
        .fail_after(0, InjectedFault::Exception(BedrockException::throttling("Too many")));
    rig.bedrock.script(ANY, script.always());
    assert_eq!(told(rig.stream(HAIKU, hello()).await).0, "Throttled");
}

#[tokio::test]
async fn an_exception_in_midstream_comes_after_the_text_so_far() {
    let rig = lonely_with(|valves| valves.breaker_failures = 0).await;
    for (mishap, kind) in [
        (InjectedFault::Exception(BedrockException::throttling("Too many")), "Throttled"),
        (InjectedFault::Exception(BedrockException::stream_error(500, "oops")), "Upstream"),
        (
            InjectedFault::Exception(BedrockException::from_name("somethingNewException", "hm")),
            "Upstream",
        ),
        (InjectedFault::Error { code: "InternalError".into(), message: "hm".into() }, "Upstream"),
        (InjectedFault::Close, "Upstream"),
        (InjectedFault::TruncatedFrame, "Upstream"),
        (InjectedFault::Reset, "Upstream"),
        (InjectedFault::BadMessageCrc, "Upstream"),
        (InjectedFault::BadPreludeCrc, "Upstream"),
    ] {
        rig.bedrock.script(ANY, Script::answer(answer()).fail_after(2, mishap.clone()));
        let (chunks, (told, words)) = broken(&rig).await;
        assert_eq!(told, kind, "{mishap:?}: {words}");
        assert_eq!(chunks, [Chunk::Role, Chunk::Content("one".into())], "{mishap:?}");
    }
}

#[tokio::test]
async fn an_answer_that_falls_silent_is_given_up() {
    let rig = lonely_with(|valves| valves.idle_timeout_seconds = 60).await;
    rig.bedrock.script(ANY, Script::answer(answer()).fail_after(2, InjectedFault::Hang));
    let mut stream = rig.stream(HAIKU, hello()).await.unwrap();
    for expected in [Chunk::Role, Chunk::Content("one".into())] {
        assert_eq!(stream.next().await.unwrap().unwrap(), expected);
    }
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let (kind, words) = told(stream.next().await.unwrap());
    assert_eq!(kind, "Timeout", "{words}");
    assert!(
        begun.elapsed() >= Duration::from_secs(59) && begun.elapsed() < Duration::from_secs(62)
    );
}

#[tokio::test]
async fn a_model_that_does_not_begin_is_given_up() {
    let rig = lonely_with(|valves| valves.first_event_timeout_seconds = 2).await;
    rig.bedrock.script(ANY, Script::hang());
    rig.bedrock.script(ANY, Script::answer(answer()).fail_after(0, InjectedFault::Hang));
    for _ in 0..2 {
        let (kind, words) = told(rig.stream(HAIKU, hello()).await);
        assert_eq!(kind, "Timeout", "{words}");
    }
}

#[tokio::test]
async fn a_throttled_model_leaves_the_others_their_retries() {
    let rig = lonely_with(|valves| valves.max_attempts = 10).await;
    rig.bedrock.script(HAIKU, Script::throttle().always());
    rig.bedrock.script(MICRO, Script::throttle());
    rig.bedrock.script(MICRO, Script::answer(answer()));
    let mut stream = Box::pin(rig.stream(HAIKU, hello()));
    tokio::select! {
        _ = &mut stream => {}
        answer = rig.answer(MICRO, hello()) => assert_eq!(answer.unwrap().content, "onetwothree"),
    }
}
