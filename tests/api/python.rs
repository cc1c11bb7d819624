//! Python pipelines, each in a process of its own. They need a `python3`; files with valves need
//! its `pydantic`. A test that lacks one of them says so and is skipped.

mod admin;
mod answers;
mod confinement;
mod faults;
mod isolation;
mod recordings;
mod valves;

use crate::{
    pipes::TWINS,
    support::{Builder, TestHost},
};
use serde_json::Value;
use std::{fs, process::Command, sync::LazyLock};

/// The modules that tests need and this machine's Python has.
static MODULES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let has = |module: &&str| {
        let program = format!("import sys, {module}; sys.exit(sys.version_info < (3, 9))");
        let tried = Command::new("python3").args(["-I", "-c", &program]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    ["asyncio", "ensurepip", "pydantic", "requests"].into_iter().filter(has).collect()
});

/// Returns whether the machine's Python has these modules; says what is missing.
#[expect(clippy::print_stderr, reason = "whoever tests is to see what was not tested")]
fn has_python(modules: &[&str]) -> bool {
    let missing: Vec<_> = modules.iter().filter(|module| !MODULES.contains(module)).collect();
    if !missing.is_empty() {
        eprintln!("Skipped: this machine's python3 (3.9 or later) has no {missing:?}.");
    }
    missing.is_empty()
}

/// Returns the version of the kernel's Landlock, 0 where it has none.
fn landlock_version() -> i32 {
    // `landlock_create_ruleset` tells its version.
    let program =
        "import ctypes, sys; sys.exit(max(0, ctypes.CDLL(None).syscall(444, None, 0, 1)))";
    let asked = Command::new("python3").args(["-I", "-c", program]).status();
    asked.ok().and_then(|status| status.code()).unwrap_or_default()
}

/// Returns whether the kernel limits the files that a process can reach.
#[expect(clippy::print_stderr, reason = "whoever tests is to see what was not tested")]
fn has_landlock() -> bool {
    let has = landlock_version() > 0;
    if !has {
        eprintln!("Skipped in part: this kernel has no Landlock.");
    }
    has
}

/// A host that runs these files.
async fn python_host(files: &[(&str, &str)]) -> Option<TestHost> {
    let ids: Vec<_> = files.iter().map(|(name, _)| name.trim_end_matches(".py")).collect();
    python_host_with(files, &ids).await
}

/// The same for files whose pipes have these ids.
async fn python_host_with(files: &[(&str, &str)], ids: &[&str]) -> Option<TestHost> {
    let needs_pydantic = files.iter().any(|(_, text)| text.contains("pydantic"));
    let modules: &[&str] = if needs_pydantic { &["pydantic"] } else { &["asyncio"] };
    if !has_python(modules) {
        return None;
    }
    let host = python_builder("on", files).start().await;
    for id in ids {
        wait_until_loaded(&host, id).await;
    }
    Some(host)
}

fn python_builder(mode: &str, files: &[(&str, &str)]) -> Builder {
    let builder = Builder::new().pipes(TWINS).flag("--python-pipelines", mode);
    for (name, text) in files {
        fs::write(builder.data_folder().join(name), text).unwrap();
    }
    builder
}

/// Waits until the pipe of a file is no longer being started; returns its entry in the list. Each
/// look at the models waits for pipes that are being started.
async fn wait_until_loaded(host: &TestHost, id: &str) -> Value {
    wait_for(host, |pipes| {
        let entry = pipes.iter().find(|entry| entry["id"] == id)?;
        let problem = entry["problem"].as_str().unwrap_or_default();
        let is_starting = problem.contains("being") || problem.contains("process has ended");
        (!is_starting).then(|| entry.clone())
    })
    .await
}

/// Waits until something can be found in the list of pipes.
async fn wait_for(host: &TestHost, find: impl Fn(&[Value]) -> Option<Value>) -> Value {
    for _ in 0..100_000 {
        host.get("/models").await;
        let list = host.get("/pipelines").await;
        if let Some(found) = find(list.json["data"].as_array().unwrap()) {
            return found;
        }
    }
    panic!("it never came: {}", host.get("/pipelines").await.text);
}

/// The text of a streamed answer.
async fn streamed_text(host: &TestHost, model: &str, text: &str) -> String {
    let frames = host.stream(model, text).await;
    let data = frames.iter().filter_map(|frame| frame.strip_prefix("data: "));
    let chunks = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    chunks
        .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect()
}
