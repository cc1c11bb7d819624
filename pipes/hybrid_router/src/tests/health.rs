//! The health of the local side: failures are remembered, and a probe finds that it is well again.

use super::*;
use pipe_sdk::BreakerState;
use tokio::time::advance;

fn breaker(router: &HybridRouter) -> BreakerState {
    router.upstream_states()[0].breaker
}

#[tokio::test(start_paused = true)]
async fn a_dead_local_side_costs_nothing_from_the_second_chat_on() {
    let (router, sides) =
        (router(valves()).await, ScriptedBackends::new(Behaviour::Hang, Behaviour::Answer));
    let first = sides.ask(&router).await;
    first.assert_answered_by(CLOUD_MODEL);
    assert_eq!(first.took, Duration::from_secs(20));
    assert_eq!(breaker(&router), BreakerState::Open);
    // Long enough for it to be tried many times, in vain.
    for _ in 0..300 {
        let next = sides.ask(&router).await;
        next.assert_answered_by(CLOUD_MODEL);
        assert_eq!(next.took, Duration::ZERO);
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(sides.called_models().iter().filter(|side| **side == LOCAL_MODEL).count(), 1);
    // At once, and then 10, 20, 40, 80 and 120 s after each failure, which takes 20 s to show.
    assert_eq!(sides.probe_count(), 5);
}

#[tokio::test(start_paused = true)]
async fn it_is_asked_again_when_it_has_been_found_well_though_nobody_chats() {
    let (router, sides) =
        (router(valves()).await, ScriptedBackends::new(Behaviour::Fail(broken), Behaviour::Answer));
    sides.ask(&router).await.assert_answered_by(CLOUD_MODEL);
    assert!(router.health_problem().is_some());
    sides.set_local(Behaviour::Answer);
    sides.ask(&router).await.assert_answered_by(CLOUD_MODEL);
    sleep(Duration::from_secs(11)).await;
    assert_eq!((breaker(&router), sides.probe_count()), (BreakerState::Closed, 1));
    assert!(router.health_problem().is_none());
    sides.ask(&router).await.assert_answered_by(LOCAL_MODEL);
    assert_eq!(sides.open_answers(), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_counts_as_a_failure() {
    let half = Behaviour::Chunks(vec![text("half")], Some(broken));
    let (router, sides) = (router(valves()).await, ScriptedBackends::new(half, Behaviour::Answer));
    assert!(sides.ask(&router).await.error.is_some());
    sides.ask(&router).await.assert_answered_by(CLOUD_MODEL);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_it_does_not_take_says_nothing_of_its_health() {
    let (router, sides) = (
        router(valves()).await,
        ScriptedBackends::new(Behaviour::Fail(|| PipeError::bad_request("no")), Behaviour::Answer),
    );
    sides.ask(&router).await.assert_answered_by(CLOUD_MODEL);
    sides.set_local(Behaviour::Answer);
    sides.ask(&router).await.assert_answered_by(LOCAL_MODEL);
}

#[tokio::test(start_paused = true)]
async fn the_wait_that_it_asks_for_is_kept() {
    let busy = || PipeError::Throttled {
        message: "busy".into(),
        retry_after: Some(Duration::from_secs(7)),
    };
    let (router, sides) =
        (router(valves()).await, ScriptedBackends::new(Behaviour::Fail(busy), Behaviour::Answer));
    sides.ask(&router).await.assert_answered_by(CLOUD_MODEL);
    sides.set_local(Behaviour::Answer);
    sides.ask(&router).await.assert_answered_by(CLOUD_MODEL);
    advance(Duration::from_secs(7)).await;
    sides.ask(&router).await.assert_answered_by(LOCAL_MODEL);
    assert_eq!(
        (sides.called_models(), sides.probe_count()),
        (vec![LOCAL_MODEL, CLOUD_MODEL, CLOUD_MODEL, LOCAL_MODEL], 0)
    );
}

#[tokio::test(start_paused = true)]
async fn it_may_fail_more_often_before_it_rests_or_as_often_as_it_likes() {
    for (breaker_failures, asked) in [(3, 3), (0, 5)] {
        let valves = HybridValves { breaker_failures, ..valves() };
        let (router, sides) = (
            router(valves).await,
            ScriptedBackends::new(Behaviour::Fail(broken), Behaviour::Answer),
        );
        for _ in 0..5 {
            sides.ask(&router).await.assert_answered_by(CLOUD_MODEL);
        }
        assert_eq!(
            sides.called_models().iter().filter(|side| **side == LOCAL_MODEL).count(),
            asked
        );
    }
}

#[tokio::test(start_paused = true)]
async fn new_valves_forget_its_health_only_if_they_change_it() {
    let (before, sides) =
        (router(valves()).await, ScriptedBackends::new(Behaviour::Fail(broken), Behaviour::Answer));
    sides.ask(&before).await.assert_answered_by(CLOUD_MODEL);
    let beside = HybridValves { show_side: true, ..valves() };
    let same = Arc::new(before.on_valves_updated(beside).await.unwrap());
    drop(before);
    sides.set_local(Behaviour::Answer);
    sides.ask(&same).await.assert_answered_by(CLOUD_MODEL);
    // The probe of the earlier pipe has ended with it; this one takes its place.
    sleep(Duration::from_secs(11)).await;
    sides.ask(&same).await.assert_answered_by(LOCAL_MODEL);

    sides.set_local(Behaviour::Fail(broken));
    sides.ask(&same).await.assert_answered_by(CLOUD_MODEL);
    let other = HybridValves { local_timeout_seconds: 5, ..valves() };
    let other = Arc::new(same.on_valves_updated(other).await.unwrap());
    sides.set_local(Behaviour::Answer);
    sides.ask(&other).await.assert_answered_by(LOCAL_MODEL);
}
