//! boto3, a client that knows nothing of this crate, finds Bedrock here.

#![expect(clippy::print_stdout, reason = "tells why it was skipped, and what was checked")]

use bedrock_emulator::{
    ANY, AccessKey, BedrockException, DEMO_BEARER_TOKEN, DEMO_KEY, Emulator, EmulatorOptions,
    InjectedFault, ModelAnswer, Script, StreamEvent, TokenUsage,
};
use serde_json::json;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

const BOTO3: &str = "boto3==1.44.*";

#[tokio::test(flavor = "multi_thread")]
async fn boto3_understands_every_operation() {
    let python = match boto3_environment().await {
        Ok(python) => python,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let session = AccessKey {
        id: "ASIASESSION".into(),
        secret: "secret".into(),
        session_token: Some("token".into()),
    };
    let mut options = EmulatorOptions::default();
    options.keys.push(session);
    let emulator = Emulator::start(options).unwrap();
    script(&emulator);
    let (id, secret) = DEMO_KEY;
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boto3_client.py"))
        .args([&emulator.endpoint(), id, secret, DEMO_BEARER_TOKEN])
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .await
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    println!("{out}");
}

/// Scripts the answers that `boto3_client.py` expects, a model for each.
fn script(emulator: &Emulator) {
    let thoughtful = ModelAnswer::new()
        .reasoning(["Let me ", "think."], "c2lnbmF0dXJl")
        .redacted(b"hidden")
        .text(["Hel", "lo"])
        .tool("tooluse_1", "clock", ["{\"zone\":", "\"UTC\"}"])
        .at_index(5)
        .usage(TokenUsage { input: 3, output: 4, cache_read: Some(100), cache_write: Some(20) });
    let strange = StreamEvent::new("weatherReport", json!({ "sky": "blue" }));
    let hello = || Script::answer(ModelAnswer::with_text(["Hel", "lo"]));
    let error = InjectedFault::Error { code: "Oops".into(), message: "no model for this".into() };
    for (model, script) in [
        ("*sonnet-4-5*", Script::answer(thoughtful).times(2)),
        ("*nova-micro*", hello().insert(1, strange)),
        (
            "*haiku-4-5*",
            hello().fail_after(
                3,
                InjectedFault::Exception(BedrockException::stream_error(529, "overloaded")),
            ),
        ),
        ("*nova-premier*", hello().fail_after(2, error)),
        ("*opus-4-7*", hello().fail_after(2, InjectedFault::BadMessageCrc)),
        ("*opus-5-5*", hello().fail_after(2, InjectedFault::BadPreludeCrc)),
        ("*sonnet-5", Script::throttle()),
        ("*sonnet-4-6", Script::fault(BedrockException::model_error(418, "I am a teapot"))),
        ("*llama4*", Script::html(502)),
        (ANY, Script::demo().always()),
    ] {
        emulator.script(model, script);
    }
    emulator.script_region(
        "eu-north-1",
        Script::fault(BedrockException::access_denied("not in this region")).always(),
    );
}

/// A Python with boto3, made once and kept under `target`.
async fn boto3_environment() -> Result<PathBuf, String> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap_or(Path::new("."))
        .join("boto3-venv");
    let (python, ready) = (home.join("bin/python"), home.join("ready"));
    // Held while the environment is made, so that tests of other processes wait for it.
    let lock = File::create(home.with_extension("lock")).map_err(|error| error.to_string())?;
    tokio::task::block_in_place(|| lock.lock()).map_err(|error| error.to_string())?;
    if !ready.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home)).await?;
        run(Command::new(&python).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            BOTO3,
        ]))
        .await?;
        File::create(&ready).map_err(|error| error.to_string())?;
    }
    Ok(python)
}

async fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", said.trim())) }
}
