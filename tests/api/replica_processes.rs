//! Two binaries on one PostgreSQL, as they are deployed.

use crate::{
    process::{KEY, MODEL, Process},
    replicas::database,
    support::TestResponse,
};
use bedrock_emulator::{DEMO_KEY, Emulator, EmulatorOptions};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::{
    process::{Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use store::testing::Proxy;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

/// The time in which the second binary has to follow the first.
const SOON: Duration = Duration::from_secs(1);
const A_WHILE: Duration = Duration::from_secs(20);

/// A binary on this database, with a data folder of its own.
struct Replica {
    process: Process,
    folder: TempDir,
}

impl Replica {
    async fn start(bedrock: &Arc<Emulator>, url: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), bedrock, url).await
    }

    async fn start_in(folder: TempDir, bedrock: &Arc<Emulator>, url: &str) -> Self {
        let (bedrock, url) = (Arc::clone(bedrock), url.to_owned());
        let started = move || {
            let (id, secret) = DEMO_KEY;
            let variables = [
                ("BEDROCK_MODELS_AWS_ACCESS_KEY_ID", id),
                ("BEDROCK_MODELS_AWS_SECRET_ACCESS_KEY", secret),
                ("DATABASE_URL", &url),
            ];
            let process = Process::start_as(&variables, &bedrock, folder.path(), &[]);
            Self { process, folder }
        };
        // The way to its database goes through this thread.
        spawn_blocking(started).await.unwrap()
    }

    async fn get(&self, path: &str) -> TestResponse {
        let request = self.process.client.get(format!("{}{path}", self.process.url));
        TestResponse::read(request.bearer_auth(KEY).send().await.unwrap()).await
    }

    async fn update_valves(&self, pipe: &str, valves: &Value) -> TestResponse {
        let path = format!("/{pipe}/valves/update");
        TestResponse::read(self.process.post(&path, valves).await).await
    }

    async fn ask(&self, user: &str) -> TestResponse {
        let body = json!({
            "model": MODEL,
            "user": {"id": user},
            "messages": [{"role": "user", "content": "hi"}],
        });
        TestResponse::read(self.process.post("/chat/completions", &body).await).await
    }

    /// Asks until this is so, and says how long it took.
    async fn poll_until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Duration {
        let begun = Instant::now();
        loop {
            let answered = self.get(path).await;
            if is_so(&answered.json) {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < A_WHILE, "{}", answered.text);
        }
    }
}

fn bedrock() -> Arc<Emulator> {
    Arc::new(Emulator::start(EmulatorOptions::default()).unwrap())
}

/// Limits of everybody's, for all models.
fn limit_valves(requests_per_minute: u32) -> Value {
    json!({"requests_per_minute": requests_per_minute})
}

fn is_limited(valves: &Value, requests_per_minute: u32) -> bool {
    valves["requests_per_minute"] == requests_per_minute
}

/// Returns the output of a binary that does not start.
fn failed_start(url: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_pipewright"))
        .args(["--host", "127.0.0.1", "--port", "0"])
        .current_dir(folder.path())
        .env("DATABASE_URL", url)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[actix_web::test]
async fn a_limit_of_ten_is_ten_over_both() {
    let Some(url) = database().await else { return };
    let bedrock = bedrock();
    let here = Replica::start(&bedrock, &url).await;
    let there = Replica::start(&bedrock, &url).await;
    assert_eq!(here.update_valves("rate_limit", &limit_valves(10)).await.status, 200);
    let followed = there.poll_until("/rate_limit/valves", |valves| is_limited(valves, 10)).await;
    assert!(followed < SOON, "{followed:?}");

    // All at once, and to both.
    let asked = (0..40).map(|number| if number % 2 == 0 { &here } else { &there }.ask("ann"));
    let answers = join_all(asked).await;
    let passed = answers.iter().filter(|answered| answered.status == 200).count();
    assert_eq!(passed, 10);
    for refused in answers.iter().filter(|answered| answered.status != 200) {
        assert!(
            refused.error_message(429).starts_with("The limit of 10 requests a minute is reached")
        );
        assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 60);
    }
    // Somebody else's ten are their own, and one after the other they are ten too.
    for number in 0..10 {
        let replica = if number % 2 == 0 { &here } else { &there };
        assert_eq!(replica.ask("bob").await.status, 200);
    }
    here.ask("bob").await.error_message(429);
    there.ask("bob").await.error_message(429);
}

#[actix_web::test]
async fn a_limit_that_is_lifted_on_one_is_lifted_on_the_other_within_a_second() {
    let Some(url) = database().await else { return };
    let bedrock = bedrock();
    let here = Replica::start(&bedrock, &url).await;
    let there = Replica::start(&bedrock, &url).await;
    assert_eq!(here.update_valves("rate_limit", &limit_valves(1)).await.status, 200);
    there.poll_until("/rate_limit/valves", |valves| is_limited(valves, 1)).await;
    assert_eq!(here.ask("ann").await.status, 200);
    there.ask("ann").await.error_message(429);
    let turned = Instant::now();
    assert_eq!(here.update_valves("rate_limit", &limit_valves(1000)).await.status, 200);
    while there.ask("ann").await.status != 200 {
        assert!(turned.elapsed() < SOON, "{:?}", turned.elapsed());
    }
}

