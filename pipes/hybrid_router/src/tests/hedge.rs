//! Both sides in a race, if that is wished.

use super::*;

async fn hedging(after_ms: u64) -> Arc<HybridRouter> {
    router(HybridValves { hedge_after_ms: Some(after_ms), ..valves() }).await
}

#[tokio::test(start_paused = true)]
async fn a_local_side_that_speaks_in_time_is_alone() {
    let (router, sides) = (hedging(500).await, Sides::new(Does::AnswersAfter(499), Does::Answers));
    sides.ask(&router).await.matches(HOME);
    assert_eq!(sides.asked(), [HOME]);
}

#[tokio::test(start_paused = true)]
async fn who_speaks_first_answers_and_the_other_one_is_let_go() {
    for (cloud, winner, took) in [(100, SKY, 600), (900, HOME, 1000)] {
        let sides = Sides::new(Does::AnswersAfter(1000), Does::AnswersAfter(cloud));
        let told = sides.ask(&hedging(500).await).await;
        told.matches(winner);
        assert_eq!(told.took, Duration::from_millis(took));
        assert_eq!(sides.asked(), [HOME, SKY]);
        assert_eq!(sides.open(), [0, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_fails_in_a_race_leaves_it_to_the_other() {
    let (slow, fails) = (|| Does::AnswersAfter(1000), || Does::Fails(broken));
    for (local, cloud, winner) in [(slow(), fails(), HOME), (fails(), slow(), SKY)] {
        let sides = Sides::new(local, cloud);
        sides.ask(&hedging(500).await).await.matches(winner);
    }
    let sides = Sides::new(Does::Hangs, Does::Fails(broken));
    let told = sides.ask(&hedging(500).await).await;
    assert!(matches!(told.failed(), PipeError::Upstream(_)), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_race_is_looked_into_so_that_a_frozen_side_is_known_to_be_frozen() {
    let (router, sides) = (hedging(500).await, Sides::new(Does::Hangs, Does::Answers));
    assert_eq!(sides.ask(&router).await.took, Duration::from_millis(500));
    sleep(Duration::from_secs(21)).await;
    assert_eq!(sides.ask(&router).await.took, Duration::ZERO);
    assert_eq!(sides.asked(), [HOME, SKY, SKY]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_race_alone_does_not_make_a_slow_side_an_ill_one() {
    let (router, sides) = (hedging(500).await, Sides::new(Does::AnswersAfter(2000), Does::Answers));
    sides.ask(&router).await.matches(SKY);
    sleep(Duration::from_secs(3)).await;
    assert!(router.health_problem().is_none());
    assert_eq!(sides.looked(), 1);
    sides.let_local(Does::Answers);
    sides.ask(&router).await.matches(HOME);
}

#[tokio::test(start_paused = true)]
async fn background_tasks_are_in_no_race() {
    let (router, sides) = (hedging(500).await, Sides::new(Does::AnswersAfter(1000), Does::Answers));
    let task = Some("title_generation");
    sides.ask_with(&router, SMART, hello(), User::default(), task).await.matches(HOME);
    assert_eq!(sides.asked(), [HOME]);
}
