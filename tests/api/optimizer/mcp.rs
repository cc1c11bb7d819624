//! Tools of MCP servers through the whole host, over HTTP and over standard input and output.

use super::{
    Rig, ScriptedReply, Upstream, calls, content, host_of,
    mcp_server::{McpServer, operator_file, write_servers},
    rig, says,
};
use crate::support::{Builder, chat};
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{io::AsyncReadExt, net::TcpListener, time::timeout};

fn is_result(prompt: &str) -> bool {
    prompt.contains("\"role\":\"tool\"")
}

/// Calls a tool, and repeats what came of it.
fn adding(prompt: &str, _: usize) -> ScriptedReply {
    if is_result(prompt) {
        let sum =
            prompt.split("sum=").nth(1).map_or("none", |rest| rest.split(' ').next().unwrap());
        return says(&format!("It is {sum}."));
    }
    ScriptedReply::Calls(
        "Let me see. ".into(),
        vec![("tools_add".into(), json!({"a": 40, "b": 2}))],
    )
}

fn valves_of(server: &McpServer) -> Value {
    json!({"mcp_servers": format!("tools={}", server.url), "mcp_tokens": "tools=t0ken"})
}

/// A host whose operator has named this file.
async fn rig_of_operator(
    file: &Path,
    script: impl Fn(&str, usize) -> ScriptedReply + Send + Sync + 'static,
) -> Rig {
    let upstream = Upstream::start(&["m", "moa-real"], script);
    let table = format!("[optimizer]\nmcp_config = {:?}\n", file.to_str().unwrap());
    let builder = Builder::new().valves_file(&table);
    let host = host_of(builder, &upstream.url, &json!({})).await;
    Rig { upstream, host }
}

#[actix_web::test]
async fn a_model_calls_tools_until_it_can_answer() {
    let server = McpServer::start("t0ken");
    let rig = rig(valves_of(&server), adding).await;
    let (answered, made) = rig.count_calls("mcp-m", json!({"x_optimizer": true})).await;
    assert_eq!((content(&answered), made), ("Let me see. It is 42.", 2));
    assert_eq!(answered.json["choices"][0]["finish_reason"], "stop");
    assert!(answered.json["choices"][0]["message"]["tool_calls"].is_null(), "{}", answered.text);
    assert_eq!(answered.json["usage"]["total_tokens"], 2 * 13);
    assert_eq!(answered.json["x_optimizer"]["depth"], 2, "{}", answered.text);
    let called = server.calls();
    assert_eq!((called.len(), &called[0]["arguments"]["a"]), (1, &json!(40)));
    let sent = rig.upstream.chat_bodies();
    assert_eq!(sent[0]["tools"][0]["function"]["name"], "tools_add", "{}", sent[0]);
    let turns = sent[1]["messages"].as_array().unwrap();
    let last: Vec<_> = turns.iter().rev().take(2).map(|turn| &turn["role"]).collect();
    assert_eq!(last, ["tool", "assistant"]);
    // In a stream, people see what is called between the texts.
    let frames = rig.host.stream("mcp-m", "What is asked?").await;
    let at = |part: &str| frames.iter().position(|frame| frame.contains(part)).unwrap();
    assert!(at("Let me see") < at("Calling tools.add") && at("Calling tools.add") < at("It is 42"));
    assert!(frames.iter().all(|frame| !frame.contains("tool_calls")), "{frames:?}");
}

#[actix_web::test]
async fn tools_of_the_client_stay_the_clients() {
    let server = McpServer::start("t0ken");
    let script = |_: &str, _: usize| {
        let both = ["mine", "tools_add"].map(|name| (name.to_owned(), json!({})));
        ScriptedReply::Calls(String::new(), both.into())
    };
    let rig = rig(valves_of(&server), script).await;
    let tool =
        json!({"type": "function", "function": {"name": "mine", "parameters": {"type": "object"}}});
    let answered = rig.ask("mcp-m", json!({"tools": [tool]})).await;
    let choice = &answered.json["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls", "{}", answered.text);
    let names = choice["message"]["tool_calls"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|call| &call["function"]["name"]).collect();
    assert_eq!(names, ["mine"]);
    assert!(server.calls().is_empty());
}

