//! Logs: one line a request, and never content.

use crate::process::{KEY, MODEL, Process};
use bedrock_emulator::{
    ANY, BedrockException, DEMO_KEY, Emulator, EmulatorOptions, InjectedFault, ModelAnswer, Script,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    process::Stdio,
    time::Duration,
};
use tokio::time::timeout;

#[actix_web::test]
async fn one_line_a_request_with_its_numbers_and_without_its_words() {
    let (emulator, folder) =
        (Emulator::start(EmulatorOptions::default()).unwrap(), tempfile::tempdir().unwrap());
    let host = Process::start(&emulator, folder.path(), &[]);
    let body = json!({"model": crate::process::MODEL, "messages": [{"role": "user", "content": "canary-in-the-prompt"}], "user": {"id": "u", "email": "canary@example.com"}});
    let answer = host.post("/chat/completions", &body).await;
    assert_eq!(answer.status(), 200);
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert!(
        answer.text().await.unwrap().contains("canary-in-the-prompt"),
        "the demo quotes what it is asked"
    );
    let secret = json!({"endpoint_url": null, "aws_session_token": "canary-secret"});
    assert_eq!(host.post("/bedrock_models/valves/update", &secret).await.status(), 422);
    assert_eq!(host.ready().await, 200);
    host.signal("-TERM");
    let log = host.log().await;
    assert!(!log.contains("canary") && !log.contains(KEY), "{log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_chat: Vec<_> = lines.iter().filter(|line| line["request.id"] == id.as_str()).collect();
    assert_eq!(of_chat.len(), 1, "{log}");
    assert_eq!((&of_chat[0]["status"], &of_chat[0]["complete"]), (&json!(200), &json!(true)));
    assert!(
        of_chat[0]["prompt_tokens"].as_u64().unwrap() > 0 && of_chat[0]["duration_ms"].is_u64()
    );
    assert!(!log.contains("/health"), "probes are not worth a line");
}

/// More lines than a pipe and the queue behind it take, each as long as a line can be.
const MANY: usize = 2_400;

/// Returns the answers and the exit of a host that logs to this.
async fn serve_with_log(
    log: Stdio,
    variables: &[(&str, &str)],
    requests: usize,
) -> (Emulator, Process) {
    let (emulator, folder) =
        (Emulator::start(EmulatorOptions::default()).unwrap(), tempfile::tempdir().unwrap());
    let (id, secret) = DEMO_KEY;
    let keys = [
        ("BEDROCK_MODELS_AWS_ACCESS_KEY_ID", id),
        ("BEDROCK_MODELS_AWS_SECRET_ACCESS_KEY", secret),
    ];
    let variables = [&keys[..], variables].concat();
    let host = Process::start_onto(log, &variables, &emulator, folder.path(), &[]);
    for _ in 0..requests {
        let answer = host.get(&format!("/no/{}", "x".repeat(250))).await;
        assert_eq!(answer.status(), 404);
    }
    assert_eq!(host.chat().await.status(), 200);
    (emulator, host)
}

#[actix_web::test]
async fn a_pipe_that_nobody_reads_stops_neither_chats_nor_the_end() {
    let (_emulator, mut host) = serve_with_log(Stdio::piped(), &[], MANY).await;
    let dropped = host.metric("pipewright_log_lines_dropped_total").await;
    assert!(dropped > 0, "the pipe took it all");
    // Whoever reads again gets whole lines, and one that tells how many are missing.
    let mut stderr = host.stderr();
    let log = tokio::task::spawn_blocking(move || {
        let mut log = Vec::new();
        let mut block = [0; 1 << 16];
        while !String::from_utf8_lossy(&log).contains("Log lines were dropped") {
            let length = stderr.read(&mut block).unwrap();
            log.extend_from_slice(&block[..length]);
        }
        // From here on nobody reads it again.
        (String::from_utf8(log).unwrap(), stderr)
    });
    let (log, _unread) = log.await.unwrap();
    let (whole, _cut) = log.rsplit_once('\n').unwrap();
    let lines: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: u64 = lines.iter().filter_map(|line| line["lines"].as_u64()).sum();
    assert!(told >= dropped, "{told} of {dropped}");
    for _ in 0..300 {
        assert_eq!(host.get(&format!("/no/{}", "x".repeat(250))).await.status(), 404);
    }
    host.signal("-TERM");
    assert_eq!(
        timeout(Duration::from_secs(20), host.wait_for_exit()).await.unwrap().code(),
        Some(0)
    );
}

#[actix_web::test]
async fn a_full_disk_or_no_reader_at_all_stops_nothing() {
    let full = || File::create("/dev/full").unwrap().into();
    let at_debug = [("GLOBAL_LOG_LEVEL", "DEBUG")];
    for (log, variables) in
        [(full(), &[][..]), (full(), &at_debug), (Stdio::null(), &[]), (Stdio::piped(), &at_debug)]
    {
        let (_emulator, mut host) = serve_with_log(log, variables, 0).await;
        let is_broken = variables.is_empty();
        if host.has_stderr() {
            // The other end of the pipe is closed.
            drop(host.stderr());
        }
        assert_eq!(host.chat().await.status(), 200);
        host.signal("-TERM");
        let ended = timeout(Duration::from_secs(20), host.wait_for_exit()).await.unwrap();
        assert_eq!(ended.code(), Some(0), "{is_broken}");
    }
}

#[actix_web::test]
async fn a_client_cannot_fill_the_log_or_forge_a_line() {
    let (emulator, folder) =
        (Emulator::start(EmulatorOptions::default()).unwrap(), tempfile::tempdir().unwrap());
    let host = Process::start(&emulator, folder.path(), &[]);
    let forged = "\n{\"level\":\"ERROR\",\"forged\":true}\n\u{1b}[2J\u{202e}";
    let long = "long".repeat(15_000);
    for text in [forged, &long] {
        let name = format!("bedrock_models.{text}");
        let body =
            json!({"model": name, "messages": [{"role": "user", "content": "hi"}], "user": text});
        assert_eq!(host.post("/chat/completions", &body).await.status(), 404);
        let user = json!({"id": text, "name": text, "role": text, "email": text});
        let body = json!({"model": MODEL, "messages": [], "user": user, "chat_id": text});
        let inlet = json!({"body": body, "user": user});
        host.post("/rate_limit/filter/inlet", &inlet).await;
        host.post("/bedrock_models/valves/update", &json!({text: 1, "regions": text})).await;
        let segment: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        for path in [format!("/{segment}"), format!("/{segment}/valves")] {
            host.get(&path).await;
            assert_eq!(
                host.client.get(format!("{}{path}", host.url)).send().await.unwrap().status(),
                401
            );
        }
    }
    let method = Method::from_bytes(&[b'M'; 5000]).unwrap();
    let made_up = host.client.request(method, format!("{}/models", host.url)).bearer_auth(KEY);
    assert_eq!(made_up.send().await.unwrap().status(), 405);
    for nonsense in ["\0\r\n\r\n", "GET\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"] {
        for _ in 0..100 {
            let mut socket = TcpStream::connect(host.url.trim_start_matches("http://")).unwrap();
            socket.write_all(nonsense.as_bytes()).unwrap();
            // The host answers, or closes.
            _ = socket.read(&mut [0; 64]);
        }
    }
    let metrics = host.get("/metrics").await.text().await.unwrap();
    assert!(!metrics.contains("MMMM") && metrics.contains("_OTHER"), "{metrics}");
    host.signal("-TERM");
    let log = host.log().await;
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).expect(line);
        assert!(line["forged"].is_null() && line.to_string().len() < 6000, "{line}");
        assert!(!line.to_string().contains(['\u{202e}', '\u{1b}']), "{line}");
    }
    assert!(log.len() < 60_000, "{}", log.len());
}

