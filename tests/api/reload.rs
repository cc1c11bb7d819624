//! SIGHUP: valves and prices are read again, while answers go on.

use crate::process::{KEY, MODEL, Process};
use bedrock_emulator::{ANY, Emulator, EmulatorOptions, ModelAnswer, Script};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tokio::time::timeout;

fn emulator() -> Emulator {
    Emulator::start(EmulatorOptions::default()).unwrap()
}

async fn valve(host: &Process, name: &str) -> Value {
    let valves: Value = host.get("/bedrock_models/valves").await.json().await.unwrap();
    valves[name].clone()
}

/// Waits until the log has this so many times.
async fn until_logged(folder: &Path, words: &str, times: usize) {
    let is_there =
        || fs::read_to_string(folder.join("log")).unwrap().matches(words).count() >= times;
    while !is_there() {
        tokio::task::yield_now().await;
    }
}

fn write_valves(folder: &Path, text: &str) {
    // In one step, as editors and Kubernetes do.
    fs::write(folder.join("next.toml"), text).unwrap();
    fs::rename(folder.join("next.toml"), folder.join("valves.toml")).unwrap();
}

#[actix_web::test]
async fn sighup_reads_valves_prices_and_secrets_again_and_cuts_no_answer() {
    let (emulator, folder) = (emulator(), tempfile::tempdir().unwrap());
    let path = folder.path();
    write_valves(path, "[bedrock_models]\nidle_timeout_seconds = 101\n");
    fs::write(path.join("secret"), "first").unwrap();
    fs::write(path.join("prices.toml"), "").unwrap();
    let (id, secret) = bedrock_emulator::DEMO_KEY;
    let variables = [
        ("BEDROCK_MODELS_AWS_ACCESS_KEY_ID", id),
        ("BEDROCK_MODELS_AWS_SECRET_ACCESS_KEY", secret),
        ("OPENAI_PROXY_IDLE_TIMEOUT_SECONDS_FILE", "seconds"),
        ("PRICES_FILE", "prices.toml"),
    ];
    fs::write(path.join("seconds"), "201").unwrap();
    let host = Process::start_as(&variables, &emulator, path, &[]);
    let words: Vec<_> = (0..40).map(|n| format!("w{n} ")).collect();
    emulator
        .script(ANY, Script::answer(ModelAnswer::with_text(words)).pace(Duration::from_millis(20)));
    let mut answer = host.chat().await;
    let mut text = String::from_utf8(answer.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert_eq!(valve(&host, "idle_timeout_seconds").await, 101);

    write_valves(path, "[bedrock_models]\nidle_timeout_seconds = 102\n");
    fs::write(path.join("seconds"), "202").unwrap();
    fs::write(
        path.join("prices.toml"),
        format!(
            "[bedrock_models]\n\"{}\" = {{ input = 1e6, output = 1e6 }}",
            MODEL.split_once('.').unwrap().1
        ),
    )
    .unwrap();
    host.signal("-HUP");
    until_logged(path, "Reloaded.", 1).await;
    assert_eq!(valve(&host, "idle_timeout_seconds").await, 102);
    let proxy: Value = host.get("/openai_proxy/valves").await.json().await.unwrap();
    assert_eq!(proxy["idle_timeout_seconds"], 202);
    while let Some(chunk) = answer.chunk().await.unwrap() {
        text += std::str::from_utf8(&chunk).unwrap();
    }
    assert!(text.contains("w39") && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(!text.contains("error"), "{text}");
    host.chat().await.text().await.unwrap();
    let metrics = host.get("/metrics").await.text().await.unwrap();
    let cost = metrics.lines().find(|line| line.starts_with("pipewright_cost_usd_total{")).unwrap();
    let dollars: f64 = cost.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(dollars > 1.0, "a token costs a dollar now: {cost}");
    host.signal("-TERM");
    assert_eq!(host.wait_for_exit().await.code(), Some(0));
}

#[actix_web::test]
async fn a_file_that_cannot_be_used_changes_nothing_and_is_told() {
    let (emulator, folder) = (emulator(), tempfile::tempdir().unwrap());
    let path = folder.path();
    write_valves(path, "[bedrock_models]\nidle_timeout_seconds = 101\n");
    let host = Process::start(&emulator, path, &[]);
    let mut reloads = 0;
    for broken in
        ["[bedrock_models\n", "[bedrock_models]\nidle_timeout_seconds = \"canary\"\n", "\u{0}"]
    {
        write_valves(path, broken);
        host.signal("-HUP");
        reloads += 1;
        until_logged(path, "`bedrock_models` was not reloaded", reloads).await;
        assert_eq!(valve(&host, "idle_timeout_seconds").await, 101);
        assert_eq!(host.chat().await.status(), 200);
    }
    fs::remove_file(path.join("valves.toml")).unwrap();
    mknodat(CWD, path.join("valves.toml"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    host.signal("-HUP");
    until_logged(path, "it is not a regular file", 1).await;
    assert_eq!(host.chat().await.status(), 200);
    fs::remove_file(path.join("valves.toml")).unwrap();
    write_valves(path, "[bedrock_models]\nidle_timeout_seconds = 103\n");
    host.signal("-HUP");
    until_logged(path, "Reloaded.", 1).await;
    assert_eq!(valve(&host, "idle_timeout_seconds").await, 103);
    host.signal("-TERM");
    assert!(!host.log().await.contains("canary"));
}

#[actix_web::test]
async fn a_storm_of_sighups_fails_no_chat_and_does_not_keep_the_host_from_stopping() {
    let (emulator, folder) = (emulator(), tempfile::tempdir().unwrap());
    let host = Process::start(&emulator, folder.path(), &[]);
    let chats = async {
        for _ in 0..40 {
            let answer = host.chat().await;
            assert_eq!(answer.status(), 200);
            let text = answer.text().await.unwrap();
            assert!(text.ends_with("data: [DONE]\n\n") && !text.contains("\"error\""), "{text}");
        }
    };
    let storm = async {
        loop {
            host.signal("-HUP");
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = chats => {}
        () = storm => {}
    }
    for _ in 0..20 {
        host.signal("-HUP");
    }
    host.signal("-TERM");
    host.signal("-HUP");
    assert_eq!(
        timeout(Duration::from_secs(20), host.wait_for_exit()).await.unwrap().code(),
        Some(0)
    );
}

/// Returns the exit code and the output of a host in whose working directory this file is a FIFO.
fn ended_with_fifo(name: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join(name);
    fs::create_dir_all(fifo.parent().unwrap()).unwrap();
    mknodat(CWD, fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_pipewright"))
        .args(["--host", "127.0.0.1", "--port", "0"])
        .current_dir(folder.path())
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_fifo_as_a_file_of_settings_is_refused_at_once() {
    for (name, variables) in
        [(".env", &[][..]), ("prices.toml", &[("PRICES_FILE", "prices.toml")][..])]
    {
        let (code, error) = ended_with_fifo(name, variables);
        assert_eq!(code, Some(1), "{name}: {error}");
        assert!(error.contains("it is not a regular file") && error.contains(name), "{error}");
    }
}

#[actix_web::test]
async fn a_fifo_as_a_file_of_valves_is_told_and_holds_nothing() {
    for name in ["valves.toml", "secret", "pipelines/bedrock_models/valves.json"] {
        let (emulator, folder) = (emulator(), tempfile::tempdir().unwrap());
        let fifo = folder.path().join(name);
        fs::create_dir_all(fifo.parent().unwrap()).unwrap();
        mknodat(CWD, fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let secret = [("BEDROCK_MODELS_BEDROCK_API_KEY_FILE", "secret")];
        let variables = if name == "secret" { &secret[..] } else { &[] };
        let host = Process::start_as(variables, &emulator, folder.path(), &[]);
        let ready = format!("{}/health/ready", host.url);
        let ready: Value =
            host.client.get(ready).bearer_auth(KEY).send().await.unwrap().json().await.unwrap();
        let degraded = ready["degraded"].as_array().unwrap();
        assert!(degraded.contains(&json!("bedrock_models")), "{name}: {ready}");
        host.signal("-TERM");
        assert!(host.log().await.contains("it is not a regular file"), "{name}");
    }
}
