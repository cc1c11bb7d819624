//! Usage: rows, reports over them, and what a user has spent.

use crate::fixture::{Fixture, on_every_engine};
use std::time::Duration;
use store::{
    ReportRow, Store, StoreSettings, Tokens, UsageField, UsageKind, UsageQuery, UsageRow,
    UsageSide, UsageStatus,
};

on_every_engine!(
    a_report_sums_what_was_recorded,
    a_report_tells_apart_what_it_is_asked_for,
    a_report_looks_only_at_what_it_is_asked_for,
    parts_of_days_are_counted_to_the_millisecond,
    what_a_user_has_spent_is_known_from_any_moment_on,
    single_answers_are_forgotten_in_time_and_their_days_are_not,
    no_text_that_a_client_sends_keeps_others_from_being_written,
    a_flush_leaves_nothing_unwritten,
);

/// 2026-11-21, 00:00 UTC.
const MIDNIGHT: i64 = 1_795_219_200_000;
const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;

fn row(at: i64, user: &str, model: &str, cost: i64) -> UsageRow {
    UsageRow {
        at,
        user: Some(user.into()),
        name: Some(format!("{user}@example.org")),
        model: model.into(),
        pipe: model.split('.').next().unwrap().into(),
        tokens: Tokens { prompt: 100, cached: 10, cache_creation: 5, completion: 20, reasoning: 7 },
        cost: Some(cost),
        ..UsageRow::default()
    }
}

async fn recorded(store: &Store, rows: impl IntoIterator<Item = UsageRow>) {
    for row in rows {
        store.usage().record(row);
    }
    assert!(store.usage().flush(Duration::from_secs(20)).await);
}

fn days(from: i64, to: i64) -> UsageQuery {
    UsageQuery { from: MIDNIGHT + from * DAY, to: MIDNIGHT + to * DAY, ..UsageQuery::default() }
}

async fn report(store: &Store, query: UsageQuery) -> Vec<ReportRow> {
    store.usage().report(query).await.unwrap()
}

/// Some days of three users.
fn some() -> Vec<UsageRow> {
    let failed = UsageRow {
        status: UsageStatus::Error,
        cost: None,
        ..row(MIDNIGHT + HOUR, "ann", "a.x", 0)
    };
    let left = UsageRow {
        status: UsageStatus::Cancelled,
        task: Some("title_generation".into()),
        side: Some(UsageSide::Local),
        ..row(MIDNIGHT + 2 * HOUR, "bob", "b.y", 300)
    };
    let embedded = UsageRow {
        kind: UsageKind::Embed,
        key: Some("ci".into()),
        user: None,
        name: None,
        ..row(MIDNIGHT + DAY, "", "a.e", 40)
    };
    let cloud = UsageRow {
        side: Some(UsageSide::Cloud),
        via: Some("hybrid".into()),
        name: Some("Ann".into()),
        ..row(MIDNIGHT + DAY + HOUR, "ann", "b.y", 5000)
    };
    vec![row(MIDNIGHT, "ann", "a.x", 1000), failed, left, embedded, cloud]
}

async fn a_report_sums_what_was_recorded(fixture: &Fixture) {
    let store = fixture.open().await;
    let nothing = report(&store, days(0, 2)).await;
    assert_eq!(nothing, [ReportRow::default()]);
    recorded(&store, some()).await;
    let expected = ReportRow {
        requests: 4,
        embeddings: 1,
        errors: 1,
        cancelled: 1,
        tokens: Tokens {
            prompt: 400,
            cached: 50,
            cache_creation: 25,
            completion: 100,
            reasoning: 35,
        },
        embedded: 100,
        cost: 6340,
        unpriced: 1,
        ..ReportRow::default()
    };
    assert_eq!(report(&store, days(0, 2)).await, [expected]);
}

async fn a_report_tells_apart_what_it_is_asked_for(fixture: &Fixture) {
    let store = fixture.open().await;
    recorded(&store, some()).await;
    let by_day = UsageQuery { by_day: true, ..days(-1, 9) };
    let rows = report(&store, by_day).await;
    let told: Vec<_> = rows.iter().map(|row| (row.day, row.requests + row.embeddings)).collect();
    assert_eq!(told, [(Some(MIDNIGHT), 3), (Some(MIDNIGHT + DAY), 2)]);

    let by_user = UsageQuery { by: vec![UsageField::User], ..days(0, 2) };
    let rows = report(&store, by_user.clone()).await;
    let told: Vec<_> =
        rows.iter().map(|row| (row.user.as_deref(), row.name.as_deref(), row.cost)).collect();
    let ann = (Some("ann"), Some("Ann"), 6000);
    assert_eq!(told, [ann, (Some("bob"), Some("bob@example.org"), 300), (None, None, 40)]);
    assert_eq!(report(&store, UsageQuery { limit: Some(2), ..by_user }).await, rows[..2]);

    let by_all = UsageQuery { by_day: true, by: UsageField::ALL.into(), ..days(0, 2) };
    let rows = report(&store, by_all).await;
    assert_eq!(rows.len(), 4, "the failed one is of the same kind as the first: {rows:?}");
    let words = |row: &ReportRow| {
        [&row.user, &row.key, &row.model, &row.pipe, &row.side, &row.task, &row.kind]
            .map(|word| word.clone().unwrap_or_default())
            .join(" ")
    };
    let told: Vec<_> = rows.iter().map(words).collect();
    let expected = [
        "ann  a.x a   chat",
        "bob  b.y b local title_generation chat",
        "ann  b.y b cloud  chat",
        " ci a.e a   embed",
    ];
    assert_eq!(told, expected);
}

