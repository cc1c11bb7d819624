//! A disk that is really full: a small one, mounted for the test where that is allowed.

use crate::{
    pipes::{Script, Typed},
    support::{Builder, TestHost},
};
use pipewright::slot::Registration;
use rate_limit::RateLimit;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::chown,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use store::testing::{Server, execute};
use tempfile::TempDir;

const PIPES: &[Registration] = &[
    Registration::for_pipe::<Typed>(),
    Registration::for_pipe::<Script>(),
    Registration::for_pipe::<RateLimit>(),
];

/// As whom a PostgreSQL runs that root starts.
const NOBODY: u32 = 65_534;

/// A small disk of the test's own.
struct Disk(TempDir);

impl Disk {
    /// A disk of this size; `None`, and a word why, where none may be mounted.
    #[expect(clippy::print_stderr, reason = "whoever tests is to see what was not tested")]
    fn of(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=0777");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "pipewright-test"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(mounted) if mounted.status.success() => Some(Self(folder)),
            Ok(mounted) => {
                let why = String::from_utf8_lossy(&mounted.stderr).trim().to_owned();
                eprintln!("Skipped: no disk can be mounted here ({why}).");
                None
            }
            Err(error) => {
                eprintln!("Skipped: no disk can be mounted here ({error}).");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes every byte that is left.
    fn fill(&self) {
        let mut file = File::create(self.path().join("others")).unwrap();
        let block = [0; 4096];
        let full = loop {
            if let Err(error) = file.write_all(&block) {
                break error;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    }

    fn make_room(&self) {
        fs::remove_file(self.path().join("others")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: what a host or a database still holds open goes with it.
        _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

async fn is_answered(host: &TestHost, times: usize) {
    for _ in 0..times {
        let answered = host.chat("script.whole", "hi").await;
        assert_eq!(answered.status, 200, "{}", answered.text);
    }
}

async fn degraded_parts(host: &TestHost) -> Value {
    host.get("/health/ready").await.json["degraded"].clone()
}

async fn requests(host: &TestHost) -> i64 {
    let report = host.get("/usage?by=model").await;
    assert_eq!(report.status, 200, "{}", report.text);
    let rows = report.json["rows"].as_array().unwrap();
    rows.iter().filter_map(|row| row["requests"].as_i64()).sum()
}

/// Asks until every answer is booked.
async fn wait_until_booked(host: &TestHost, answers: i64) {
    let begun = Instant::now();
    while requests(host).await != answers {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", requests(host).await);
    }
}

async fn is_refused(host: &TestHost, valves: &Value, why: &str) {
    let turned = host.update_valves("typed", valves).await;
    let said = format!("The valves were not saved, and nothing was changed: {why}");
    assert_eq!(turned.error_message(507), said);
}

#[actix_web::test]
async fn a_full_disk_stops_no_chat_and_when_there_is_room_again_nothing_is_missing() {
    let Some(disk) = Disk::of("2m") else { return };
    let folder = tempfile::tempdir_in(disk.path()).unwrap();
    let host = Builder::with_folder(folder).pipes(PIPES).start().await;
    assert_eq!(host.update_valves("typed", &json!({"prefix": "kept "})).await.status, 200);
    let limits = json!({"requests_per_day": 1000, "budget_per_day": 10});
    assert_eq!(host.update_valves("rate_limit", &limits).await.status, 200);
    is_answered(&host, 3).await;
    wait_until_booked(&host, 3).await;

    disk.fill();
    is_answered(&host, 30).await;
    assert_eq!(host.answer_text("typed", "hi").await, "kept hi");
    assert_eq!(degraded_parts(&host).await, json!(["store"]));
    is_refused(&host, &json!({"prefix": "lost "}), "the disk is full").await;
    let files = fs::read_dir(host.folder.path().join("typed")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["valves.json", "valves.json.bak"], "no draft is left");
    assert_eq!(host.valves("typed").await["prefix"], "kept ");
    assert!(requests(&host).await < 34, "the disk was not full");

    disk.make_room();
    wait_until_booked(&host, 34).await;
    is_answered(&host, 1).await;
    wait_until_booked(&host, 35).await;
    assert_eq!(degraded_parts(&host).await, json!([]));
    assert_eq!(host.update_valves("typed", &json!({"prefix": "new "})).await.status, 200);

    let host = Builder::with_folder(host.stop().await).pipes(PIPES).start().await;
    assert_eq!(host.answer_text("typed", "hi").await, "new hi");
    wait_until_booked(&host, 36).await;
}

#[actix_web::test]
async fn a_host_that_starts_on_a_full_disk_serves_with_what_was_saved() {
    let Some(disk) = Disk::of("2m") else { return };
    let folder = tempfile::tempdir_in(disk.path()).unwrap();
    let host = Builder::with_folder(folder).pipes(PIPES).start().await;
    assert_eq!(host.update_valves("typed", &json!({"prefix": "kept "})).await.status, 200);
    let folder = host.stop().await;
    disk.fill();
    let host = Builder::with_folder(folder).pipes(PIPES).start().await;
    assert_eq!(host.answer_text("typed", "hi").await, "kept hi");
    is_answered(&host, 3).await;
    is_refused(&host, &json!({"prefix": "lost "}), "the disk is full").await;
}

#[actix_web::test]
async fn a_full_disk_under_postgresql_stops_no_chat_and_takes_no_valve() {
    let Some(disk) = Disk::of("24m") else { return };
    // Its own, because it does not outlive its disk.
    let server = tokio::task::spawn_blocking(Server::durable).await.unwrap();
    let Some(server) = server else { return };
    let place = disk.path().join("tablespace");
    fs::create_dir(&place).unwrap();
    chown(&place, Some(NOBODY), Some(NOBODY)).unwrap();
    let url = server.database_in(&place).await.unwrap();
    let host = Builder::new().pipes(PIPES).database(&url).start().await;
    assert_eq!(host.update_valves("typed", &json!({"prefix": "kept "})).await.status, 200);
    is_answered(&host, 3).await;
    wait_until_booked(&host, 3).await;

    disk.fill();
    // These texts do not fit into the pages that are there, and cannot be packed.
    let long: String = (0..20_000).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect();
    is_refused(&host, &json!({"prefix": long}), "the database's disk is full").await;
    assert_eq!(degraded_parts(&host).await, json!(["store"]));
    assert_eq!(host.answer_text("typed", "hi").await, "kept hi");
    is_answered(&host, 200).await;

    disk.make_room();
    wait_until_booked(&host, 204).await;
    assert_eq!(host.update_valves("typed", &json!({"prefix": "new "})).await.status, 200);
    assert_eq!(host.answer_text("typed", "hi").await, "new hi");
    wait_until_booked(&host, 205).await;
    assert_eq!(execute(&url, "SELECT count(*) FROM pipewright.usage").await.unwrap(), Some(205));
}
