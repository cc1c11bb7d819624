//! The embedded engine's file: whose it is, and what becomes of it.

use crate::fixture::Fixture;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use store::{
    Charge, DirectoryLock, Refusal, Store, StoreError, StoreSettings, UsageQuery, UsageRow,
};

fn one() -> [Charge; 1] {
    [Charge::sliding("a", Duration::from_secs(3600), 1, 1)]
}

fn ever() -> UsageQuery {
    UsageQuery { to: i64::MAX / 2, ..UsageQuery::default() }
}

#[tokio::test]
async fn the_file_is_its_owners_alone() {
    let fixture = Fixture::sqlite();
    fs::write(fixture.folder.path().join("store.db"), "").unwrap();
    let store = fixture.open().await;
    store.limits().admit(&one()).await.unwrap();
    for entry in fs::read_dir(fixture.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
    }
}

#[tokio::test]
async fn a_second_host_on_the_folder_is_refused_until_the_first_ends() {
    let fixture = Fixture::sqlite();
    let first = DirectoryLock::acquire(fixture.folder.path()).await.unwrap();
    let refused = DirectoryLock::acquire(fixture.folder.path()).await.unwrap_err();
    assert!(matches!(&refused, StoreError::DirectoryInUse(_)), "{refused}");
    assert!(refused.to_string().contains("DATABASE_URL"), "{refused}");
    drop(first);
    DirectoryLock::acquire(fixture.folder.path()).await.unwrap();
}

#[tokio::test]
async fn a_corrupt_file_is_moved_aside_and_a_new_one_takes_its_place() {
    for corrupt in ["nonsense", "SQLite format 3\0 and nonsense", &"x".repeat(10_000)] {
        let fixture = Fixture::sqlite();
        let path = fixture.folder.path().join("store.db");
        fs::write(&path, corrupt).unwrap();
        let store = fixture.open().await;
        let trouble = store.health_problem().unwrap();
        assert!(trouble.contains("store.db.corrupt"), "{trouble}");
        let aside = fixture.folder.path().join("store.db.corrupt");
        assert_eq!(fs::read_to_string(aside).unwrap(), corrupt);
        store.limits().admit(&one()).await.unwrap();
        drop(store);
        let store = fixture.open().await;
        assert_eq!(store.health_problem(), None);
        assert!(matches!(store.limits().admit(&one()).await, Err(Refusal::Exceeded(_))));
    }
}

#[tokio::test]
async fn a_file_that_breaks_while_it_is_used_is_replaced_and_usage_goes_on() {
    let fixture = Fixture::sqlite();
    let rows = (0..5000).map(|at| UsageRow { at, model: format!("m{at}"), ..UsageRow::default() });
    let store = fixture.open().await;
    rows.for_each(|row| store.usage().record(row));
    assert!(store.usage().flush(Duration::from_secs(20)).await);
    drop(store);
    fixture.sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let page =
        fixture.number("SELECT rootpage FROM sqlite_schema WHERE name = 'usage_by_user'").await;
    let path = fixture.folder.path().join("store.db");
    let mut pages = fs::read(&path).unwrap();
    pages[(page as usize - 1) * 4096..][..4096].fill(0x5a);
    fs::write(&path, pages).unwrap();
    let store = fixture.open().await;
    assert_eq!(store.health_problem(), None, "nobody has looked at that page yet");
    store.usage().record(UsageRow::default());
    assert!(store.usage().flush(Duration::from_secs(20)).await);
    assert!(store.health_problem().unwrap().contains("store.db.corrupt"));
    assert_eq!(store.usage().report(ever()).await.unwrap()[0].requests, 1);
    assert_eq!(store.usage().lost(), 0);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_is_replaced_by_memory() {
    let fixture = Fixture::sqlite();
    // A file in the folder's place: even root cannot write into it.
    let mut settings = fixture.settings();
    settings.folder.push("file");
    fs::write(&settings.folder, "").unwrap();
    let store = Store::open(&settings).await.unwrap();
    assert!(store.health_problem().unwrap().contains("memory"));
    store.limits().admit(&one()).await.unwrap();
    assert!(matches!(store.limits().admit(&one()).await, Err(Refusal::Exceeded(_))));
    store.usage().record(UsageRow::default());
    assert!(store.usage().flush(Duration::from_secs(20)).await);
    assert_eq!(store.usage().report(ever()).await.unwrap()[0].requests, 1);
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_refused_and_left_alone() {
    let fixture = Fixture::sqlite();
    drop(fixture.open().await);
    fixture.sql("PRAGMA user_version = 4711").await;
    let Err(refused) = Store::open(&fixture.settings()).await else {
        panic!("it was opened");
    };
    assert!(matches!(refused, StoreError::NewerSchema { found: 4711, .. }), "{refused}");
    assert_eq!(fixture.number("PRAGMA user_version").await, 4711);
}

#[tokio::test]
async fn a_wall_clock_that_was_set_back_between_two_runs_locks_nobody_out() {
    let fixture = Fixture::sqlite();
    fixture.open().await.limits().admit(&one()).await.unwrap();
    // As if the last run had been a day ahead.
    fixture.sql("UPDATE limit_hit SET at = at + 86400000; UPDATE limit_window SET tail = tail + 86400000, asked = asked + 86400000").await;
    let store = fixture.open().await;
    let Err(Refusal::Exceeded(exceeded)) = store.limits().admit(&one()).await else {
        panic!("the hit is forgotten");
    };
    assert!(exceeded.retry_after.unwrap() <= Duration::from_secs(3600));
    fixture.pass(Duration::from_secs(3600)).await;
    store.limits().admit(&one()).await.unwrap();
}

#[tokio::test]
async fn what_no_window_looks_at_is_swept_away() {
    let fixture = Fixture::sqlite();
    fixture.open().await.limits().admit(&one()).await.unwrap();
    fixture.pass(Duration::from_secs(2 * 86_400)).await;
    let _store = fixture.open().await;
    let left = "SELECT (SELECT count(*) FROM limit_hit) + (SELECT count(*) FROM limit_window)";
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while fixture.number(left).await != 0 {
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

/// Not a test: what the next one kills.
#[tokio::test]
#[ignore = "runs for ever, as the process that is killed"]
async fn records_until_killed() {
    let Some(folder) = std::env::var_os("RECORDS_INTO") else { return };
    let settings = StoreSettings { folder: folder.into(), ..StoreSettings::default() };
    let store = Store::open(&settings).await.unwrap();
    let mut every = tokio::time::interval(Duration::from_millis(1));
    for number in 0.. {
        every.tick().await;
        store.usage().record(UsageRow::default());
        if number == 3000 {
            // Three seconds' worth.
            std::io::stderr().write_all(b"recorded\n").unwrap();
        }
    }
}

#[tokio::test]
async fn a_killed_process_loses_no_more_than_its_last_second() {
    let fixture = Fixture::sqlite();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "file::records_until_killed", "--ignored", "--nocapture"])
        .env("RECORDS_INTO", fixture.folder.path())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let told = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(told.map_while(Result::ok).any(|line| line == "recorded"));
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(Path::new(fixture.folder.path()).join("store.db").exists());
    let store = fixture.open().await;
    assert_eq!(store.health_problem(), None);
    let kept = store.usage().report(ever()).await.unwrap()[0].requests;
    assert!(kept >= 2000, "{kept} of 3000");
}
