//! Limits: exact over sliding windows, one for all who share the database.

use crate::fixture::{Fixture, on_every_engine};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use std::{sync::Arc, time::Duration};
use store::{
    Booking, Charge, Exceeded, RESERVATION_RETRY_AFTER, Refusal, Spending, Store, Tokens,
    UsageKind, UsageRow, UsageStatus, Window,
};
use tokio::task::JoinSet;

on_every_engine!(
    a_limit_lets_pass_what_it_says_and_no_more,
    what_is_refused_books_nothing,
    room_comes_back_exactly_when_hits_fall_out_of_the_window,
    windows_over_one_key_see_the_same_hits_and_book_them_once,
    what_is_booked_afterwards_counts,
    more_than_the_limit_itself_never_fits,
    keys_of_any_length_and_content_are_kept_apart,
    ten_are_ten_over_two_replicas_at_once,
    limits_are_remembered_over_a_restart,
    windows_agree_with_a_naive_model,
    what_is_reserved_counts_until_it_is_released_or_expires,
    of_many_at_once_only_those_pass_whose_reservations_fit,
    a_period_begins_with_what_was_spent_in_it,
);

const HOUR: Duration = Duration::from_secs(3600);

fn take(key: &str, window: Duration, max: u64, amount: u64) -> Charge {
    Charge::sliding(key, window, max, amount)
}

async fn exceeded(store: &Store, charges: &[Charge]) -> Exceeded {
    match store.limits().admit(charges).await {
        Err(Refusal::Exceeded(exceeded)) => exceeded,
        other => panic!("{other:?}"),
    }
}

/// A wait as long as this, but for what the test itself took.
fn about(wait: Option<Duration>, expected: Duration) {
    let wait = wait.unwrap();
    assert!(wait <= expected && expected - wait < Duration::from_secs(20), "{wait:?}");
}

async fn a_limit_lets_pass_what_it_says_and_no_more(fixture: &Fixture) {
    let store = fixture.open().await;
    let one = [take("a", HOUR, 3, 1)];
    for used in 1..=3 {
        assert_eq!(store.limits().admit(&one).await.unwrap().used, [used]);
    }
    let refused = exceeded(&store, &one).await;
    assert_eq!((refused.index, refused.used, refused.max), (0, 3, 3));
    about(refused.retry_after, HOUR);
    assert_eq!(store.limits().used("a", HOUR).await.unwrap(), 3);
    assert_eq!(store.limits().admit(&[take("b", HOUR, 3, 3)]).await.unwrap().used, [3]);
}

async fn what_is_refused_books_nothing(fixture: &Fixture) {
    let store = fixture.open().await;
    let both = [take("wide", HOUR, 100, 5), take("narrow", HOUR, 1, 1)];
    assert_eq!(store.limits().admit(&both).await.unwrap().used, [5, 1]);
    let refused = exceeded(&store, &both).await;
    assert_eq!((refused.index, refused.used), (1, 1));
    assert_eq!(store.limits().used("wide", HOUR).await.unwrap(), 5);
}

async fn room_comes_back_exactly_when_hits_fall_out_of_the_window(fixture: &Fixture) {
    let store = fixture.open().await;
    let limits = store.limits();
    limits.admit(&[take("a", HOUR, 10, 4)]).await.unwrap();
    fixture.pass(HOUR / 4).await;
    limits.admit(&[take("a", HOUR, 10, 3)]).await.unwrap();
    fixture.pass(HOUR / 4).await;
    limits.admit(&[take("a", HOUR, 10, 3)]).await.unwrap();
    about(exceeded(&store, &[take("a", HOUR, 10, 1)]).await.retry_after, HOUR / 2);
    about(exceeded(&store, &[take("a", HOUR, 10, 5)]).await.retry_after, HOUR * 3 / 4);
    about(exceeded(&store, &[take("a", HOUR, 10, 8)]).await.retry_after, HOUR);
    let wait = exceeded(&store, &[take("a", HOUR, 10, 4)]).await.retry_after.unwrap();
    fixture.pass(wait).await;
    assert_eq!(limits.admit(&[take("a", HOUR, 10, 4)]).await.unwrap().used, [10]);
}

