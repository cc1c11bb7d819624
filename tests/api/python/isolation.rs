//! What a file can see and reach of its host.

use super::{has_landlock, has_python, landlock_version, python_builder, wait_until_loaded};
use serde_json::{Value, json};
use std::fs;

const SPY: &str = r#"
import json, os


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read(10_000).decode("utf-8", "replace")
    except OSError as error:
        return f"refused: {error.errno}"


class Pipeline:
    def pipe(self, user_message, model_id, messages, body):
        paths = json.loads(user_message)
        try:
            with open(paths[0], "a") as file:
                written = "written"
        except OSError as error:
            written = f"refused: {error.errno}"
        try:
            os.kill(os.getppid(), 0)
            signalled = "signalled"
        except OSError as error:
            signalled = f"refused: {error.errno}"
        return json.dumps({
            "signalled": signalled,
            "environment": dict(os.environ), "read": [read(path) for path in paths],
            "written": written, "group": os.getpgid(0) == os.getpid(), "input": os.read(0, 1).decode(),
        })
"#;

#[actix_web::test]
async fn a_file_sees_no_variables_and_no_files_of_its_host() {
    if !has_python(&["asyncio"]) {
        return;
    }
    let builder = python_builder("on", &[("spy.py", SPY)])
        .variable("SECRET_OF_THE_HOST", "hunter2")
        .variable("GIVEN", "yes")
        .flag("--python-env", "GIVEN");
    let secret = builder.data_folder().join("valves.toml");
    fs::write(&secret, "# a secret of the operator\n").unwrap();
    let host = builder.start().await;
    wait_until_loaded(&host, "spy").await;
    let own = format!("/proc/{}/environ", std::process::id());
    let paths = json!([secret, own, "/proc/1/environ", "/etc/hostname"]);
    let seen: Value = serde_json::from_str(&host.text_of("spy", &paths.to_string()).await).unwrap();
    let environment = seen["environment"].as_object().unwrap();
    assert_eq!(environment["GIVEN"], "yes");
    let names: Vec<_> = environment.keys().filter(|name| *name != "LC_CTYPE").collect();
    assert_eq!(names.len(), 5, "PATH, LANG, HOME, TMPDIR and GIVEN: {names:?}");
    assert_eq!((&seen["group"], &seen["input"]), (&json!(true), &json!("")));
    if has_landlock() {
        for place in 0..3 {
            let read = seen["read"][place].as_str().unwrap();
            assert!(read.starts_with("refused"), "{}: {read}", paths[place]);
        }
        assert!(seen["written"].as_str().unwrap().starts_with("refused"), "{seen}");
    }
    if landlock_version() >= 6 {
        assert!(seen["signalled"].as_str().unwrap().starts_with("refused"), "{seen}");
    }
}

#[actix_web::test]
async fn processes_end_with_their_host() {
    let file = r#"
import os, subprocess


class Pipeline:
    def __init__(self):
        self.child = subprocess.Popen(["sleep", "1000"])

    def pipe(self, user_message, model_id, messages, body):
        return f"{os.getpid()} {self.child.pid}"
"#;
    let Some(host) = super::python_host(&[("parent.py", file)]).await else { return };
    let pids = host.text_of("parent", "hi").await;
    let folder = host.ended().await;
    for pid in pids.split(' ') {
        let gone = || {
            let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        };
        let begun = std::time::Instant::now();
        while !gone() {
            assert!(begun.elapsed().as_secs() < 30, "{pid} is still there");
            actix_web::rt::task::yield_now().await;
        }
    }
    drop(folder);
}
