//! A bounded run of every target from a fixed seed: the same inputs every time.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::process::Command;

fn is_survived(target: &str, runs: u32) {
    let output = Command::new(env!("CARGO_BIN_EXE_fuzz"))
        .args([target, "--seed", "1", "--runs", &runs.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn event_streams_are_survived() {
    is_survived("event_stream", 20_000);
}

#[test]
fn server_sent_events_are_survived() {
    is_survived("server_sent_events", 10_000);
}

#[test]
fn json_bodies_are_survived() {
    is_survived("json_body", 5_000);
}

#[test]
fn documents_are_survived() {
    is_survived("documents", 150);
}
