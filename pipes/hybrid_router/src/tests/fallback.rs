//! The local side first, the cloud where it fails, and never after the first token.

use super::*;
use pipe_sdk::{Event, Picture, ToolCallDelta};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn the_local_side_answers_and_the_cloud_is_not_called() {
    let (router, sides) =
        (router(valves()).await, ScriptedBackends::new(Behaviour::Answer, Behaviour::Answer));
    sides.ask(&router).await.assert_answered_by(LOCAL_MODEL);
    assert_eq!(sides.called_models(), [LOCAL_MODEL]);
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
        Behaviour::Fail(broken),
        Behaviour::Fail(|| PipeError::Timeout("late".into())),
        Behaviour::Fail(|| PipeError::Throttled { message: "slow down".into(), retry_after: None }),
        Behaviour::Fail(|| PipeError::Unavailable { message: "loading".into(), retry_after: None }),
        Behaviour::Fail(|| PipeError::ModelNotFound(LOCAL_MODEL.into())),
        Behaviour::Fail(|| PipeError::Credentials("the key".into())),
        Behaviour::Fail(|| PipeError::bad_request("the chat is too long")),
        Behaviour::Chunks(vec![], Some(broken)),
        Behaviour::Chunks(beside(), Some(broken)),
        Behaviour::Chunks(beside(), None),
        Behaviour::Hang,
    ] {
        let (router, sides) =
            (router(valves()).await, ScriptedBackends::new(local, Behaviour::Answer));
        sides.ask(&router).await.assert_answered_by(CLOUD_MODEL);
        assert_eq!(sides.called_models(), [LOCAL_MODEL, CLOUD_MODEL]);
        assert_eq!(sides.open_answers(), [0, 0], "who is not heard is let go");
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
        let local = Behaviour::Chunks(vec![Chunk::Role, first], Some(broken));
        let (router, sides) =
            (router(valves()).await, ScriptedBackends::new(local, Behaviour::Answer));
        let outcome = sides.ask(&router).await;
        assert_eq!((outcome.side, outcome.finishes), (Some(Side::Local), 0));
        assert!(matches!(outcome.error, Some(PipeError::Upstream(_))), "{outcome:?}");
        assert_eq!(sides.called_models(), [LOCAL_MODEL]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_fallback_a_local_failure_is_the_answer() {
    let valves = HybridValves { cloud_fallback: false, ..valves() };
    let (router, sides) =
        (router(valves).await, ScriptedBackends::new(Behaviour::Hang, Behaviour::Answer));
    let outcome = sides.ask(&router).await;
    let error = outcome.expect_error().to_string();
    assert_eq!(error, "`home.small` did not begin to answer within 20 s");
    // An answer in one piece may take as long as a begun one may be silent.
    let plain = Body { stream: false, ..hello() };
    let outcome = sides.ask_with(&router, LOCAL, plain, User::default(), None).await;
    assert_eq!(
        outcome.expect_error().to_string(),
        "`home.small` did not begin to answer within 120 s"
    );
    sides.set_local(Behaviour::Answer);
    sides.ask(&router).await.assert_answered_by(LOCAL_MODEL);
    assert!(!sides.called_models().contains(&CLOUD_MODEL));
}

#[tokio::test(start_paused = true)]
async fn one_side_alone_is_asked_by_its_name() {
    for (model, side) in [(LOCAL, LOCAL_MODEL), (crate::CLOUD, CLOUD_MODEL)] {
        let (router, sides) =
            (router(valves()).await, ScriptedBackends::new(Behaviour::Answer, Behaviour::Answer));
        let ask = || sides.ask_with(&router, model, hello(), User::default(), None);
        ask().await.assert_answered_by(side);
        assert_eq!(sides.called_models(), [side]);
    }
    let sides = ScriptedBackends::new(Behaviour::Fail(broken), Behaviour::Fail(broken));
    for model in [LOCAL, crate::CLOUD] {
        let router = router(valves()).await;
        sides.ask_with(&router, model, hello(), User::default(), None).await.expect_error();
    }
    assert_eq!(sides.called_models(), [LOCAL_MODEL, CLOUD_MODEL]);
}

#[tokio::test(start_paused = true)]
async fn of_two_errors_people_read_the_clouds() {
    let too_fast = || PipeError::Throttled { message: "slow down".into(), retry_after: None };
    let (router, sides) = (
        router(valves()).await,
        ScriptedBackends::new(Behaviour::Fail(broken), Behaviour::Fail(too_fast)),
    );
    // The second time the local side is known to be ill, and is the last resort.
    for asked in
        [&[LOCAL_MODEL, CLOUD_MODEL][..], &[LOCAL_MODEL, CLOUD_MODEL, CLOUD_MODEL, LOCAL_MODEL]]
    {
        assert!(matches!(sides.ask(&router).await.expect_error(), PipeError::Throttled { .. }));
        assert_eq!(sides.called_models(), asked);
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_cloud_fails_too_a_local_side_that_was_ill_is_the_last_resort() {
    let (router, sides) = (
        router(valves()).await,
        ScriptedBackends::new(Behaviour::Fail(broken), Behaviour::Fail(broken)),
    );
    sides.ask(&router).await.expect_error();
    sides.set_local(Behaviour::Answer);
    sides.ask(&router).await.assert_answered_by(LOCAL_MODEL);
}

#[tokio::test(start_paused = true)]
async fn a_local_side_with_enough_to_do_leaves_the_rest_to_the_cloud() {
    let valves = HybridValves { local_at_once: 1, ..valves() };
    let (router, sides) =
        (router(valves).await, ScriptedBackends::new(Behaviour::Answer, Behaviour::Answer));
    let call = || sides.call(SMART, hello(), User::default(), None);
    let first = Arc::clone(&router).pipe(call()).await.unwrap();
    sides.ask(&router).await.assert_answered_by(CLOUD_MODEL);
    ChatOutcome::collect(first).await.assert_answered_by(LOCAL_MODEL);
    sides.ask(&router).await.assert_answered_by(LOCAL_MODEL);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_chat_frees_the_side_that_was_called() {
    let (router, sides) =
        (router(valves()).await, ScriptedBackends::new(Behaviour::Hang, Behaviour::Answer));
    let mut chat = Box::pin(sides.ask(&router));
    assert!(chat.as_mut().now_or_never().is_none());
    assert_eq!(sides.open_answers(), [1, 0]);
    drop(chat);
    assert_eq!(sides.open_answers(), [0, 0]);
    assert!(router.health_problem().is_none(), "who leaves says nothing of the side's health");
}

#[tokio::test(start_paused = true)]
async fn sides_are_told_apart_in_the_books_if_that_is_wished() {
    for cost_tracking in [false, true] {
        let valves = HybridValves { cost_tracking, ..valves() };
        let (router, sides) = (
            router(valves).await,
            ScriptedBackends::new(Behaviour::Fail(broken), Behaviour::Answer),
        );
        sides.ask(&router).await.assert_answered_by(CLOUD_MODEL);
        let outcome: Vec<_> =
            sides.host.calls().iter().map(|call| call.host.context().side).collect();
        let expected =
            [Some(Side::Local), Some(Side::Cloud)].map(|side| side.filter(|_| cost_tracking));
        assert_eq!(outcome[..2], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_says_who_answers_and_why_if_that_is_wished() {
    let valves = HybridValves { show_side: true, ..valves() };
    let (router, sides) =
        (router(valves).await, ScriptedBackends::new(Behaviour::Answer, Behaviour::Answer));
    assert_eq!(sides.ask(&router).await.lines, ["Answered locally"]);
    sides.set_local(Behaviour::Fail(broken));
    let line = "Answered in the cloud by sky.big: the local model did not answer";
    assert_eq!(sides.ask(&router).await.lines, [line]);
}

#[tokio::test(start_paused = true)]
async fn the_model_behind_a_side_is_shown_by_its_own_name() {
    let chunks = [
        vec![Chunk::Model("sky.bigger".into()), Chunk::Side(Side::Local)],
        answer_chunks(CLOUD_MODEL),
    ]
    .concat();
    let (router, sides) = (
        router(valves()).await,
        ScriptedBackends::new(Behaviour::Fail(broken), Behaviour::Chunks(chunks, None)),
    );
    let outcome = sides.ask(&router).await;
    assert_eq!((outcome.model.as_deref(), outcome.side), (Some("sky.bigger"), Some(Side::Cloud)));
}
