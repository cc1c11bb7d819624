//! Both sides in a race, if that is wished.

use super::*;

async fn hedging(after_ms: u64) -> Arc<HybridRouter> {
    router(HybridValves { hedge_after_ms: Some(after_ms), ..valves() }).await
}

#[tokio::test(start_paused = true)]
async fn a_local_side_that_speaks_in_time_is_alone() {
    let (router, sides) =
        (hedging(500).await, ScriptedBackends::new(Behaviour::AnswerAfter(499), Behaviour::Answer));
    sides.ask(&router).await.assert_answered_by(LOCAL_MODEL);
    assert_eq!(sides.called_models(), [LOCAL_MODEL]);
}

#[tokio::test(start_paused = true)]
async fn the_first_side_to_send_a_token_answers_and_the_other_is_cancelled() {
    for (cloud, winner, took) in [(100, CLOUD_MODEL, 600), (900, LOCAL_MODEL, 1000)] {
        let sides =
            ScriptedBackends::new(Behaviour::AnswerAfter(1000), Behaviour::AnswerAfter(cloud));
        let outcome = sides.ask(&hedging(500).await).await;
        outcome.assert_answered_by(winner);
        assert_eq!(outcome.took, Duration::from_millis(took));
        assert_eq!(sides.called_models(), [LOCAL_MODEL, CLOUD_MODEL]);
        assert_eq!(sides.open_answers(), [0, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_fails_in_a_race_leaves_it_to_the_other() {
    let (slow, fails) = (|| Behaviour::AnswerAfter(1000), || Behaviour::Fail(broken));
    for (local, cloud, winner) in [(slow(), fails(), LOCAL_MODEL), (fails(), slow(), CLOUD_MODEL)] {
        let sides = ScriptedBackends::new(local, cloud);
        sides.ask(&hedging(500).await).await.assert_answered_by(winner);
    }
    let sides = ScriptedBackends::new(Behaviour::Hang, Behaviour::Fail(broken));
    let outcome = sides.ask(&hedging(500).await).await;
    assert!(matches!(outcome.expect_error(), PipeError::Upstream(_)), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_race_is_looked_into_so_that_a_frozen_side_is_known_to_be_frozen() {
    let (router, sides) =
        (hedging(500).await, ScriptedBackends::new(Behaviour::Hang, Behaviour::Answer));
    assert_eq!(sides.ask(&router).await.took, Duration::from_millis(500));
    sleep(Duration::from_secs(21)).await;
    assert_eq!(sides.ask(&router).await.took, Duration::ZERO);
    assert_eq!(sides.called_models(), [LOCAL_MODEL, CLOUD_MODEL, CLOUD_MODEL]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_race_alone_does_not_make_a_slow_side_an_ill_one() {
    let (router, sides) = (
        hedging(500).await,
        ScriptedBackends::new(Behaviour::AnswerAfter(2000), Behaviour::Answer),
    );
    sides.ask(&router).await.assert_answered_by(CLOUD_MODEL);
    sleep(Duration::from_secs(3)).await;
    assert!(router.health_problem().is_none());
    assert_eq!(sides.probe_count(), 1);
    sides.set_local(Behaviour::Answer);
    sides.ask(&router).await.assert_answered_by(LOCAL_MODEL);
}

#[tokio::test(start_paused = true)]
async fn background_tasks_are_in_no_race() {
    let (router, sides) = (
        hedging(500).await,
        ScriptedBackends::new(Behaviour::AnswerAfter(1000), Behaviour::Answer),
    );
    let task = Some("title_generation");
    sides
        .ask_with(&router, SMART, hello(), User::default(), task)
        .await
        .assert_answered_by(LOCAL_MODEL);
    assert_eq!(sides.called_models(), [LOCAL_MODEL]);
}
