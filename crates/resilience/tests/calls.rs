//! Calls of an upstream that fails in every way, in a time that is paused.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use futures_util::{StreamExt, future::pending, stream};
use pipe_sdk::{BreakerState, CallerId};
use resilience::{
    Attempt, CallError, Classify, FailureKind, FirstByteElapsed, IdleElapsed, IdleTimeout,
    InFlightCall, Limits, Upstream, Verdict,
};
use std::{
    cell::Cell,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::{Instant, timeout};

#[derive(Debug, PartialEq)]
enum Failure {
    /// A failure with this verdict.
    Of(Verdict),
    FirstByteElapsed,
    IdleElapsed,
}

impl Classify for Failure {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Of(verdict) => *verdict,
            Self::FirstByteElapsed => Verdict::failure(FailureKind::Timeout),
            Self::IdleElapsed => Verdict::failure(FailureKind::IdleTimeout),
        }
    }
}

impl From<FirstByteElapsed> for Failure {
    fn from(_: FirstByteElapsed) -> Self {
        Self::FirstByteElapsed
    }
}

impl From<IdleElapsed> for Failure {
    fn from(_: IdleElapsed) -> Self {
        Self::IdleElapsed
    }
}

fn upstream(limits: Limits) -> Arc<Upstream> {
    Arc::new(Upstream::new("example", limits))
}

fn busy() -> Verdict {
    Verdict::failure(FailureKind::Server).retryable()
}

type Answered = Result<(u32, InFlightCall), CallError<Failure>>;

/// A call whose first attempts fail so; then it is answered with the number of its attempt.
async fn call(upstream: &Arc<Upstream>, failures: &[Verdict]) -> Answered {
    call_by(0, upstream, failures).await
}

/// The same, made by this caller.
async fn call_by(caller: u64, upstream: &Arc<Upstream>, failures: &[Verdict]) -> Answered {
    let attempt = async |attempt: Attempt| match failures.get(attempt.number as usize - 1) {
        Some(verdict) => Err(Failure::Of(*verdict)),
        None => Ok(attempt.number),
    };
    upstream.call(CallerId::from_name(&caller), attempt).await
}

async fn fails(upstream: &Arc<Upstream>, verdict: Verdict) -> CallError<Failure> {
    fails_for(0, upstream, verdict).await
}

async fn fails_for(caller: u64, upstream: &Arc<Upstream>, verdict: Verdict) -> CallError<Failure> {
    call_by(caller, upstream, &[verdict; 10]).await.map(drop).unwrap_err()
}