async fn windows_over_one_key_see_the_same_hits_and_book_them_once(fixture: &Fixture) {
    let store = fixture.open().await;
    let day = HOUR * 24;
    let charges = [take("a", HOUR, 2, 1), take("a", day, 3, 1)];
    assert_eq!(store.limits().admit(&charges).await.unwrap().used, [1, 1]);
    assert_eq!(store.limits().admit(&charges).await.unwrap().used, [2, 2]);
    assert_eq!(exceeded(&store, &charges).await.index, 0);
    fixture.pass(HOUR).await;
    assert_eq!(store.limits().admit(&charges).await.unwrap().used, [1, 3]);
    let refused = exceeded(&store, &charges).await;
    assert_eq!(refused.index, 1);
    about(refused.retry_after, HOUR * 23);
    fixture.pass(HOUR * 23).await;
    assert_eq!(store.limits().admit(&charges).await.unwrap().used, [1, 2]);
    // A window that nobody asked for before sees what the others have kept.
    assert_eq!(store.limits().admit(&[take("a", day / 2, 9, 1)]).await.unwrap().used, [2]);
}

async fn what_is_booked_afterwards_counts(fixture: &Fixture) {
    let store = fixture.open().await;
    let limits = store.limits();
    let any = [take("tokens", HOUR, 1000, 0)];
    assert_eq!(limits.admit(&any).await.unwrap().used, [0]);
    limits.add("tokens", 999).await.unwrap();
    assert_eq!(limits.admit(&any).await.unwrap().used, [999]);
    limits.add("tokens", 5000).await.unwrap();
    let refused = exceeded(&store, &any).await;
    assert_eq!((refused.used, refused.max), (5999, 1000));
    about(refused.retry_after, HOUR);
    fixture.pass(HOUR).await;
    assert_eq!(limits.admit(&any).await.unwrap().used, [0]);
    // Booked before anybody has asked.
    limits.add("early", 7).await.unwrap();
    assert_eq!(limits.admit(&[take("early", HOUR, 10, 1)]).await.unwrap().used, [8]);
}

async fn more_than_the_limit_itself_never_fits(fixture: &Fixture) {
    let store = fixture.open().await;
    for (max, amount) in [(0, 1), (0, 0), (5, 6), (5, u64::MAX)] {
        let refused = exceeded(&store, &[take("a", HOUR, max, amount)]).await;
        assert_eq!((refused.used, refused.retry_after), (0, None), "{max} {amount}");
    }
    let mixed = [take("b", HOUR, 1, 1), take("a", HOUR, 0, 1)];
    assert_eq!(exceeded(&store, &mixed).await.index, 1);
}

async fn keys_of_any_length_and_content_are_kept_apart(fixture: &Fixture) {
    let store = fixture.open().await;
    let long = "x".repeat(5000);
    for key in ["", "'; --", "a\0b", "ab", &long, &format!("{long}y"), "ключ"] {
        let one = [take(key, HOUR, 1, 1)];
        assert_eq!(store.limits().admit(&one).await.unwrap().used, [1], "{key}");
        assert_eq!(exceeded(&store, &one).await.used, 1);
    }
    assert_eq!(store.limits().admit(&[]).await.unwrap().used, [0; 0]);
}

async fn ten_are_ten_over_two_replicas_at_once(fixture: &Fixture) {
    let replicas = [Arc::new(fixture.open().await), Arc::new(fixture.open().await)];
    let mut tasks = JoinSet::new();
    for (number, store) in replicas.iter().cycle().take(100).cloned().enumerate() {
        tasks.spawn(async move {
            let mut charges = [take("shared", HOUR, 10, 1), take("other", HOUR, 1000, 1)];
            if number % 3 == 0 {
                charges.reverse();
            }
            store.limits().admit(&charges).await.map(|_| ())
        });
    }
    let verdicts = tasks.join_all().await;
    assert_eq!(verdicts.iter().filter(|verdict| verdict.is_ok()).count(), 10);
    assert!(verdicts.iter().all(|verdict| !matches!(verdict, Err(Refusal::Unknown(_)))));
    assert_eq!(replicas[0].limits().used("other", HOUR).await.unwrap(), 10);
    assert_eq!(replicas[0].limits().unchecked_admissions(), 0);
}

async fn limits_are_remembered_over_a_restart(fixture: &Fixture) {
    let one = [take("a", HOUR, 1, 1)];
    fixture.open().await.limits().admit(&one).await.unwrap();
    about(exceeded(&fixture.open().await, &one).await.retry_after, HOUR);
}