#[actix_web::test]
async fn what_an_upstream_quotes_of_a_prompt_is_logged_at_debug_only() {
    for (level, is_there) in [("INFO", false), ("DEBUG", true)] {
        let (emulator, folder) =
            (Emulator::start(EmulatorOptions::default()).unwrap(), tempfile::tempdir().unwrap());
        let arguments = ["--log-level", level];
        let host = Process::start(&emulator, folder.path(), &arguments);
        for kind in ["ValidationException", "AccessDeniedException", "InternalServerException"] {
            let quote = format!("\"canary-of-a-prompt\" cannot be answered: {kind}");
            emulator.script(ANY, Script::fault(BedrockException::from_name(kind, &quote)).always());
            assert!(host.chat().await.status().as_u16() >= 400);
            emulator.clear_scripts();
        }
        let quote = BedrockException::from_name(
            "ModelStreamErrorException",
            "\"canary-of-a-prompt\" broke off",
        );
        let torn = Script::answer(ModelAnswer::with_text(["a", "b"]))
            .fail_after(3, InjectedFault::Exception(quote));
        emulator.script(ANY, torn);
        assert!(host.chat().await.text().await.unwrap().contains("canary-of-a-prompt"));
        host.signal("-TERM");
        let log = host.log().await;
        assert_eq!(log.contains("canary"), is_there, "{log}");
        let errors = |line: &str| serde_json::from_str::<Value>(line).unwrap()["error"].clone();
        assert!(log.lines().any(|line| errors(line) == "upstream"), "{log}");
    }
}

#[actix_web::test]
async fn what_is_printed_at_the_start_is_waited_for_by_nobody() {
    let (emulator, folder) =
        (Emulator::start(EmulatorOptions::default()).unwrap(), tempfile::tempdir().unwrap());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let full = File::create("/dev/full").unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_pipewright"))
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .current_dir(folder.path())
        .env("BEDROCK_MODELS_ENDPOINT_URL", emulator.endpoint())
        .stdout(full)
        .stderr(File::create(folder.path().join("log")).unwrap())
        .spawn()
        .unwrap();
    let client = crate::support::client();
    let health = format!("http://127.0.0.1:{port}/health");
    while client.get(&health).send().await.is_err() {}
    let log = || fs::read_to_string(folder.path().join("log")).unwrap();
    while !log().contains("Standard output cannot be written") {
        tokio::task::yield_now().await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