#[actix_web::test]
async fn rounds_of_calls_have_an_end() {
    let server = McpServer::start("t0ken");
    let script = |_: &str, number: usize| match number {
        10 | 12 => says("Enough."),
        _ => calls("tools_fail", json!({})),
    };
    let rig = rig(valves_of(&server), script).await;
    let (answered, made) = rig.count_calls("mcp-m", json!({})).await;
    assert_eq!((content(&answered), made), ("Enough.", 11));
    let sent = rig.upstream.chat_bodies();
    assert_eq!((&sent[9]["tool_choice"], &sent[10]["tool_choice"]), (&Value::Null, &json!("none")));
    assert!(sent[1]["messages"].to_string().contains("Error: no luck"));
    let few = json!({"max_calls": 2, "mcp_tools": "tools.add"});
    assert_eq!(rig.host.update_valves("optimizer", &few).await.status, 200);
    let (answered, made) = rig.count_calls("mcp-m", json!({})).await;
    assert_eq!((content(&answered), made), ("Enough.", 2));
    let sent = rig.upstream.chat_bodies().pop().unwrap();
    let tools = sent["tools"].as_array().unwrap().len();
    assert_eq!((&sent["tool_choice"], tools), (&json!("none"), 1));
    assert!(sent["messages"].to_string().contains("There is no tool of this name"), "{sent}");
    // A model that never answers has not answered.
    let answered = rig.ask("mcp-m", json!({})).await;
    assert_eq!(answered.status, 502, "{}", answered.text);
}

#[actix_web::test]
async fn a_server_that_fails_is_left_out_or_named() {
    let server = McpServer::start("t0ken");
    let both = format!("tools={}, gone=http://127.0.0.1:9/mcp", server.url);
    let rig = rig(json!({"mcp_servers": both, "mcp_tokens": "tools=t0ken"}), adding).await;
    let answered = rig.ask("mcp-m", json!({"x_optimizer": true})).await;
    assert_eq!(content(&answered), "Let me see. It is 42.");
    let notes = answered.json["x_optimizer"]["notes"].to_string();
    assert!(notes.contains("`gone`") && notes.contains("cannot be reached"), "{notes}");
    let wrong = json!({"mcp_servers": format!("tools={}", server.url), "mcp_tokens": "tools=no"});
    assert_eq!(rig.host.update_valves("optimizer", &wrong).await.status, 200);
    let (answered, made) = rig.count_calls("mcp-m", json!({})).await;
    assert_eq!((answered.status, made), (502, 0), "{}", answered.text);
    assert!(
        answered.text.contains("401") && !answered.text.contains("Bearer"),
        "{}",
        answered.text
    );
    let metadata = json!({"mcp_servers": "m=http://169.254.169.254/mcp", "mcp_tokens": ""});
    assert_eq!(rig.host.update_valves("optimizer", &metadata).await.status, 200);
    let answered = rig.ask("mcp-m", json!({})).await;
    assert!(answered.text.contains("metadata service"), "{}", answered.text);
    let none = json!({"mcp_servers": "", "mcp_tokens": ""});
    assert_eq!(rig.host.update_valves("optimizer", &none).await.status, 200);
    let (answered, made) = rig.count_calls("mcp&moa-m", json!({})).await;
    assert!(answered.error_message(400).contains("`mcp_servers`") && made == 0);
}

#[actix_web::test]
async fn a_token_is_entered_again_when_the_server_moves() {
    let server = McpServer::start("t0ken");
    let rig = rig(valves_of(&server), adding).await;
    let moved = json!({"mcp_servers": "tools=http://127.0.0.1:9/mcp"});
    let refused = rig.host.update_valves("optimizer", &moved).await;
    assert!(refused.error_message(422).contains("must be entered again"));
}

#[actix_web::test]
async fn privacy_holds_for_tools_too() {
    let server = McpServer::start("t0ken");
    let script = |prompt: &str, _: usize| {
        assert!(!prompt.contains("jane@"), "{prompt}");
        if is_result(prompt) {
            return says("I wrote to <EMAIL_1>.");
        }
        calls("tools_add", json!({"a": 1, "note": ["to <EMAIL_1>"]}))
    };
    let rig = rig(valves_of(&server), script).await;
    let asked = json!({"messages": [{"role": "user", "content": "Write to jane@example.com"}]});
    let answered = rig.ask("privacy&mcp-m", asked).await;
    assert_eq!(content(&answered), "I wrote to jane@example.com.");
    assert!(!json!(server.calls()).to_string().contains("jane"), "{:?}", server.calls());
}

#[actix_web::test]
async fn other_approaches_go_on_with_what_tools_found() {
    let server = McpServer::start("t0ken");
    let script = |prompt: &str, number: usize| {
        if prompt.contains("An earlier attempt") {
            return says(if prompt.contains("It is 42.") { "42 it is" } else { "?" });
        }
        adding(prompt, number)
    };
    let rig = rig(valves_of(&server), script).await;
    assert_eq!(content(&rig.ask("mcp&re2-m", json!({})).await), "42 it is");
    let answered = rig.ask("mcp|re2-m", json!({})).await;
    assert_eq!(content(&answered), "Let me see. It is 42.");
    for path in ["/responses", "/messages"] {
        let mut body = chat("mcp-m", "What is asked?");
        body["max_tokens"] = 50.into();
        if path == "/responses" {
            body = json!({"model": "mcp-m", "input": "What is asked?"});
        }
        let answered = rig.host.post(path, &body).await;
        assert!(answered.text.contains("It is 42."), "{path}: {}", answered.text);
    }
}

