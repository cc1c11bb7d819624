//! The behaviour of PostgreSQL alone: it is shared, it goes away and comes back, and it stores
//! valves.

use crate::fixture::Fixture;
use futures_util::{StreamExt, stream::BoxStream};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Map, Value, json};
use std::{
    fs,
    time::{Duration, Instant},
};
use store::{
    Charge, OutagePolicy, Refusal, SaveError, SavedValves, Store, StoreError, StoreSettings,
    UsageQuery, UsageRow, WatchEvent,
    testing::{Proxy, Server, execute},
};
use tokio::time::timeout;

/// Ends the test where there is no PostgreSQL, and prints the reason.
macro_rules! postgres_or_return {
    () => {
        match Fixture::postgres().await {
            Some(fixture) => fixture,
            None => return,
        }
    };
}

const A_WHILE: Duration = Duration::from_secs(20);

fn values(prefix: &str) -> Map<String, Value> {
    Map::from_iter([("prefix".to_owned(), json!(prefix)), ("api_key".to_owned(), json!("canary"))])
}

fn one() -> [Charge; 1] {
    [Charge::sliding("a", Duration::from_secs(3600), 1, 1)]
}

async fn next(events: &mut BoxStream<'static, WatchEvent>) -> WatchEvent {
    timeout(A_WHILE, events.next()).await.unwrap().unwrap()
}

fn turned(pipe: &str) -> WatchEvent {
    WatchEvent::Changed(pipe.into())
}

fn valves(store: &Store) -> &SavedValves {
    store.saved_valves().unwrap()
}

#[tokio::test]
async fn saved_valves_are_loaded_as_they_were_saved_and_each_save_has_its_version() {
    let fixture = postgres_or_return!();
    let store = fixture.open().await;
    assert_eq!(valves(&store).load("echo").await.unwrap(), None);
    let first = valves(&store).save("echo", &values("a"), None).await.unwrap();
    assert_eq!(valves(&store).load("echo").await.unwrap(), Some((values("a"), first)));
    let second = valves(&store).save("echo", &values("b"), Some(first)).await.unwrap();
    assert_eq!(valves(&store).load("echo").await.unwrap(), Some((values("b"), second)));
    assert_eq!(valves(&store).load("other").await.unwrap(), None);
    valves(&store).save("other", &values("c"), None).await.unwrap();
    valves(&store).delete("echo").await.unwrap();
    valves(&store).delete("echo").await.unwrap();
    assert_eq!(valves(&store).load("echo").await.unwrap(), None);
    assert!(valves(&store).load("other").await.unwrap().is_some());
    let third = valves(&store).save("echo", &values("a"), None).await.unwrap();
    assert!(first < second && second < third);
}

#[tokio::test]
async fn of_two_saves_over_the_same_version_one_is_refused() {
    let fixture = postgres_or_return!();
    let (here, there) = (fixture.open().await, fixture.open().await);
    let first = valves(&here).save("echo", &values("a"), None).await.unwrap();
    assert_eq!(valves(&there).save("echo", &values("b"), None).await, Err(SaveError::Conflict));
    let (mine, theirs) = (values("c"), values("d"));
    let (mine, theirs) = tokio::join!(
        valves(&here).save("echo", &mine, Some(first)),
        valves(&there).save("echo", &theirs, Some(first)),
    );
    assert!(mine.is_ok() != theirs.is_ok(), "{mine:?} {theirs:?}");
}

#[tokio::test]
async fn a_save_on_one_replica_reaches_the_other_within_a_second() {
    let fixture = postgres_or_return!();
    let (here, there) = (fixture.open().await, fixture.open().await);
    let before = valves(&here).save("before", &values("a"), None).await.unwrap();
    let mut events = valves(&there).watch();
    assert_eq!(next(&mut events).await, WatchEvent::Connected);
    assert_eq!(next(&mut events).await, turned("before"));
    for (pipe, version) in [("echo", None), ("before", Some(before))] {
        let saved = Instant::now();
        valves(&here).save(pipe, &values("b"), version).await.unwrap();
        assert_eq!(next(&mut events).await, turned(pipe));
        assert!(saved.elapsed() < Duration::from_secs(1), "{:?}", saved.elapsed());
    }
    valves(&there).delete("echo").await.unwrap();
    assert_eq!(next(&mut events).await, turned("echo"));
}