fn reserving(key: &str, max: u64, reserved: u64) -> Charge {
    Charge { reserved, ..take(key, HOUR, max, 0) }
}

async fn what_is_reserved_counts_until_it_is_released_or_expires(fixture: &Fixture) {
    let store = fixture.open().await;
    let limits = store.limits();
    let one = [reserving("a", 100, 100)];
    limits.reserve(&one, "first").await.unwrap();
    let Err(Refusal::Exceeded(refused)) = limits.reserve(&one, "second").await else {
        panic!("it was taken twice")
    };
    assert_eq!(
        (refused.used, refused.held, refused.retry_after),
        (0, 100, Some(RESERVATION_RETRY_AFTER))
    );
    // Nobody stands in their own way.
    limits.reserve(&[reserving("a", 100, 5)], "first").await.unwrap();
    limits.add("a", 40).await.unwrap();
    limits.release(vec!["first".into(), "nobody".into()]).await.unwrap();
    limits.reserve(&one, "second").await.unwrap();
    assert!(limits.reserve(&one, "third").await.is_err());
    // The host that held it has crashed.
    fixture.pass(HOUR / 2).await;
    limits.reserve(&one, "third").await.unwrap();
    limits.release(vec!["third".into()]).await.unwrap();
    assert_eq!(limits.admit(&[take("a", HOUR, 100, 1)]).await.unwrap().used, [41]);
}

async fn of_many_at_once_only_those_pass_whose_reservations_fit(fixture: &Fixture) {
    let replicas = [Arc::new(fixture.open().await), Arc::new(fixture.open().await)];
    let mut tasks = JoinSet::new();
    for (number, store) in replicas.iter().cycle().take(256).cloned().enumerate() {
        tasks.spawn(async move {
            let charges = [reserving("tokens", 1000, 100), take("requests", HOUR, 1000, 1)];
            store.limits().reserve(&charges, &number.to_string()).await.is_ok()
        });
    }
    let passed = tasks.join_all().await.into_iter().filter(|passed| *passed).count();
    assert_eq!(passed, 10);
    assert_eq!(replicas[0].limits().used("requests", HOUR).await.unwrap(), 10);
}

const DAY: i64 = 86_400_000;

fn spending(key: &str, max: u64, user: Option<&str>, models: Option<&str>) -> [Charge; 1] {
    let (user, models) = (user.map(str::to_owned), models.map(str::to_owned));
    let spending = Spending { since: 20_000 * DAY, until: i64::MAX / 4, user, models };
    let window = Window::Spending(spending);
    [Charge { key: key.into(), window, max, amount: 0, reserved: 1 }]
}

async fn a_period_begins_with_what_was_spent_in_it(fixture: &Fixture) {
    let store = fixture.open().await;
    for (user, model, day, cost) in [
        (Some("ann"), "p.big_1", 20_000, 10),
        (Some("ann"), "p.bigx1", 20_003, 20),
        (Some("bob"), "p.big_1", 20_001, 40),
        (None, "p.small", 20_001, 80),
        (Some("ann"), "p.big_1", 19_999, 1000),
    ] {
        store.usage().record(UsageRow {
            at: day * DAY + 5,
            user: user.map(str::to_owned),
            name: None,
            key: None,
            via: None,
            model: model.into(),
            pipe: "p".into(),
            side: None,
            task: None,
            kind: UsageKind::Chat,
            tokens: Tokens::default(),
            cost: Some(cost),
            status: UsageStatus::Ok,
        });
    }
    assert!(store.usage().flush(Duration::from_secs(10)).await);
    for (key, user, models, spent) in [
        ("ann", Some("ann"), None, 30),
        ("nobody", Some(""), None, 80),
        ("all", None, None, 150),
        ("ann big_", Some("ann"), Some("*big_*"), 10),
        ("all big", None, Some("p.big*"), 70),
    ] {
        let limits = store.limits();
        let charges = spending(key, spent + 1, user, models);
        assert_eq!(limits.reserve(&charges, key).await.unwrap().used, [spent], "{key}");
        let booking = Booking { key: key.into(), amount: 1, is_spending: true };
        limits.book(&[booking]).await.unwrap();
        let Err(Refusal::Exceeded(refused)) = limits.reserve(&charges, key).await else {
            panic!("{key} spends on")
        };
        assert_eq!(refused.used, spent + 1, "{key}");
        assert!(refused.retry_after.unwrap() > HOUR);
    }
    // Nobody has asked for it, so it is in the usage.
    let unasked = Booking { key: "later".into(), amount: 7, is_spending: true };
    store.limits().book(&[unasked]).await.unwrap();
    let charges = spending("later", 1000, Some("ann"), None);
    assert_eq!(store.limits().reserve(&charges, "x").await.unwrap().used, [30]);
}