fn resting(seconds: u64) -> CallError<Failure> {
    CallError::CircuitOpen { wait: Duration::from_secs(seconds), cause: FailureKind::Server }
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_three_times_and_no_more() {
    let upstream = upstream(Limits::default());
    assert_eq!(call(&upstream, &[busy(), busy()]).await.unwrap().0, 3);
    assert_eq!(fails(&upstream, busy()).await, CallError::Failed(Failure::Of(busy())));
    let state = upstream.state();
    assert_eq!((state.calls, state.retries, state.failures["server"]), (2, 4, 5));
}

#[tokio::test(start_paused = true)]
async fn what_will_not_change_is_not_tried_again() {
    let upstream = upstream(Limits::default());
    for verdict in [Verdict::success(), Verdict::failure(FailureKind::Protocol)] {
        fails(&upstream, verdict).await;
    }
    assert_eq!(upstream.state().retries, 0);
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_up_to_the_longest_and_are_never_alike() {
    let limits = Limits { attempts: 10, failures: 0, ..Limits::default() };
    let mut waits = Vec::new();
    for _ in 0..20 {
        let upstream = upstream(limits.clone());
        let begun = Instant::now();
        call(&upstream, &[busy(); 9]).await.unwrap();
        waits.push(begun.elapsed());
    }
    // 100 + 200 + … + 3200 + 5000 ms three times, at most.
    assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(21_309)), "{waits:?}");
    waits.sort();
    waits.dedup();
    assert!(waits.len() > 10, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_upstream_asks_for_is_kept_up_to_ten_seconds() {
    let throttled = |wish| {
        Verdict::failure(FailureKind::Throttled)
            .retryable()
            .with_retry_after(Some(Duration::from_secs(wish)))
    };
    let upstream = upstream(Limits::default());
    let begun = Instant::now();
    call(&upstream, &[throttled(10)]).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(10));
    fails(&upstream, throttled(11)).await;
    assert_eq!(upstream.state().retries, 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_when_the_time_for_the_first_byte_is_over() {
    let limits = Limits { first_byte: Duration::from_secs(8), ..Limits::default() };
    let upstream = upstream(limits);
    let wish = Verdict::failure(FailureKind::Throttled)
        .retryable()
        .with_retry_after(Some(Duration::from_secs(9)));
    fails(&upstream, wish).await;
    let begun = Instant::now();
    let late = upstream
        .call(CallerId::default(), async |attempt: Attempt| {
            if attempt.number == 1 {
                return Err(Failure::Of(busy()));
            }
            attempt.with_deadline(pending::<()>()).await?;
            Ok(())
        })
        .await;
    assert_eq!(late.map(drop).unwrap_err(), CallError::Failed(Failure::FirstByteElapsed));
    assert_eq!(begun.elapsed().as_secs(), 8, "retries included");
}

#[tokio::test(start_paused = true)]
async fn a_storm_costs_no_more_than_a_tenth() {
    // Every other call fails, so that the breaker stays closed.
    let upstream = upstream(Limits::default());
    for _ in 0..500 {
        fails(&upstream, busy()).await;
        let (_, in_flight_call) = call(&upstream, &[]).await.unwrap();
        in_flight_call.complete(None);
    }
    let state = upstream.state();
    assert_eq!((state.calls, state.breaker), (1000, BreakerState::Closed));
    assert!((100..=110).contains(&state.retries), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn after_twenty_failed_calls_of_three_callers_it_rests_and_another_call_tries_whether_it_is_well()
 {
    let upstream = upstream(Limits { attempts: 2, ..Limits::default() });
    for number in 0..20 {
        assert!(matches!(fails_for(number % 3, &upstream, busy()).await, CallError::Failed(_)));
    }
    assert_eq!(upstream.state().retries, 11, "all attempts of a call are one failure");
    assert_eq!(fails_for(9, &upstream, busy()).await, resting(10));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(upstream.state().breaker, BreakerState::HalfOpen);
    assert_eq!(fails_for(0, &upstream, busy()).await, resting(10), "it is for others to try");
    for caller in 9..12 {
        fails_for(caller, &upstream, busy()).await;
    }
    assert_eq!(fails_for(12, &upstream, busy()).await, resting(20));
    tokio::time::advance(Duration::from_secs(20)).await;
    call_by(12, &upstream, &[]).await.unwrap();
    let state = upstream.state();
    assert_eq!((state.breaker, state.refused, state.calls), (BreakerState::Closed, 3, 24));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_has_nowhere_else_to_go_is_made_all_the_same() {
    let upstream = upstream(Limits { attempts: 1, ..Limits::default() });
    for number in 0..20 {
        fails_for(number % 3, &upstream, busy()).await;
    }
    assert_eq!(fails_for(9, &upstream, busy()).await, resting(10));
    let attempt = async |_| Ok::<_, Failure>(());
    upstream.call_ignoring_breaker(CallerId::default(), attempt).await.map(drop).unwrap();
    assert_eq!(upstream.state().breaker, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn requests_at_fault_and_throttling_never_open_the_breaker() {
    let upstream = upstream(Limits::default());
    for verdict in [Verdict::success(), Verdict::failure(FailureKind::Throttled)] {
        for _ in 0..100 {
            fails(&upstream, verdict).await;
        }
    }
    assert_eq!(upstream.state().breaker, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn there_is_room_for_so_many_and_further_ones_are_refused_at_once() {
    let upstream = upstream(Limits { max_concurrent: 2, ..Limits::default() });
    let mut under_way = Vec::new();
    for _ in 0..2 {
        under_way.push(call(&upstream, &[]).await.unwrap());
    }
    assert_eq!(call(&upstream, &[]).await.map(drop).unwrap_err(), CallError::ConcurrencyLimit);
    assert_eq!((upstream.state().in_flight, upstream.state().shed), (2, 1));
    under_way.pop();
    call(&upstream, &[]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_frees_its_permit_and_counts_as_no_failure() {
    let upstream = upstream(Limits { failures: 1, ..Limits::default() });
    for _ in 0..5 {
        let call =
            upstream.call(CallerId::default(), async |_| pending::<Result<(), Failure>>().await);
        timeout(Duration::from_secs(1), call).await.map(drop).unwrap_err();
        drop(call_of(&upstream).await);
    }
    let state = upstream.state();
    assert_eq!((state.in_flight, state.breaker), (0, BreakerState::Closed));
    assert!(state.failures.values().all(|count| *count == 0), "{state:?}");
}

async fn call_of(upstream: &Arc<Upstream>) -> InFlightCall {
    call(upstream, &[]).await.unwrap().1
}

#[tokio::test(start_paused = true)]
async fn an_answer_holds_its_place_until_it_ends_and_its_error_counts() {
    let upstream = upstream(Limits::default());
    let pieces = [Ok("a"), Err(Failure::Of(Verdict::failure(FailureKind::Truncated)))];
    let mut answer = call_of(&upstream).await.track(stream::iter(pieces));
    assert_eq!(answer.next().await, Some(Ok("a")));
    assert_eq!(upstream.state().in_flight, 1);
    answer.next().await.unwrap().unwrap_err();
    let state = upstream.state();
    assert_eq!((state.in_flight, state.failures["cut"]), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_falls_silent_ends_in_an_error() {
    let pieces = stream::iter([Ok("a"), Ok("b")]).chain(stream::pending());
    let begun = Instant::now();
    let told: Vec<Result<_, Failure>> =
        IdleTimeout::new(pieces, Duration::from_secs(120)).take(3).collect().await;
    assert_eq!(told, [Ok("a"), Ok("b"), Err(Failure::IdleElapsed)]);
    assert_eq!(begun.elapsed().as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn each_piece_ends_the_silence() {
    let slow = stream::unfold(0, async |n| {
        tokio::time::sleep(Duration::from_secs(100)).await;
        Some((Ok::<_, Failure>(n), n + 1))
    });
    let told = IdleTimeout::new(Box::pin(slow), Duration::from_secs(120)).take(10);
    assert!(told.all(async |piece| piece.is_ok()).await);
}

#[tokio::test(start_paused = true)]
async fn calls_that_run_beside_each_other_never_outgrow_the_room() {
    let upstream = upstream(Limits { max_concurrent: 8, ..Limits::default() });
    let (most, weak): (Cell<usize>, Weak<_>) = (Cell::new(0), Arc::downgrade(&upstream));
    let calls = stream::iter(0..500u64).map(async |n| {
        tokio::time::sleep(Duration::from_millis(n % 37)).await;
        let Ok(in_flight_call) =
            upstream.call(CallerId::default(), async |_| Ok::<_, Failure>(())).await
        else {
            return;
        };
        most.set(most.get().max(weak.upgrade().unwrap().state().in_flight));
        tokio::time::sleep(Duration::from_millis(n % 11)).await;
        in_flight_call.1.complete(None);
    });
    calls.for_each_concurrent(None, |call| call).await;
    assert_eq!((most.get(), upstream.state().in_flight), (8, 0));
    assert!(upstream.state().shed > 0);
}
