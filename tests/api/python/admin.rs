//! Files that come and go: upload, link, delete, changes on disk.

use super::{has_landlock, has_python, python_builder, python_host, wait_for, wait_until_loaded};
use crate::support::{TestHost, TestResponse};
use reqwest::{Method, multipart};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::Command,
    time::{Duration, Instant},
};

fn says(text: &str) -> String {
    format!(
        "class Pipeline:\n    def pipe(self, user_message, model_id, messages, body):\n        return {text:?}\n"
    )
}

async fn upload(host: &TestHost, name: &str, text: &str) -> TestResponse {
    let part = multipart::Part::text(text.to_owned()).file_name(name.to_owned());
    let form = multipart::Form::new().part("file", part);
    let request = host.request(Method::POST, "/pipelines/upload").multipart(form);
    TestResponse::read(request.send().await.unwrap()).await
}

async fn delete(host: &TestHost, id: &str) -> TestResponse {
    let request = host.request(Method::DELETE, "/pipelines/delete").json(&json!({"id": id}));
    TestResponse::read(request.send().await.unwrap()).await
}

#[actix_web::test]
async fn an_uploaded_file_answers_until_it_is_deleted() {
    let Some(host) = python_host(&[]).await else { return };
    let uploaded = upload(&host, "fresh.py", &says("one")).await;
    assert_eq!(
        (uploaded.status, &uploaded.json["id"]),
        (200, &json!("fresh")),
        "{}",
        uploaded.text
    );
    let listed = host.get("/pipelines").await;
    assert_eq!(listed.json["data"][0]["id"], "fresh", "the page returns to the first");
    assert_eq!(host.answer_text("fresh", "hi").await, "one");
    assert_eq!(upload(&host, "fresh.py", &says("two")).await.status, 200);
    assert_eq!(host.answer_text("fresh", "hi").await, "two");
    assert_eq!(delete(&host, "fresh").await.status, 200);
    assert_eq!(host.chat("fresh", "hi").await.status, 404);
    assert!(!host.folder.path().join("fresh.py").exists());
    assert_eq!(delete(&host, "fresh").await.status, 404);
}

#[actix_web::test]
async fn a_file_that_cannot_be_loaded_is_never_a_success_and_tells_why() {
    let Some(host) = python_host(&[]).await else { return };
    for (name, text, words) in [
        ("syntax.py", "class Pipeline(:\n", "invalid syntax"),
        ("import.py", "import no_such_module_anywhere\n", "no_such_module_anywhere"),
        ("empty.py", "x = 1\n", "no class `Pipeline`"),
        (
            "raises.py",
            "class Pipeline:\n    def __init__(self):\n        raise ValueError('no luck')\n",
            "no luck",
        ),
        (
            "starts.py",
            "class Pipeline:\n    async def on_startup(self):\n        raise ValueError('not today')\n",
            "not today",
        ),
    ] {
        let refused = upload(&host, name, text).await;
        assert!(refused.error_message(422).contains(words), "{name}: {}", refused.text);
        let entry = wait_until_loaded(&host, name.trim_end_matches(".py")).await;
        assert!(entry["problem"].as_str().unwrap().contains(words), "{entry}");
        let shown = entry["name"].as_str().unwrap();
        assert!(shown.contains(" · not running: ") && shown.contains(words), "{entry}");
    }
    let ready = host.get("/health/ready").await.json;
    assert!(ready["degraded"].as_array().unwrap().contains(&json!("syntax")), "{ready}");
}

#[actix_web::test]
async fn a_new_version_that_cannot_be_loaded_leaves_the_old_one_as_it_was() {
    let Some(host) = python_host(&[("kept.py", &says("one"))]).await else { return };
    upload(&host, "kept.py", "class Pipeline(:\n").await.error_message(422);
    assert_eq!(host.answer_text("kept", "hi").await, "one");
    assert_eq!(fs::read_to_string(host.folder.path().join("kept.py")).unwrap(), says("one"));
}

#[actix_web::test]
async fn names_and_links_that_lead_elsewhere_are_refused() {
    let Some(host) = python_host(&[]).await else { return };
    for name in ["x.txt", "..%2Fx.py", "a b.py", "script.py", "python.py"] {
        upload(&host, name, &says("x")).await.error_message(422);
    }
    let trap = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let url = format!("http://{}/x.py", trap.local_addr().unwrap());
    assert!(host.post("/pipelines/add", &json!({"url": url})).await.status >= 400);
    assert!(trap.accept().is_err(), "somebody called");
    assert_eq!(delete(&host, "script").await.status, 409);
    assert!(upload(&host, "large.py", &"#".repeat((1 << 20) + (1 << 17))).await.status >= 400);
}

#[actix_web::test]
async fn with_files_only_nobody_adds_or_deletes_by_the_api() {
    if !has_python(&["asyncio"]) {
        return;
    }
    let host = python_builder("files", &[("mine.py", &says("one"))]).start().await;
    wait_until_loaded(&host, "mine").await;
    upload(&host, "other.py", &says("x")).await.error_message(403);
    assert!(delete(&host, "mine").await.status >= 400);
    assert_eq!(host.answer_text("mine", "hi").await, "one");
}