#[actix_web::test]
async fn only_the_operator_names_programs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (folder, file) = operator_file(listener.local_addr().unwrap().port());
    let host = Builder::new();
    let saved = json!({"mcp_config": file.to_str().unwrap()});
    let data = host.data_folder().join("optimizer");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("valves.json"), saved.to_string()).unwrap();
    let upstream = Upstream::start(&["m"], |_, _| calls("local_environment", json!({})));
    let host = host_of(host, &upstream.url, &json!({})).await;
    let refused = host.update_valves("optimizer", &saved).await;
    assert!(refused.error_message(422).contains("mcp_config: can be set by the operator only"));
    // A value that was saved in another way does not count.
    let asked = host.post("/chat/completions", &chat("mcp-m", "Hi")).await;
    assert!(asked.error_message(400).contains("there is no MCP server"), "{}", asked.text);
    // Nor does a program in a valve that admins may turn.
    for wrong in ["local=python3", "local=file:///bin/sh", "local=stdio:/bin/sh"] {
        let refused = host.update_valves("optimizer", &json!({"mcp_servers": wrong})).await;
        assert_eq!(refused.status, 422, "{wrong}");
    }
    drop(folder);
}

#[actix_web::test]
async fn a_program_of_the_operator_serves_tools_without_the_hosts_secrets() {
    if !has_python("import json") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_folder, file) = operator_file(listener.local_addr().unwrap().port());
    let script = |prompt: &str, _: usize| {
        if is_result(prompt) { says(prompt) } else { calls("local_environment", json!({})) }
    };
    let rig = rig_of_operator(&file, script).await;
    let answered = rig.ask("mcp-m", json!({})).await;
    let names = content(&answered).split("names: ").nth(1).unwrap();
    assert!(names.contains("OWN") && names.contains("PATH"), "{names}");
    assert!(!names.contains("CARGO"), "{names}");
}

#[actix_web::test]
async fn a_client_that_leaves_ends_the_program_and_what_it_started() {
    if !has_python("import json") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_folder, file) = operator_file(listener.local_addr().unwrap().port());
    let rig = rig_of_operator(&file, |_, _| calls("local_hang", json!({}))).await;
    let mut body = chat("mcp-m", "What is asked?");
    body["stream"] = true.into();
    let answer = rig.host.request(Method::POST, "/chat/completions").json(&body).send().await;
    let mut bytes = answer.unwrap().bytes_stream();
    bytes.next().await.unwrap().unwrap();
    let (mut held, _) = listener.accept().await.unwrap();
    let mut said = [0; 12];
    // "up" of one, and "hangs" of both.
    held.read_exact(&mut said).await.unwrap();
    drop(bytes);
    let mut rest = Vec::new();
    let closed = timeout(Duration::from_secs(30), held.read_to_end(&mut rest)).await;
    _ = closed.expect("both processes end");
}

/// The Python that has the SDK, and whether it can run this.
fn python() -> String {
    std::env::var("MCP_PYTHON").unwrap_or_else(|_| "python3".into())
}

#[expect(clippy::print_stderr, reason = "tells why it is skipped")]
fn has_python(program: &str) -> bool {
    let tried = Command::new(python()).args(["-c", program]).stderr(Stdio::null()).status();
    let has = tried.is_ok_and(|status| status.success());
    if !has {
        eprintln!("Skipped: `{} -c '{program}'` fails (MCP_PYTHON names another).", python());
    }
    has
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[actix_web::test]
async fn servers_of_the_python_sdk_serve_over_both_transports() {
    if !has_python("import mcp.server.mcpserver") {
        return;
    }
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/optimizer/mcp_sdk_server.py");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let http = Command::new(python()).args([program, "http", &port]).stderr(Stdio::piped()).spawn();
    let mut http = Running(http.unwrap());
    wait_for_line(&mut http.0, "Uvicorn running");
    let folder = tempfile::tempdir().unwrap();
    let servers = json!({
        "web": {"type": "streamable-http", "url": format!("http://127.0.0.1:{port}/mcp")},
        "local": {"command": python(), "args": [program, "stdio"]},
    });
    let file = write_servers(&folder, &servers);
    let script = |prompt: &str, _: usize| {
        if is_result(prompt) {
            return says(prompt);
        }
        let both = ["web_multiply", "local_multiply"].into_iter().zip([7, 8]);
        let both = both.map(|(name, b)| (name.to_owned(), json!({"a": 6, "b": b})));
        ScriptedReply::Calls(String::new(), both.collect())
    };
    let rig = rig_of_operator(&file, script).await;
    let answered = rig.ask("mcp-m", json!({})).await;
    let said = content(&answered);
    assert!(said.contains("product=42") && said.contains("product=48"), "{said}");
}

/// Waits until a process has written a line with this in it to its standard error.
fn wait_for_line(child: &mut Child, part: &str) {
    use std::io::{BufRead, BufReader};
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(part)), "it ended");
}
