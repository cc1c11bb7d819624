//! The local side first, the cloud where it fails, and never after the first token.

use super::*;
use pipe_sdk::{Event, Picture, ToolCallDelta};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn the_local_side_answers_and_the_cloud_hears_nothing() {
    let (router, sides) = (router(valves()).await, Sides::new(Does::Answers, Does::Answers));
    sides.ask(&router).await.matches(HOME);
    assert_eq!(sides.asked(), [HOME]);
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_before_the_first_token_the_cloud_answers() {
    let beside = || {
        vec![
            Chunk::Role,
            Chunk::Event(Event::status("…", false)),
            Chunk::Fact("x", json!(1)),
            text(""),
        ]
    };
    for local in [
        Does::Fails(broken),
        Does::Fails(|| PipeError::Timeout("late".into())),
        Does::Fails(|| PipeError::Throttled { message: "slow down".into(), retry_after: None }),
        Does::Fails(|| PipeError::Unavailable { message: "loading".into(), retry_after: None }),
        Does::Fails(|| PipeError::ModelNotFound(HOME.into())),
        Does::Fails(|| PipeError::Credentials("the key".into())),
        Does::Fails(|| PipeError::bad_request("the chat is too long")),
        Does::Says(vec![], Some(broken)),
        Does::Says(beside(), Some(broken)),
        Does::Says(beside(), None),
        Does::Hangs,
    ] {
        let (router, sides) = (router(valves()).await, Sides::new(local, Does::Answers));
        sides.ask(&router).await.matches(SKY);
        assert_eq!(sides.asked(), [HOME, SKY]);
        assert_eq!(sides.open(), [0, 0], "who is not heard is let go");
    }
}

#[tokio::test(start_paused = true)]
async fn once_a_token_is_out_nobody_else_answers() {
    let call = ToolCallDelta { name: Some("f".into()), ..ToolCallDelta::default() };
    for first in [
        text("half"),
        Chunk::Reasoning("hm".into()),
        Chunk::ToolCall(call),
        Chunk::Picture(Picture::from_url("data:x")),
    ] {
        let local = Does::Says(vec![Chunk::Role, first], Some(broken));
        let (router, sides) = (router(valves()).await, Sides::new(local, Does::Answers));
        let told = sides.ask(&router).await;
        assert_eq!((told.side, told.finishes), (Some(Side::Local), 0));
        assert!(matches!(told.error, Some(PipeError::Upstream(_))), "{told:?}");
        assert_eq!(sides.asked(), [HOME]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_fallback_a_local_failure_is_the_answer() {
    let valves = HybridValves { cloud_fallback: false, ..valves() };
    let (router, sides) = (router(valves).await, Sides::new(Does::Hangs, Does::Answers));
    let told = sides.ask(&router).await;
    let error = told.failed().to_string();
    assert_eq!(error, "`home.small` did not begin to answer within 20 s");
    // An answer in one piece may take as long as a begun one may be silent.
    let plain = Body { stream: false, ..hello() };
    let told = sides.ask_with(&router, LOCAL, plain, User::default(), None).await;
    assert_eq!(told.failed().to_string(), "`home.small` did not begin to answer within 120 s");
    sides.let_local(Does::Answers);
    sides.ask(&router).await.matches(HOME);
    assert!(!sides.asked().contains(&SKY));
}

#[tokio::test(start_paused = true)]
async fn one_side_alone_is_asked_by_its_name() {
    for (model, side) in [(LOCAL, HOME), (crate::CLOUD, SKY)] {
        let (router, sides) = (router(valves()).await, Sides::new(Does::Answers, Does::Answers));
        let ask = || sides.ask_with(&router, model, hello(), User::default(), None);
        ask().await.matches(side);
        assert_eq!(sides.asked(), [side]);
    }
    let sides = Sides::new(Does::Fails(broken), Does::Fails(broken));
    for model in [LOCAL, crate::CLOUD] {
        let router = router(valves()).await;
        sides.ask_with(&router, model, hello(), User::default(), None).await.failed();
    }
    assert_eq!(sides.asked(), [HOME, SKY]);
}

#[tokio::test(start_paused = true)]
async fn of_two_errors_people_read_the_clouds() {
    let too_fast = || PipeError::Throttled { message: "slow down".into(), retry_after: None };
    let (router, sides) =
        (router(valves()).await, Sides::new(Does::Fails(broken), Does::Fails(too_fast)));
    // The second time the local side is known to be ill, and is the last resort.
    for asked in [&[HOME, SKY][..], &[HOME, SKY, SKY, HOME]] {
        assert!(matches!(sides.ask(&router).await.failed(), PipeError::Throttled { .. }));
        assert_eq!(sides.asked(), asked);
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_cloud_fails_too_a_local_side_that_was_ill_is_the_last_resort() {
    let (router, sides) =
        (router(valves()).await, Sides::new(Does::Fails(broken), Does::Fails(broken)));
    sides.ask(&router).await.failed();
    sides.let_local(Does::Answers);
    sides.ask(&router).await.matches(HOME);
}

#[tokio::test(start_paused = true)]
async fn a_local_side_with_enough_to_do_leaves_the_rest_to_the_cloud() {
    let valves = HybridValves { local_at_once: 1, ..valves() };
    let (router, sides) = (router(valves).await, Sides::new(Does::Answers, Does::Answers));
    let call = || sides.call(SMART, hello(), User::default(), None);
    let first = Arc::clone(&router).pipe(call()).await.unwrap();
    sides.ask(&router).await.matches(SKY);
    Told::of(first).await.matches(HOME);
    sides.ask(&router).await.matches(HOME);
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_frees_the_side_that_was_asked() {
    let (router, sides) = (router(valves()).await, Sides::new(Does::Hangs, Does::Answers));
    let mut chat = Box::pin(sides.ask(&router));
    assert!(chat.as_mut().now_or_never().is_none());
    assert_eq!(sides.open(), [1, 0]);
    drop(chat);
    assert_eq!(sides.open(), [0, 0]);
    assert!(router.health_problem().is_none(), "who leaves says nothing of the side's health");
}

#[tokio::test(start_paused = true)]
async fn sides_are_told_apart_in_the_books_if_that_is_wished() {
    for cost_tracking in [false, true] {
        let valves = HybridValves { cost_tracking, ..valves() };
        let (router, sides) =
            (router(valves).await, Sides::new(Does::Fails(broken), Does::Answers));
        sides.ask(&router).await.matches(SKY);
        let told: Vec<_> = sides.host.calls().iter().map(|call| call.host.context().side).collect();
        let expected =
            [Some(Side::Local), Some(Side::Cloud)].map(|side| side.filter(|_| cost_tracking));
        assert_eq!(told[..2], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_says_who_answers_and_why_if_that_is_wished() {
    let valves = HybridValves { show_side: true, ..valves() };
    let (router, sides) = (router(valves).await, Sides::new(Does::Answers, Does::Answers));
    assert_eq!(sides.ask(&router).await.lines, ["Answered locally"]);
    sides.let_local(Does::Fails(broken));
    let line = "Answered in the cloud by sky.big: the local model did not answer";
    assert_eq!(sides.ask(&router).await.lines, [line]);
}

#[tokio::test(start_paused = true)]
async fn who_answers_behind_a_side_is_told_by_its_own_name() {
    let chunks =
        [vec![Chunk::Model("sky.bigger".into()), Chunk::Side(Side::Local)], words(SKY)].concat();
    let (router, sides) =
        (router(valves()).await, Sides::new(Does::Fails(broken), Does::Says(chunks, None)));
    let told = sides.ask(&router).await;
    assert_eq!((told.model.as_deref(), told.side), (Some("sky.bigger"), Some(Side::Cloud)));
}