/// One step of a history: so much time passes, and then something is asked.
#[derive(Clone, Debug)]
struct Step {
    minutes: u64,
    charges: Vec<(u8, u8, u64, u64)>,
    added: Option<(u8, u64)>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let take = (0..3u8, 0..3u8, 0..12u64, 0..5u64);
    let passing = prop_oneof![3 => Just(0), 3 => 5..50u64, 1 => 50..3000u64];
    let added = prop::option::weighted(0.2, (0..3u8, 1..8u64));
    let step = (passing, prop::collection::vec(take, 1..4), added)
        .prop_map(|(minutes, charges, added)| Step { minutes, charges, added });
    prop::collection::vec(step, 1..40)
}

/// The definition of a limit, as plainly as it can be written.
#[derive(Default)]
struct Naive {
    now: u64,
    hits: Vec<(u8, u64, u64)>,
}

/// In minutes. Differences of less than a minute are those of the test's own running time, so no
/// window ends on a full five minutes.
const WINDOWS: [u64; 3] = [31, 181, 1441];

impl Naive {
    fn used(&self, key: u8, window: u64) -> u64 {
        let is_in = |(of, at, _): &&(u8, u64, u64)| *of == key && at + window > self.now;
        self.hits.iter().filter(is_in).map(|(_, _, amount)| amount).sum()
    }

    fn admits(&mut self, charges: &[(u8, u8, u64, u64)]) -> bool {
        let fits = |(key, window, max, amount): &(u8, u8, u64, u64)| {
            self.used(*key, WINDOWS[usize::from(*window)]) + amount.max(&1) <= *max
        };
        if !charges.iter().all(fits) {
            return false;
        }
        for key in 0..3 {
            let most = charges.iter().filter(|take| take.0 == key).map(|take| take.3).max();
            self.hits.extend(most.map(|amount| (key, self.now, amount)));
        }
        true
    }
}

async fn windows_agree_with_a_naive_model(fixture: &Fixture) {
    let store = fixture.open().await;
    let mut runner = TestRunner::new(Config::default());
    for history in 0..15 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        let mut naive = Naive::default();
        let name = |key: u8| format!("{history}:{key}");
        // Hits are kept for the longest window that has asked for them.
        for key in 0..3 {
            let longest = Duration::from_secs(60 * WINDOWS[2]);
            store.limits().admit(&[take(&name(key), longest, 1, 0)]).await.unwrap();
        }
        for step in &steps {
            // Full minutes would let hits fall out just as they are looked at.
            let minutes = step.minutes - step.minutes % 5;
            naive.now += minutes;
            fixture.pass(Duration::from_secs(60 * minutes)).await;
            if let Some((key, amount)) = step.added {
                naive.hits.push((key, naive.now, amount));
                store.limits().add(&name(key), amount).await.unwrap();
            }
            let charges: Vec<_> = step
                .charges
                .iter()
                .map(|(key, window, max, amount)| {
                    let window = Duration::from_secs(60 * WINDOWS[usize::from(*window)]);
                    take(&name(*key), window, *max, *amount)
                })
                .collect();
            let before: Vec<_> = step
                .charges
                .iter()
                .map(|(key, window, ..)| naive.used(*key, WINDOWS[usize::from(*window)]))
                .collect();
            match (naive.admits(&step.charges), store.limits().admit(&charges).await) {
                (true, Ok(admitted)) => {
                    for ((key, window, ..), used) in step.charges.iter().zip(admitted.used) {
                        assert_eq!(
                            used,
                            naive.used(*key, WINDOWS[usize::from(*window)]),
                            "{steps:?}"
                        );
                    }
                }
                (false, Err(Refusal::Exceeded(exceeded))) => {
                    assert_eq!(exceeded.used, before[exceeded.index], "{steps:?}");
                }
                (expected, said) => panic!("{expected} but {said:?} in {steps:?}"),
            }
        }
    }
}
