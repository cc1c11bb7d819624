//! Raw sockets: slow, torn, forged and too many requests. The numbers are the rows of
//! `docs/trust.md`.

use crate::{
    process::{KEY, MODEL, Process},
    support::{Builder, TestHost, TestResponse, host},
};
use bedrock_emulator::{ANY, Emulator, EmulatorOptions, InjectedFault, Script};
use pipewright::http::{Access, ROUTES};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};
use tokio::{task::spawn_blocking, time::timeout};

const LONG: Duration = Duration::from_secs(30);

/// Sends bytes on a connection, and returns what the host sends until it closes the connection.
async fn send_raw(url: &str, bytes: Vec<u8>) -> String {
    let address = url.trim_start_matches("http://").to_owned();
    let answer = spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        // A host that has closed already takes no more.
        _ = socket.write_all(&bytes);
        let mut answer = Vec::new();
        // A reset is an end too.
        _ = socket.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    });
    timeout(LONG, answer).await.expect("the connection stays open").unwrap()
}

fn head(more: &str) -> String {
    format!(
        "POST /chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n{more}"
    )
}

#[actix_web::test]
async fn f16_a_client_that_closes_its_half_is_taken_for_gone() {
    let (emulator, folder) =
        (Emulator::start(EmulatorOptions::default()).unwrap(), tempfile::tempdir().unwrap());
    let host = Process::start(&emulator, folder.path(), &[]);
    emulator.script(ANY, Script::demo().fail_after(2, InjectedFault::Hang));
    let chat =
        json!({"model": MODEL, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let chat = chat.to_string();
    let request = head(&format!("Content-Length: {}\r\n\r\n{chat}", chat.len()));
    let address = host.url.trim_start_matches("http://").to_owned();
    let ended = spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let mut first = [0; 512];
        assert!(socket.read(&mut first).unwrap() > 0);
        socket.shutdown(Shutdown::Write).unwrap();
        let mut rest = String::new();
        _ = socket.read_to_string(&mut rest);
        rest
    });
    let rest = timeout(LONG, ended).await.expect("it is answered still").unwrap();
    assert!(!rest.contains("[DONE]"), "{rest}");
    host.signal("-TERM");
    let log = host.log().await;
    assert!(log.contains("\"complete\":false"), "{log}");
}

#[actix_web::test]
async fn f18_heads_that_come_too_slowly_or_are_too_large_are_refused() {
    let host = host().await;
    let unfinished = send_raw(&host.url, head("X-Slow: ").into_bytes());
    let many = (0..200).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    let many = send_raw(&host.url, head(&format!("{many}\r\n")).into_bytes());
    let long = "y".repeat(200 << 10);
    let header = send_raw(&host.url, head(&format!("X-Long: {long}\r\n\r\n")).into_bytes());
    let uri = format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n");
    let uri = send_raw(&host.url, uri.into_bytes());
    let (unfinished, many, header, uri) = tokio::join!(unfinished, many, header, uri);
    assert!(unfinished.starts_with("HTTP/1.1 408 "), "{unfinished}");
    for refused in [many, header, uri] {
        let status = refused.split(' ').nth(1).unwrap_or("closed");
        assert!(["400", "414", "431", "closed"].contains(&status), "{refused}");
    }
    assert_eq!(
        host.request_without_key(Method::GET, "/health").send().await.unwrap().status(),
        200
    );
}

#[actix_web::test]
async fn f19_requests_that_two_servers_would_read_differently_are_refused_and_never_two() {
    let host = host().await;
    let smuggled = "GET /models HTTP/1.1\r\nHost: x\r\n\r\n";
    let shapes = [
        format!("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Content-Length: 0\r\nContent-Length: 44\r\n\r\n{smuggled}"),
        format!("Content-Length: 0, 44\r\n\r\n{smuggled}"),
        format!("Content-Length: +5\r\n\r\nhello{smuggled}"),
        format!("Content-Length: -1\r\n\r\n{smuggled}"),
        format!("Content-Length: 0x10\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\n\r\nzz\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{smuggled}"),
        format!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!(" Content-Length: 5\r\n\r\nhello{smuggled}"),
    ];
    for shape in shapes {
        let request = head(&shape);
        let answer = send_raw(&host.url, request.clone().into_bytes()).await;
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{request}\n{answer}");
        let status = answer.split(' ').nth(1).unwrap_or("closed");
        assert!(status.starts_with('4') || status == "closed", "{request}\n{answer}");
    }
}

#[actix_web::test]
async fn f22_hundreds_that_say_nothing_slow_nobody() {
    let (emulator, folder) =
        (Emulator::start(EmulatorOptions::default()).unwrap(), tempfile::tempdir().unwrap());
    let host = Process::start(&emulator, folder.path(), &[]);
    let address = host.url.trim_start_matches("http://").to_owned();
    let idle = spawn_blocking(move || {
        let request = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
        let connect = |_| {
            let mut socket = TcpStream::connect(&address).unwrap();
            socket.write_all(request.as_bytes()).unwrap();
            let mut answer = [0; 512];
            assert!(socket.read(&mut answer).unwrap() > 0);
            socket
        };
        (0..400).map(connect).collect::<Vec<_>>()
    });
    let idle = idle.await.unwrap();
    for _ in 0..20 {
        assert_eq!(host.chat().await.status(), 200);
    }
    let status = fs::read_to_string(format!("/proc/{}/status", host.id())).unwrap();
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap();
    assert!(threads.trim().parse::<u32>().unwrap() < 60, "{threads}");
    drop(idle);
    assert_eq!(host.ready().await, 200);
}

