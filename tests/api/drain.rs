//! Leaving in order, and being killed out of it.

use crate::process::Process;
use bedrock_emulator::{ANY, Emulator, EmulatorOptions, InjectedFault, ModelAnswer, Script};
use serde_json::{Value, json};
use std::{fs, time::Duration};

fn emulator() -> Emulator {
    Emulator::start(EmulatorOptions::default()).unwrap()
}

fn long_answer() -> Script {
    let words: Vec<_> = (0..40).map(|n| format!("w{n} ")).collect();
    Script::answer(ModelAnswer::with_text(words)).pace(Duration::from_millis(50))
}

/// Begins to answer, and then says nothing more.
fn silent_answer() -> Script {
    Script::answer(ModelAnswer::with_text(["half"])).fail_after(2, InjectedFault::Hang)
}

async fn until_draining(host: &Process) {
    while host.ready().await == 200 {}
}

#[actix_web::test]
async fn a_stopped_host_lets_answers_end_refuses_new_ones_and_exits_with_zero() {
    let (emulator, folder) = (emulator(), tempfile::tempdir().unwrap());
    let host = Process::start(&emulator, folder.path(), &[]);
    emulator.script(ANY, long_answer());
    let mut answer = host.chat().await;
    assert_eq!(answer.status(), 200);
    let mut text = String::from_utf8(answer.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    host.signal("-TERM");
    until_draining(&host).await;
    assert_eq!(host.ready().await, 503);
    assert_eq!(host.chat().await.status(), 503);
    while let Some(chunk) = answer.chunk().await.unwrap() {
        text += std::str::from_utf8(&chunk).unwrap();
    }
    assert!(
        text.contains("w39") && text.ends_with("data: [DONE]\n\n") && !text.contains("error"),
        "{text}"
    );
    assert_eq!(host.wait_for_exit().await.code(), Some(0));
}

#[actix_web::test]
async fn an_answer_that_does_not_end_in_time_ends_with_a_word() {
    let (emulator, folder) = (emulator(), tempfile::tempdir().unwrap());
    let host = Process::start(&emulator, folder.path(), &["--drain-seconds", "1"]);
    emulator.script(ANY, silent_answer());
    let answer = host.chat().await;
    host.signal("-TERM");
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("half")
            && text.contains("The host was stopped")
            && text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );
    assert_eq!(host.wait_for_exit().await.code(), Some(0));
}

#[actix_web::test]
async fn a_second_signal_ends_everything_at_once() {
    let (emulator, folder) = (emulator(), tempfile::tempdir().unwrap());
    let host = Process::start(&emulator, folder.path(), &["--drain-seconds", "600"]);
    emulator.script(ANY, silent_answer());
    let answer = host.chat().await;
    host.signal("-TERM");
    until_draining(&host).await;
    host.signal("-TERM");
    let text = answer.text().await.unwrap();
    assert!(text.contains("The host was stopped") && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(host.wait_for_exit().await.code(), Some(0));
}

#[actix_web::test]
async fn a_host_that_is_killed_while_valves_turn_leaves_a_whole_file() {
    let (emulator, folder) = (emulator(), tempfile::tempdir().unwrap());
    let file = folder.path().join("pipelines/bedrock_models/valves.json");
    let mut last = 0;
    for round in 0..20 {
        let host = Process::start(&emulator, folder.path(), &[]);
        for update in 0..=round {
            last = 100 + round * 20 + update;
            let turned = host
                .post("/bedrock_models/valves/update", &json!({"idle_timeout_seconds": last}))
                .await;
            assert_eq!(turned.status(), 200, "{}", turned.text().await.unwrap());
        }
        // One more, whose end is not waited for.
        let (client, url) =
            (host.client.clone(), format!("{}/bedrock_models/valves/update", host.url));
        let unseen = client
            .post(url)
            .bearer_auth(crate::process::KEY)
            .json(&json!({"idle_timeout_seconds": 99}))
            .send();
        let unseen = actix_web::rt::spawn(unseen);
        host.signal("-KILL");
        host.wait_for_exit().await;
        _ = unseen.await;
        let saved: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let seconds = saved["idle_timeout_seconds"].as_u64().unwrap();
        assert!(seconds == 99 || seconds == last, "{seconds} is neither the last nor the next");
    }
}

#[actix_web::test]
async fn the_binary_tells_its_own_health_and_its_valves() {
    let (emulator, folder) = (emulator(), tempfile::tempdir().unwrap());
    let host = Process::start(&emulator, folder.path(), &[]);
    let port = host.url.rsplit(':').next().unwrap().to_owned();
    let run = |arguments: &[&str], port: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pipewright"));
        command
            .args(arguments)
            .env("PORT", port)
            .env("BEDROCK_MODELS_BEDROCK_API_KEY", "canary-4711")
            .current_dir(folder.path());
        command.output().unwrap()
    };
    assert!(run(&["health"], &port).status.success());
    drop(host);
    assert!(!run(&["health"], &port).status.success());
    let valves = String::from_utf8(run(&["valves"], &port).stdout).unwrap();
    assert!(
        valves.contains("BEDROCK_MODELS_BEDROCK_API_KEY") && !valves.contains("canary"),
        "{valves}"
    );
    assert!(valves.contains(r#"regions = ["us-east-1","us-west-2"]"#), "{valves}");
}