async fn a_report_looks_only_at_what_it_is_asked_for(fixture: &Fixture) {
    let store = fixture.open().await;
    recorded(&store, some()).await;
    for (only, requests) in [
        (vec![(UsageField::User, "ann")], 3),
        (vec![(UsageField::User, "")], 1),
        (vec![(UsageField::User, "ann"), (UsageField::User, "bob")], 4),
        (vec![(UsageField::User, "ann"), (UsageField::Pipe, "b")], 1),
        (vec![(UsageField::Model, "b.y")], 2),
        (vec![(UsageField::Side, "local")], 1),
        (vec![(UsageField::Task, "title_generation")], 1),
        (vec![(UsageField::Kind, "embed")], 1),
        (vec![(UsageField::Key, "ci")], 1),
        (vec![(UsageField::Model, "' OR ''='")], 0),
    ] {
        let only: Vec<_> =
            only.into_iter().map(|(field, value)| (field, value.to_owned())).collect();
        for to in [days(0, 2).to, days(0, 2).to - 1] {
            let query = UsageQuery { filters: only.clone(), to, ..days(0, 2) };
            let row = &report(&store, query).await[0];
            assert_eq!(row.requests + row.embeddings, requests, "{only:?}");
        }
    }
}

async fn parts_of_days_are_counted_to_the_millisecond(fixture: &Fixture) {
    let store = fixture.open().await;
    let times: Vec<_> = (-30..=30).map(|hours| MIDNIGHT + hours * HOUR).collect();
    recorded(&store, times.iter().map(|at| row(*at, "ann", "a.x", 1))).await;
    for from in [-30 * HOUR, -30 * HOUR + 1, -DAY, -1, 0, 1, 5 * HOUR] {
        for length in [0, 1, HOUR, 20 * HOUR, DAY - 1, DAY, DAY + 1, 2 * DAY, 60 * HOUR] {
            let (from, to) = (MIDNIGHT + from, MIDNIGHT + from + length);
            let expected = times.iter().filter(|at| (from..to).contains(at)).count();
            let query = UsageQuery { from, to, ..UsageQuery::default() };
            assert_eq!(report(&store, query).await[0].requests, expected as i64, "{from} {length}");
        }
    }
}

async fn what_a_user_has_spent_is_known_from_any_moment_on(fixture: &Fixture) {
    let store = fixture.open().await;
    let rows = (0..72).flat_map(|hour| {
        [("ann", 1), ("bob", 1000)]
            .map(|(user, cost)| row(MIDNIGHT + hour * HOUR, user, "a.x", cost))
    });
    recorded(&store, rows).await;
    for (since, spent) in
        [(0, 72), (1, 71), (HOUR, 71), (DAY, 48), (DAY + 1, 47), (71 * HOUR, 1), (72 * HOUR, 0)]
    {
        assert_eq!(store.usage().spent("ann", MIDNIGHT + since).await.unwrap(), spent, "{since}");
    }
    assert_eq!(store.budget_spent("bob", MIDNIGHT).await.unwrap(), Some(72_000));
    assert_eq!(store.usage().spent("nobody", 0).await.unwrap(), 0);
}

async fn single_answers_are_forgotten_in_time_and_their_days_are_not(fixture: &Fixture) {
    let store = fixture.open().await;
    let old = (0..1200).map(|number| row(1000 + number, "ann", "a.x", 1));
    let today = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    recorded(&store, old.chain([row(today.as_millis() as i64, "ann", "a.x", 1)])).await;
    drop(store);
    // A store tidies when it is opened.
    let store = Store::open(&StoreSettings { usage_days: 30, ..fixture.settings() }).await.unwrap();
    let kept = format!("SELECT count(*) FROM {}usage", fixture.schema());
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while fixture.number(&kept).await != 1 {
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    let ever = UsageQuery { from: 0, to: i64::MAX / 2, ..UsageQuery::default() };
    assert_eq!(report(&store, ever).await[0].requests, 1201);
}

async fn no_text_that_a_client_sends_keeps_others_from_being_written(fixture: &Fixture) {
    let store = fixture.open().await;
    let odd = |text: &str| UsageRow {
        name: Some(text.into()),
        key: Some(text.into()),
        pipe: text.into(),
        via: Some(text.into()),
        task: Some(text.into()),
        tokens: Tokens { prompt: i64::MAX, completion: -1, ..Tokens::default() },
        cost: Some(i64::MAX),
        ..row(MIDNIGHT, text, text, 0)
    };
    let texts =
        ["a\0b", "'; DROP TABLE usage; --", "\u{feff}\\u0000", "\"", "{}"].map(String::from);
    // These texts do not compress, so no engine can make an index fit by packing.
    let long = (0..20_000u32)
        .map(|n| char::from_u32(0x4e00 + n.wrapping_mul(2_654_435_761) % 20_000).unwrap());
    let texts = texts.into_iter().chain(["é".repeat(9999), long.collect()]);
    recorded(&store, texts.map(|text| odd(&text)).chain([row(MIDNIGHT, "ann", "a.x", 1)])).await;
    let query = UsageQuery { by: UsageField::ALL.into(), ..days(0, 1) };
    let rows = report(&store, query).await;
    assert_eq!((rows.len(), store.usage().lost()), (8, 0));
    assert!(rows.iter().any(|row| row.user.as_deref() == Some("ab")));
    assert!(rows.iter().any(|row| row.user.as_deref() == Some("ann")));
}

async fn a_flush_leaves_nothing_unwritten(fixture: &Fixture) {
    let store = fixture.open().await;
    for turn in 1..=3 {
        recorded(&store, (0..700).map(|number| row(MIDNIGHT + number, "ann", "a.x", 1))).await;
        assert_eq!(report(&store, days(0, 1)).await[0].requests, turn * 700);
    }
    assert_eq!((store.usage().dropped(), store.usage().lost()), (0, 0));
}