#[actix_web::test]
async fn what_was_turned_survives_a_host_that_is_killed() {
    let Some(url) = database().await else { return };
    let bedrock = bedrock();
    let mut folder = tempfile::tempdir().unwrap();
    for number in 1..=5 {
        let host = Replica::start_in(folder, &bedrock, &url).await;
        assert_eq!(host.update_valves("rate_limit", &limit_valves(number)).await.status, 200);
        // At once after the answer.
        host.process.signal("-KILL");
        host.process.wait_for_exit().await;
        let other = Replica::start(&bedrock, &url).await;
        let valves = other.get("/rate_limit/valves").await.json;
        assert!(is_limited(&valves, number), "{valves}");
        folder = host.folder;
    }
}

#[actix_web::test]
async fn a_database_that_is_lost_is_told_of_once_and_takes_no_valve_with_it() {
    let Some(url) = database().await else { return };
    let bedrock = bedrock();
    let proxy = Proxy::start(&url, true).await.unwrap();
    let host = Replica::start(&bedrock, &proxy.url).await;
    assert_eq!(host.update_valves("rate_limit", &limit_valves(1000)).await.status, 200);
    proxy.disconnect();
    host.poll_until("/health/ready", |ready| ready["degraded"] == json!(["store"])).await;
    let turned = host.update_valves("rate_limit", &limit_valves(2000)).await;
    assert!(turned.error_message(503).contains("nothing was changed: the database is away"));
    assert!(is_limited(&host.get("/rate_limit/valves").await.json, 1000));
    assert_eq!(host.ask("ann").await.status, 200, "a chat is worth more than a count");
    proxy.reconnect();
    host.poll_until("/health/ready", |ready| ready["degraded"] == json!([])).await;
    assert!(is_limited(&host.get("/rate_limit/valves").await.json, 1000));
    assert_eq!(host.update_valves("rate_limit", &limit_valves(2000)).await.status, 200);
    host.process.signal("-TERM");
    let log = host.process.log().await;
    assert_eq!(log.matches("cannot be received").count(), 1, "{log}");
}

#[actix_web::test]
async fn a_host_that_starts_without_its_database_says_so_once_and_loses_no_valve() {
    let Some(url) = database().await else { return };
    let bedrock = bedrock();
    let before = Replica::start(&bedrock, &url).await;
    assert_eq!(before.update_valves("rate_limit", &limit_valves(1000)).await.status, 200);
    let proxy = Proxy::start(&url, false).await.unwrap();
    let host = Replica::start(&bedrock, &proxy.url).await;
    assert_eq!(host.ask("ann").await.status, 200);
    proxy.reconnect();
    host.poll_until("/rate_limit/valves", |valves| is_limited(valves, 1000)).await;
    host.process.signal("-TERM");
    let log = host.process.log().await;
    let said = |words| log.matches(words).count();
    assert_eq!(said("starts without what is saved in the database"), 1, "{log}");
    assert_eq!(said("The saved valves of"), 0, "not by every pipe again: {log}");
}

#[actix_web::test]
async fn a_wrong_password_keeps_a_host_from_starting_in_one_sentence() {
    let Some(url) = database().await else { return };
    let (_, server) = url.split_once('@').unwrap();
    let wrong = failed_start(&format!("postgres://postgres:canary@{server}"));
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(!wrong.status.success());
    assert!(said.contains("look at DATABASE_URL: password authentication failed"), "{said}");
    assert!(said.lines().count() == 1 && !said.contains("canary"), "{said}");
}

#[actix_web::test]
async fn replicas_take_turns_in_one_conversation_and_one_is_killed() {
    let Some(url) = database().await else { return };
    let bedrock = bedrock();
    let there = Replica::start(&bedrock, &url).await;
    let models = json!({"models": MODEL});
    assert_eq!(there.update_valves("conversation", &models).await.status, 200);
    let mut folder = tempfile::tempdir().unwrap();
    // As many as the window keeps.
    for turn in 0..5 {
        let here = Replica::start_in(folder, &bedrock, &url).await;
        let text = format!("question {turn}");
        let body = json!({
            "model": format!("conversation.{MODEL}"), "conversation_id": "c", "user": {"id": "ann"},
            "stream": turn % 4 < 2, "messages": [{"role": "user", "content": text}],
        });
        let replica = if turn % 2 == 0 { &here } else { &there };
        let answered =
            TestResponse::read(replica.process.post("/chat/completions", &body).await).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        // At once after the answer.
        here.process.signal("-KILL");
        here.process.wait_for_exit().await;
        folder = here.folder;
        let shown = there.get("/conversations/c?user=ann").await;
        let messages = shown.json["messages"].as_array().unwrap();
        let questions: Vec<_> = messages.iter().filter(|one| one["role"] == "user").collect();
        assert_eq!(questions.len(), turn + 1, "{}", shown.text);
        assert_eq!(messages.len(), 2 * (turn + 1), "each with its answer: {}", shown.text);
        assert_eq!(questions[turn]["content"], text);
    }
    let has_all = |body: &[u8]| {
        let body = String::from_utf8_lossy(body);
        (0..5).all(|turn| body.contains(&format!("question {turn}")))
    };
    let requests = bedrock.requests();
    let last = requests.iter().filter(|request| has_all(&request.body)).count();
    assert_eq!(last, 1, "the fifth turn is sent with the four before it");
}