#[actix_web::test]
async fn a_file_that_changes_on_disk_is_loaded_again_and_no_other() {
    let counts = "import os\nclass Pipeline:\n    def pipe(self, **arguments):\n        return str(os.getpid())\n";
    let files = [("changes.py", &*says("one")), ("stays.py", counts)];
    let Some(host) = python_host(&files).await else { return };
    let process = host.answer_text("stays", "hi").await;
    fs::write(host.folder.path().join("changes.py"), says("another")).unwrap();
    assert_eq!(host.post("/pipelines/reload", &json!({})).await.status, 200);
    while host.answer_text("changes", "hi").await != "another" {}
    assert_eq!(host.answer_text("stays", "hi").await, process);
    fs::write(host.folder.path().join("changes.py"), "class Pipeline(:\n").unwrap();
    wait_for(&host, |pipes| {
        let entry = pipes.iter().find(|entry| entry["id"] == "changes")?;
        entry["problem"].as_str()?.contains("not used").then(|| entry.clone())
    })
    .await;
    assert_eq!(host.answer_text("changes", "hi").await, "another");
    fs::remove_file(host.folder.path().join("changes.py")).unwrap();
    wait_for(&host, |pipes| {
        pipes.iter().all(|entry| entry["id"] != "changes").then_some(json!(null))
    })
    .await;
}

/// Writes a wheel with the module `greeting`.
const WHEEL: &str = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("greeting.py", "WORD = 'installed'")
    info = "greeting-1.0.dist-info/"
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", "")
"#;

#[actix_web::test]
async fn packages_are_installed_even_if_uv_cannot_run_within_the_limits() {
    if !has_python(&["ensurepip"]) || !has_landlock() {
        return;
    }
    let wheels = tempfile::tempdir().unwrap();
    let wheel = wheels.path().join("greeting-1.0-py3-none-any.whl");
    let made = Command::new("python3").args(["-I", "-c", WHEEL]).arg(&wheel).status().unwrap();
    assert!(made.success());
    let listed = wheels.path().join("requirements.txt");
    fs::write(&listed, wheel.to_str().unwrap()).unwrap();
    // It starts a program that only the host can reach.
    let (programs, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let real = elsewhere.path().join("uv");
    for (path, script) in [
        (&real, "#!/bin/sh\nexit 0\n".to_owned()),
        (&programs.path().join("uv"), format!("#!/bin/sh\nexec {} \"$@\"\n", real.display())),
    ] {
        fs::write(path, script).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let greets = "import greeting\nclass Pipeline:\n    def pipe(self, **arguments):\n        return greeting.WORD\n";
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let host = python_builder("on", &[("greets.py", greets)])
        .flag("--pipelines-requirements-path", listed.to_str().unwrap())
        .flag("--python-readable", wheels.path().to_str().unwrap())
        .variable("PIP_NO_INDEX", "1")
        .variable("PATH", &path)
        .start()
        .await;
    wait_until_loaded(&host, "greets").await;
    assert_eq!(host.answer_text("greets", "hi").await, "installed");
}

/// Installs everything at once but `stuck`, which it never does.
const INSTALLER: &str = "#!/bin/sh
case \"$*\" in *stuck*) echo Collecting stuck; exec sleep 1000;; esac
";

#[actix_web::test]
async fn an_installation_that_hangs_holds_up_no_other_file() {
    if !has_python(&["ensurepip"]) {
        return;
    }
    let programs = tempfile::tempdir().unwrap();
    let installer = programs.path().join("uv");
    fs::write(&installer, INSTALLER).unwrap();
    fs::set_permissions(&installer, fs::Permissions::from_mode(0o755)).unwrap();
    let wants = |package: &str| format!("\"\"\"\nrequirements: {package}\n\"\"\"\n{}", says("hi"));
    let files = [("a_stuck.py", &*wants("stuck")), ("b_quick.py", &*wants("quick"))];
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let host = python_builder("on", &files).variable("PATH", &path).start().await;
    wait_for(&host, |pipes| {
        let entry = pipes.iter().find(|entry| entry["id"] == "a_stuck")?;
        entry["problem"].as_str()?.contains("being installed").then(|| entry.clone())
    })
    .await;
    wait_until_loaded(&host, "b_quick").await;
    assert_eq!(host.answer_text("b_quick", "hi").await, "hi");
    let refused = host.chat("a_stuck", "hi").await;
    assert!(refused.error_message(503).contains("Collecting stuck"), "{}", refused.text);
    // A list of models waits 800 ms for a file that is being started.
    let begun = Instant::now();
    for _ in 0..20 {
        host.get("/models").await;
    }
    assert!(begun.elapsed() < 20 * Duration::from_millis(800), "{:?}", begun.elapsed());
    assert_eq!(delete(&host, "a_stuck").await.status, 200);
    assert!(!host.folder.path().join("a_stuck.py").exists());
}

#[actix_web::test]
async fn a_package_from_a_server_that_does_not_answer_is_an_error_that_says_so() {
    if !has_python(&["ensurepip"]) {
        return;
    }
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let wheel = format!("http://{}/wanted-1.0-py3-none-any.whl", mute.local_addr().unwrap());
    let wants = format!("\"\"\"\nrequirements: wanted @ {wheel}\n\"\"\"\n{}", says("hi"));
    let host = python_builder("on", &[("wants.py", &wants)])
        .variable("PIP_DEFAULT_TIMEOUT", "1")
        .variable("PIP_RETRIES", "0")
        .variable("UV_HTTP_TIMEOUT", "1")
        .variable("UV_HTTP_RETRIES", "0")
        .start()
        .await;
    let entry = wait_until_loaded(&host, "wants").await;
    let problem = entry["problem"].as_str().unwrap();
    assert!(problem.contains("did not answer in time"), "{problem}");
}

#[actix_web::test]
async fn requirements_that_are_no_packages_are_refused() {
    let Some(host) = python_host(&[]).await else { return };
    let text =
        format!("\"\"\"\nrequirements: --index-url=http://example.com\n\"\"\"\n{}", says("x"));
    let refused = upload(&host, "wants.py", &text).await;
    assert!(refused.error_message(422).contains("not the name of a package"), "{}", refused.text);
}
