//! Isolation: the parts of its host that a Python file can see and reach.

use super::{has_landlock, has_python, landlock_version, python_builder, wait_until_loaded};
use reqwest::Method;
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
    // Containers have secrets in /run/secrets, which everybody in them may read.
    let in_run = fs::read_dir("/run").unwrap().flatten().find(|entry| {
        entry.file_type().is_ok_and(|kind| kind.is_file()) && fs::File::open(entry.path()).is_ok()
    });
    let in_run = in_run.map_or_else(|| "/run/none".into(), |entry| entry.path());
    let paths =
        json!([secret, own, "/proc/1/environ", "/etc/shadow", in_run, "/etc/hosts", "/etc/passwd"]);
    let seen: Value =
        serde_json::from_str(&host.answer_text("spy", &paths.to_string()).await).unwrap();
    let environment = seen["environment"].as_object().unwrap();
    assert_eq!(environment["GIVEN"], "yes");
    let names: Vec<_> = environment.keys().filter(|name| *name != "LC_CTYPE").collect();
    assert_eq!(names.len(), 5, "PATH, LANG, HOME, TMPDIR and GIVEN: {names:?}");
    assert_eq!((&seen["group"], &seen["input"]), (&json!(true), &json!("")));
    if has_landlock() {
        for (place, path) in paths.as_array().unwrap().iter().enumerate() {
            let read = seen["read"][place].as_str().unwrap();
            assert_eq!(read.starts_with("refused"), place < 5, "{path}: {read}");
        }
        assert!(seen["written"].as_str().unwrap().starts_with("refused"), "{seen}");
    }
    if landlock_version() >= 6 {
        assert!(seen["signalled"].as_str().unwrap().starts_with("refused"), "{seen}");
    }
}

/// It starts three processes: one in its group, one in a session of its own, and one whose parent
/// has ended.
const PARENT: &str = r#"
import os, subprocess


class Pipeline:
    def __init__(self):
        child = subprocess.Popen(["sleep", "1000"])
        apart = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        script = "setsid sleep 1000 > /dev/null 2>&1 & echo $!"
        orphan = subprocess.check_output(["sh", "-c", script], text=True).strip()
        self.processes = f"{os.getpid()} {child.pid} {apart.pid} {orphan}"

    def pipe(self, user_message, model_id, messages, body):
        if user_message == "end":
            os._exit(3)
        return self.processes
"#;

/// Waits until none of these processes runs.
async fn wait_until_gone(processes: &str) {
    for process in processes.split(' ') {
        let gone = || {
            let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        };
        let begun = std::time::Instant::now();
        while !gone() {
            assert!(begun.elapsed().as_secs() < 30, "{process} of {processes} is still there");
            actix_web::rt::task::yield_now().await;
        }
    }
}

#[actix_web::test]
async fn processes_end_with_their_host() {
    let Some(host) = super::python_host(&[("parent.py", PARENT)]).await else { return };
    let processes = host.answer_text("parent", "hi").await;
    let folder = host.stop().await;
    wait_until_gone(&processes).await;
    drop(folder);
}

#[actix_web::test]
async fn processes_end_with_the_one_that_started_them() {
    let Some(host) = super::python_host(&[("parent.py", PARENT)]).await else { return };
    let processes = host.answer_text("parent", "hi").await;
    let crashed = host.chat("parent", "end").await;
    assert!(crashed.error_message(502).contains("exit status: 3"), "{}", crashed.text);
    wait_until_gone(&processes).await;

    let processes = host.answer_text("parent", "hi").await;
    let request = host.request(Method::DELETE, "/pipelines/delete").json(&json!({"id": "parent"}));
    assert_eq!(request.send().await.unwrap().status(), 200);
    wait_until_gone(&processes).await;
}