#[actix_web::test]
async fn f23_a_host_without_descriptors_waits_for_some_and_recovers() {
    let (emulator, folder) =
        (Emulator::start(EmulatorOptions::default()).unwrap(), tempfile::tempdir().unwrap());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 120; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_pipewright")])
        .args(["--host", "127.0.0.1", "--workers", "1", "--port", &port.to_string()])
        .current_dir(folder.path())
        .env("BEDROCK_MODELS_ENDPOINT_URL", emulator.endpoint())
        .stdout(Stdio::null())
        .stderr(File::create(folder.path().join("log")).unwrap())
        .spawn()
        .unwrap();
    let client = crate::support::client();
    let health = format!("http://127.0.0.1:{port}/health");
    let is_well = async || client.get(&health).send().await.is_ok_and(|ok| ok.status() == 200);
    timeout(LONG, async { while !is_well().await {} }).await.unwrap();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap().count();
    // More than it can have; those that it cannot take wait in the kernel's queue.
    let connect = move |_| TcpStream::connect(("127.0.0.1", port)).unwrap();
    let taken = spawn_blocking(move || (0..200).map(connect).collect::<Vec<_>>()).await.unwrap();
    timeout(LONG, async {
        while descriptors() < 119 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it takes all that it can");
    drop(taken);
    timeout(LONG, async { while !is_well().await {} }).await.expect("it recovers");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Bodies that no route has asked for.
fn hostile_bodies() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "null",
        "[]",
        "0",
        "\"\"",
        "{",
        "{}",
        "{\"model\":null}",
        "NaN",
        "{\"a\":1,\"a\":2}",
        "{\"id\":\"../../etc/passwd\"}",
        "{\"url\":\"http://169.254.169.254/\"}",
        "{\"model\":\"\\ud800\",\"messages\":[{\"role\":\"user\",\"content\":\"\\udfff\"}]}",
        "{\"body\":null,\"user\":[]}",
        "{\"body\":{\"model\":5},\"user\":{\"role\":{}}}",
        "{\"model\":\"typed\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"x\"}]}]}",
        "{\"model\":\"typed\",\"input\":1e999}",
        "{\"query\":1,\"documents\":{}}",
        "{\"name\":\"\",\"texts\":[1]}",
        "--x\r\nContent-Disposition: form-data\r\n\r\n--x--",
    ];
    let mut bodies: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    bodies.push(vec![0xff; 100]);
    bodies.push("[".repeat(100_000).into_bytes());
    bodies.push(format!("{{\"model\":\"{}\"}}", "m".repeat(100_000)).into_bytes());
    bodies
}

async fn send(
    host: &TestHost,
    method: &Method,
    path: &str,
    body: Vec<u8>,
    keyed: bool,
) -> TestResponse {
    let request = if keyed {
        host.request(method.clone(), path)
    } else {
        host.request_without_key(method.clone(), path)
    };
    let kind = if body.starts_with(b"--x") {
        "multipart/form-data; boundary=x"
    } else {
        "application/json"
    };
    TestResponse::read(request.header("content-type", kind).body(body).send().await.unwrap()).await
}

#[actix_web::test]
async fn f39_no_route_breaks_whatever_it_is_sent_and_none_opens_without_a_key() {
    let host = Builder::new().flag("--bad-keys-per-minute", "1000000").start().await;
    let ids =
        ["typed", "script.whole", "none", "a.b/c:d", "%00", "..%2F..%2Fetc%2Fpasswd", "%F0%9F"];
    for route in ROUTES {
        let method = Method::from_bytes(route.method.as_str().as_bytes()).unwrap();
        let patterns = ["{id:.+}", "{collection:[^/]+}", "{document:.+}"];
        let is_one = !patterns.iter().any(|pattern| route.path.contains(pattern));
        for id in ids.iter().take(if is_one { 1 } else { ids.len() }) {
            let path =
                patterns.iter().fold(route.path.to_owned(), |path, part| path.replace(part, id));
            for body in hostile_bodies() {
                if route.access != Access::Open {
                    let refused = send(&host, &method, &path, body.clone(), false).await;
                    assert_eq!(refused.status, 401, "{} {path}", route.method);
                }
                let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
                let answer = send(&host, &method, &path, body, true).await;
                let place = format!("{} {path} {shown}: {}", route.method, answer.text);
                assert!(answer.status < 500 || answer.status == 503, "{} {place}", answer.status);
                if answer.status >= 400 {
                    let error = &answer.json;
                    let is_told =
                        error["detail"].is_string() || error["error"]["message"].is_string();
                    assert!(is_told, "{} {place}", answer.status);
                    assert!(!answer.text.contains(host.folder.path().to_str().unwrap()), "{place}");
                }
            }
        }
    }
    let none: Value = host.get("/pipelines").await.json;
    assert!(none["data"].is_array(), "{none}");
}

#[actix_web::test]
async fn s24_an_address_that_a_header_claims_is_not_believed() {
    let (emulator, folder) =
        (Emulator::start(EmulatorOptions::default()).unwrap(), tempfile::tempdir().unwrap());
    let host = Process::start(&emulator, folder.path(), &[]);
    for name in ["x-forwarded-for", "x-real-ip", "forwarded", "cf-connecting-ip", "true-client-ip"]
    {
        for address in ["203.0.113.9", "for=203.0.113.9", "127.0.0.1, 203.0.113.9"] {
            let url = format!("{}/models", host.url);
            let ask =
                |key: &str| host.client.get(&url).header(name, address).bearer_auth(key).send();
            assert_eq!(ask(KEY).await.unwrap().status(), 200);
        }
    }
    host.signal("-TERM");
    let log = host.log().await;
    assert!(!log.contains("203.0.113.9"), "{log}");
}
