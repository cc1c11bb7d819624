//! Several hosts: one data folder is one host's, one PostgreSQL is everybody's.

use crate::{
    pipes::PIPES,
    support::{Builder, TestHost, TestResponse, host},
};
use serde_json::{Map, Value, json};
use std::{
    process::Command,
    time::{Duration, Instant},
};
use store::{
    StoreSettings,
    testing::{Proxy, Server},
};

/// The URL of a new database; `None` where there is no PostgreSQL (why stands in the output).
pub async fn database() -> Option<String> {
    let server = tokio::task::spawn_blocking(Server::shared).await.unwrap()?;
    Some(server.database().await.unwrap())
}

async fn start_replica(url: &str) -> TestHost {
    Builder::new().database(url).start().await
}

/// Asks until this is so, and says how long it took.
async fn poll_until(
    host: &TestHost,
    path: &str,
    is_so: impl Fn(&TestResponse) -> bool,
) -> Duration {
    let begun = Instant::now();
    loop {
        let answered = host.get(path).await;
        if is_so(&answered) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", answered.text);
    }
}

fn prefix(answered: &TestResponse) -> &Value {
    &answered.json["prefix"]
}

fn degraded_parts(answered: &TestResponse) -> Vec<&str> {
    answered.json["degraded"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

#[actix_web::test]
async fn a_valve_turned_on_one_replica_is_obeyed_by_the_other_within_a_second() {
    let Some(url) = database().await else { return };
    let (here, there) = (start_replica(&url).await, start_replica(&url).await);
    for (one, other, text) in [(&here, &there, "a "), (&there, &here, "b "), (&here, &there, "c ")]
    {
        let turned =
            one.update_valves("typed", &json!({"prefix": text, "api_key": "canary"})).await;
        assert_eq!(turned.status, 200, "{}", turned.text);
        let followed = poll_until(other, "/typed/valves", |valves| prefix(valves) == text).await;
        assert!(followed < Duration::from_secs(1), "{followed:?}");
        assert_eq!(other.answer_text("typed", "hi").await, format!("{text}hi"));
        assert_eq!(other.answer_text("typed", "valves").await, format!("{text}|6|30"));
    }
    // Whoever comes later has it from the start, and nothing was kept in files.
    let later = start_replica(&url).await;
    assert_eq!(later.answer_text("typed", "hi").await, "c hi");
    assert!(!here.folder.path().join("typed").exists());
}

#[actix_web::test]
async fn of_two_admins_at_two_replicas_neither_overwrites_the_other_unseen() {
    let Some(url) = database().await else { return };
    let (here, there) = (start_replica(&url).await, start_replica(&url).await);
    for number in 0..10 {
        let (mine, theirs) = (format!("here {number}"), format!("there {number}"));
        let (mine, theirs) = (json!({"prefix": mine}), json!({"prefix": theirs}));
        let (at_here, at_there) =
            tokio::join!(here.update_valves("typed", &mine), there.update_valves("typed", &theirs));
        let refused: Vec<_> =
            [&at_here, &at_there].into_iter().filter(|turned| turned.status != 200).collect();
        assert!(refused.len() < 2);
        for refused in refused {
            assert!(refused.error_message(409).contains("on another replica meanwhile"));
        }
        // Whoever lost comes to see what the other has saved.
        let begun = Instant::now();
        while here.valves("typed").await["prefix"] != there.valves("typed").await["prefix"] {
            assert!(begun.elapsed() < Duration::from_secs(20));
        }
    }
}

#[actix_web::test]
async fn a_database_that_is_away_at_boot_is_caught_up_with_when_it_is_back() {
    let Some(url) = database().await else { return };
    let before = start_replica(&url).await;
    assert_eq!(before.update_valves("typed", &json!({"prefix": "saved "})).await.status, 200);
    let proxy = Proxy::start(&url, false).await.unwrap();
    let builder = Builder::new().valves_file("[typed]\nprefix = 'file '\n");
    let host = builder.database(&proxy.url).start().await;
    assert_eq!(host.answer_text("typed", "hi").await, "file hi");
    let ready = host.get("/health/ready").await;
    assert_eq!(
        (ready.status, degraded_parts(&ready).len()),
        (200, PIPES.len() + 1),
        "{}",
        ready.text
    );
    assert!(degraded_parts(&ready).contains(&"store"));

    let turned = host.update_valves("typed", &json!({"prefix": "lost "})).await;
    assert!(turned.error_message(503).contains("nothing was changed: the database is away"));
    assert_eq!(host.post("/pipelines/reload", &json!({})).await.status, 503);
    assert_eq!(host.answer_text("typed", "hi").await, "file hi");

    proxy.reconnect();
    poll_until(&host, "/health/ready", |ready| degraded_parts(ready) == ["unwell"]).await;
    assert_eq!(host.answer_text("typed", "hi").await, "saved hi");
    assert_eq!(host.update_valves("typed", &json!({"prefix": "mine "})).await.status, 200);
}

#[actix_web::test]
async fn a_database_that_goes_away_takes_no_valve_with_it() {
    let Some(url) = database().await else { return };
    let proxy = Proxy::start(&url, true).await.unwrap();
    let (host, other) = (start_replica(&proxy.url).await, start_replica(&url).await);
    assert_eq!(host.update_valves("typed", &json!({"prefix": "saved "})).await.status, 200);
    poll_until(&other, "/typed/valves", |valves| prefix(valves) == "saved ").await;
    proxy.disconnect();
    poll_until(&host, "/health/ready", |ready| degraded_parts(ready).contains(&"store")).await;
    host.post("/pipelines/reload", &json!({})).await.error_message(503);
    host.update_valves("typed", &json!({"prefix": "lost "})).await.error_message(503);
    assert_eq!(host.answer_text("typed", "hi").await, "saved hi");
    assert_eq!(other.update_valves("typed", &json!({"prefix": "missed "})).await.status, 200);
    proxy.reconnect();
    poll_until(&host, "/typed/valves", |valves| prefix(valves) == "missed ").await;
    assert_eq!(host.answer_text("typed", "hi").await, "missed hi");
}

#[actix_web::test]
async fn what_one_replica_cannot_use_leaves_its_pipe_running_and_is_shown() {
    let Some(url) = database().await else { return };
    let host = start_replica(&url).await;
    assert_eq!(host.update_valves("typed", &json!({"prefix": "good "})).await.status, 200);
    let settings = StoreSettings { database_url: Some(url), ..StoreSettings::default() };
    let store = store::Store::open(&settings).await.unwrap();
    let valves = store.saved_valves().unwrap();
    let (_, version) = valves.load("typed").await.unwrap().unwrap();
    let other = Map::from_iter([("prefix".to_owned(), json!("unbuildable"))]);
    valves.save("typed", &other, Some(version)).await.unwrap();
    poll_until(&host, "/health/ready", |ready| degraded_parts(ready).contains(&"typed")).await;
    assert_eq!(host.answer_text("typed", "hi").await, "good hi");
    assert_eq!(host.valves("typed").await["prefix"], "unbuildable");
    assert_eq!(host.update_valves("typed", &json!({"prefix": "mended "})).await.status, 200);
    assert_eq!(degraded_parts(&host.get("/health/ready").await), ["unwell"]);
    assert_eq!(host.answer_text("typed", "hi").await, "mended hi");
}

#[actix_web::test]
async fn whoever_moves_to_a_database_keeps_their_valves() {
    let Some(url) = database().await else { return };
    let alone = host().await;
    assert_eq!(
        alone.update_valves("typed", &json!({"prefix": "moved ", "api_key": "k"})).await.status,
        200
    );
    let folder = alone.stop().await;
    let shared = Builder::with_folder(folder).database(&url).start().await;
    assert_eq!(shared.answer_text("typed", "valves").await, "moved |1|30");
    // From now on the database counts, whatever stands in the file.
    assert_eq!(
        shared.update_valves("typed", &json!({"prefix": null, "api_key": null})).await.status,
        200
    );
    let again = Builder::with_folder(shared.stop().await).database(&url).start().await;
    assert_eq!(again.answer_text("typed", "hi").await, "typed: hi");
}

#[actix_web::test]
async fn a_second_host_on_a_data_folder_is_refused_in_a_sentence() {
    let first = host().await;
    let second = Command::new(env!("CARGO_BIN_EXE_pipewright"))
        .args(["--host", "127.0.0.1", "--port", "0", "--pipelines-dir"])
        .arg(first.folder.path())
        .output();
    let second = second.unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    assert!(said.contains("is used by another host: give each its own (PIPELINES_DIR)"), "{said}");
    assert_eq!(first.get("/health/ready").await.status, 200);
    let folder = first.stop().await;
    Builder::with_folder(folder).start().await;
}