#[tokio::test]
async fn a_save_during_an_outage_is_received_afterwards() {
    let fixture = postgres_or_return!();
    let here = fixture.open().await;
    let proxy = Proxy::start(fixture.url.as_ref().unwrap(), true).await.unwrap();
    let settings = StoreSettings { database_url: Some(proxy.url.clone()), ..fixture.settings() };
    let there = Store::open(&settings).await.unwrap();
    let known = valves(&here).save("known", &values("a"), None).await.unwrap();
    let same = valves(&here).save("same", &values("a"), None).await.unwrap();
    let mut events = valves(&there).watch();
    assert_eq!(next(&mut events).await, WatchEvent::Connected);
    assert_eq!(
        [next(&mut events).await, next(&mut events).await],
        [turned("known"), turned("same")]
    );
    proxy.disconnect();
    assert!(matches!(next(&mut events).await, WatchEvent::Disconnected(_)));
    assert!(there.health_problem().is_some());
    valves(&here).save("known", &values("b"), Some(known)).await.unwrap();
    valves(&here).save("new", &values("b"), None).await.unwrap();
    proxy.reconnect();
    assert_eq!(next(&mut events).await, WatchEvent::Connected);
    assert_eq!(
        [next(&mut events).await, next(&mut events).await],
        [turned("known"), turned("new")]
    );
    assert_eq!(there.health_problem(), None);
    // And it listens as before.
    valves(&here).save("same", &values("b"), Some(same)).await.unwrap();
    assert_eq!(next(&mut events).await, turned("same"));
}

#[tokio::test]
async fn a_database_that_is_away_at_first_is_used_as_soon_as_it_is_there() {
    let fixture = postgres_or_return!();
    let proxy = Proxy::start(fixture.url.as_ref().unwrap(), false).await.unwrap();
    let settings = StoreSettings { database_url: Some(proxy.url.clone()), ..fixture.settings() };
    let store = Store::open(&settings).await.unwrap();
    assert!(store.health_problem().unwrap().contains("away"), "{:?}", store.health_problem());
    let mut events = valves(&store).watch();
    assert!(matches!(next(&mut events).await, WatchEvent::Disconnected(_)));

    // Limits are open, and say so; saving fails; usage waits.
    for passed in 1..=3 {
        assert_eq!(store.limits().admit(&one()).await.unwrap().used, [0; 0]);
        assert_eq!(store.limits().unchecked_admissions(), passed);
    }
    assert_eq!(store.budget_spent("ann", 0).await, Ok(None));
    let unsaved = valves(&store).save("echo", &values("a"), None).await;
    assert!(matches!(unsaved, Err(SaveError::Failed(StoreError::Unavailable(_)))), "{unsaved:?}");
    store.usage().record(UsageRow { at: 1, ..UsageRow::default() });

    proxy.reconnect();
    assert_eq!(next(&mut events).await, WatchEvent::Connected);
    assert_eq!(store.health_problem(), None);
    assert_eq!(store.limits().admit(&one()).await.unwrap().used, [1]);
    assert!(store.usage().flush(A_WHILE).await);
    let all = UsageQuery { to: i64::MAX / 2, ..UsageQuery::default() };
    assert_eq!(store.usage().report(all).await.unwrap()[0].requests, 1);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_never_responds_delays_a_start_for_less_than_ten_seconds() {
    // The kernel takes connections, and nobody reads from them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let database_url = Some(format!("postgres://a:b@{}/c", silent.local_addr().unwrap()));
    let begun = tokio::time::Instant::now();
    let settings = StoreSettings { database_url, ..StoreSettings::default() };
    let store = Store::open(&settings).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(store.health_problem().unwrap(), "the database is away: it does not answer in time");
    let closed = StoreSettings { outage_policy: OutagePolicy::Closed, ..settings };
    let Err(refused) = Store::open(&closed).await else { panic!("it was opened") };
    assert_eq!(refused.to_string(), "the database is away: it does not answer in time");
}

#[tokio::test]
async fn limits_that_are_to_be_closed_admit_nothing_unchecked() {
    let fixture = postgres_or_return!();
    let proxy = Proxy::start(fixture.url.as_ref().unwrap(), true).await.unwrap();
    let settings = StoreSettings {
        database_url: Some(proxy.url.clone()),
        outage_policy: OutagePolicy::Closed,
        ..fixture.settings()
    };
    let store = Store::open(&settings).await.unwrap();
    assert_eq!(store.limits().admit(&one()).await.unwrap().used, [1]);
    proxy.disconnect();
    // A host that knows no limit does not start.
    assert!(matches!(Store::open(&settings).await, Err(StoreError::Unavailable(_))));
    let refused = store.limits().admit(&one()).await;
    assert!(matches!(refused, Err(Refusal::Unknown(_))), "{refused:?}");
    assert!(store.budget_spent("ann", 0).await.is_err());
    assert_eq!(store.limits().unchecked_admissions(), 0);
}

#[tokio::test]
async fn a_report_that_fails_neither_opens_nor_shuts_limits() {
    let fixture = postgres_or_return!();
    let settings = StoreSettings { outage_policy: OutagePolicy::Closed, ..fixture.settings() };
    let store = Store::open(&settings).await.unwrap();
    let limits = store.limits();
    assert_eq!(limits.admit(&one()).await.unwrap().used, [1]);
    fixture.sql("ALTER TABLE pipewright.usage_daily RENAME TO elsewhere").await;
    assert!(store.usage().report(UsageQuery::default()).await.is_err());
    let refused = limits.admit(&one()).await;
    assert!(matches!(refused, Err(Refusal::Exceeded(_))), "{refused:?}");
    assert_eq!(store.health_problem(), None);
}

#[tokio::test]
async fn usage_that_could_not_be_written_is_written_later_and_once() {
    let fixture = postgres_or_return!();
    let proxy = Proxy::start(fixture.url.as_ref().unwrap(), true).await.unwrap();
    let settings = StoreSettings { database_url: Some(proxy.url.clone()), ..fixture.settings() };
    let store = Store::open(&settings).await.unwrap();
    let all = UsageQuery { to: i64::MAX / 2, ..UsageQuery::default() };
    for turn in 1..=3 {
        // The connection breaks at any moment, also between writing and hearing of it.
        for at in 0..500 {
            store.usage().record(UsageRow { at, ..UsageRow::default() });
        }
        let flushed = store.usage().flush(A_WHILE);
        let breaking = async {
            proxy.disconnect();
            tokio::task::yield_now().await;
            proxy.reconnect();
        };
        assert!(tokio::join!(flushed, breaking).0);
        let rows = fixture.number("SELECT count(*) FROM pipewright.usage").await;
        assert_eq!(rows, turn * 500);
    }
    assert_eq!(fixture.open().await.usage().report(all).await.unwrap()[0].requests, 1500);
    assert_eq!((store.usage().dropped(), store.usage().lost()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_hosts_that_start_at_once_make_the_tables_once() {
    let fixture = postgres_or_return!();
    let stores = futures_util::future::join_all((0..8).map(|_| fixture.open())).await;
    for store in &stores {
        assert_eq!(store.health_problem(), None);
    }
    assert_eq!(fixture.number("SELECT version FROM pipewright.schema_version").await, 5);
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    let fixture = postgres_or_return!();
    drop(fixture.open().await);
    fixture.sql("UPDATE pipewright.schema_version SET version = 4711").await;
    let Err(refused) = Store::open(&fixture.settings()).await else { panic!("it was opened") };
    assert_eq!(refused, StoreError::NewerSchema { found: 4711, known: 5 });
    assert!(refused.to_string().contains("start the newer program"), "{refused}");
}

#[tokio::test]
async fn a_refused_login_is_reported_at_once_without_the_password() {
    let fixture = postgres_or_return!();
    drop(fixture.open().await);
    fixture.sql("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'canary'").await;
    let url = fixture.url.as_ref().unwrap();
    let (_, server) = url.split_once('@').unwrap();
    let (server_alone, _) = server.split_once('/').unwrap();
    for (url, said) in [
        (format!("postgres://postgres:canary@{server}"), "password"),
        (format!("postgres://guest:canary@{server}"), "permission denied"),
        (url.replace(server, &format!("{server_alone}/nowhere")), "\"nowhere\" does not exist"),
    ] {
        let settings = StoreSettings { database_url: Some(url), ..StoreSettings::default() };
        let Err(refused) = Store::open(&settings).await else { panic!("{said}: it was opened") };
        let refused = refused.to_string();
        assert!(refused.contains("DATABASE_URL") && refused.contains(said), "{refused}");
        assert!(!refused.contains("canary"), "{refused}");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_reports_it() {
    let fixture = postgres_or_return!();
    let store = fixture.open().await;
    let saved = valves(&store).save("echo", &values("a"), None).await.unwrap();
    // The error of PostgreSQL when its disk is full.
    fixture
        .sql(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$; \
             CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON pipewright.saved_valves \
             FOR EACH ROW EXECUTE FUNCTION full_disk(); \
             CREATE TRIGGER full_disk BEFORE INSERT ON pipewright.usage \
             FOR EACH ROW EXECUTE FUNCTION full_disk()",
        )
        .await;
    let unsaved = valves(&store).save("echo", &values("b"), Some(saved)).await;
    assert_eq!(unsaved, Err(SaveError::Failed(StoreError::DiskFull)));
    assert_eq!(store.health_problem().unwrap(), "the disk is full");
    store.usage().record(UsageRow::default());
    assert!(!store.usage().flush(Duration::from_millis(100)).await, "usage waits");

    fixture
        .sql(
            "DROP TRIGGER full_disk ON pipewright.saved_valves; \
             DROP TRIGGER full_disk ON pipewright.usage",
        )
        .await;
    assert!(store.usage().flush(A_WHILE).await);
    assert_eq!(fixture.number("SELECT count(*) FROM pipewright.usage").await, 1);
    assert_eq!(store.health_problem(), None);
    assert_eq!(valves(&store).load("echo").await.unwrap(), Some((values("a"), saved)));
}

#[tokio::test]
async fn an_address_that_cannot_be_so_is_refused_and_its_password_not_shown() {
    for (url, said) in [
        ("sqlite:///data/webui.db", "must begin with postgres://"),
        ("postgres://ann:canary@host/db?sslmode=sometimes", "`sslmode`"),
        ("postgres://ann:canary@host:canary/db", "is no URL"),
        ("postgres://ann:canary@host/db?canary2=1", "cannot be so"),
        ("postgres://ann:canary@host/db?sslmode=verify-full&sslrootcert=/nowhere", "`sslrootcert`"),
    ] {
        let settings = StoreSettings { database_url: Some(url.into()), ..StoreSettings::default() };
        let Err(refused) = Store::open(&settings).await else { panic!("{url} was taken") };
        let refused = refused.to_string();
        assert!(refused.starts_with("DATABASE_URL ") && refused.contains(said), "{refused}");
        assert!(!refused.contains("canary@") && !refused.contains(":canary"), "{refused}");
    }
}

#[tokio::test]
async fn sealed_valves_are_read_with_their_key_alone() {
    let fixture = postgres_or_return!();
    let with = |key: Option<&str>| StoreSettings {
        secret_key: key.map(str::to_owned),
        ..fixture.settings()
    };
    let key = "0123456789abcdef0123456789abcdef";
    let sealed = Store::open(&with(Some(key))).await.unwrap();
    valves(&sealed).save("echo", &values("a"), None).await.unwrap();
    let clear = "SELECT count(*) FROM pipewright.saved_valves WHERE content LIKE '%canary%'";
    assert_eq!(fixture.number(clear).await, 0);
    let again = Store::open(&with(Some(key))).await.unwrap();
    let (loaded, version) = valves(&again).load("echo").await.unwrap().unwrap();
    assert_eq!(loaded, values("a"));

    for (other, said) in [
        (None, "set the PIPEWRIGHT_SECRET_KEY"),
        (Some("another key, which is as long as the first"), "another PIPEWRIGHT_SECRET_KEY"),
    ] {
        let store = Store::open(&with(other)).await.unwrap();
        let unread = valves(&store).load("echo").await.unwrap_err();
        assert!(unread.to_string().contains(said), "{unread}");
    }
    // Moved to another pipe, it is of no use.
    fixture.sql("INSERT INTO pipewright.saved_valves (pipe, content, sealed) SELECT 'other', content, sealed FROM pipewright.saved_valves").await;
    assert!(valves(&sealed).load("other").await.is_err());
    // Values that were saved in clear before there was a key are read, and are encrypted when they
    // are saved again.
    let open = fixture.open().await;
    let first = valves(&open).save("clear", &values("a"), None).await.unwrap();
    assert_eq!(fixture.number(clear).await, 1);
    assert_eq!(valves(&sealed).load("clear").await.unwrap().unwrap().0, values("a"));
    valves(&sealed).save("clear", &values("a"), Some(first)).await.unwrap();
    assert_eq!(fixture.number(clear).await, 0);
    assert!(version > 0);

    let Err(refused) = Store::open(&with(Some("short"))).await else { panic!("it was taken") };
    assert!(refused.to_string().contains("32 random characters"), "{refused}");
}

/// A server with a certificate for `localhost` of an authority of its own; and that authority's
/// file.
fn with_certificate(folder: &std::path::Path) -> Option<(Server, String)> {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let roots = authority.self_signed(&key).unwrap();
    let authority = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&key, &authority).unwrap();
    fs::write(folder.join("server.crt"), server.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    let file = folder.join("root.crt");
    fs::write(&file, roots.pem()).unwrap();
    Some((Server::with_tls(folder)?, file.to_str().unwrap().to_owned()))
}

#[tokio::test]
async fn tls_is_as_strict_as_sslmode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let started = tokio::task::spawn_blocking(move || with_certificate(&path)).await.unwrap();
    let Some((server, roots)) = started else { return };
    let by_address = server.database().await.unwrap();
    let by_name = by_address.replace("127.0.0.1", "localhost");
    let rooted = |mode: &str| format!("?sslmode={mode}&sslrootcert={roots}");
    let cases = [
        (&by_address, String::new(), Some(true)),
        (&by_address, "?sslmode=disable".into(), Some(false)),
        (&by_address, "?sslmode=require".into(), Some(true)),
        (&by_address, "?sslmode=verify-ca".into(), None),
        (&by_address, rooted("verify-ca"), Some(true)),
        (&by_address, rooted("verify-full"), None),
        (&by_name, rooted("verify-full"), Some(true)),
        (&by_name, "?sslmode=verify-full".into(), None),
    ];
    for (number, (url, query, is_encrypted)) in cases.into_iter().enumerate() {
        let mark = if query.is_empty() { '?' } else { '&' };
        let database_url = Some(format!("{url}{query}{mark}application_name=case_{number}"));
        let settings = StoreSettings { database_url, ..StoreSettings::default() };
        // A machine without any certificate authority is an error at once.
        let store = Store::open(&settings).await;
        let is_away = store.as_ref().map_or(true, |store| store.health_problem().is_some());
        assert_eq!(is_away, is_encrypted.is_none(), "{query}");
        if let (Ok(store), Some(is_encrypted)) = (store, is_encrypted) {
            store.limits().used("a", Duration::from_secs(1)).await.unwrap();
            let ssl = format!(
                "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'case_{number}'"
            );
            let encrypted = execute(&by_address, &ssl).await.unwrap();
            assert_eq!(encrypted != Some(0), is_encrypted, "{query}");
        }
    }
}
