//! Connections to small servers in Python, over both transports.

use super::{
    McpServers, ToolFilter,
    config::{McpServer, McpTransport},
    parse_servers, parse_tokens,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// Answers messages: the part that both servers share.
const ANSWER: &str = r#"
import json, os, sys
def answer(message):
    method = message["method"]
    if method == "initialize":
        result = {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "tests", "version": "1"}}
    elif method == "tools/list":
        names = ["echo", "fail"] if message["params"].get("cursor") == "2" else ["other"]
        result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in names]}
        if names == ["other"]:
            result["nextCursor"] = "2"
    else:
        text = json.dumps(message["params"]["arguments"]) + " " + " ".join(sorted(os.environ))
        result = {"content": [{"type": "text", "text": text}], "isError": message["params"]["name"] == "fail"}
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}
"#;

const STDIO: &str = r#"
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        print(json.dumps(answer(message)), flush=True)
"#;

/// Over HTTP, with events for calls of tools, for a client with the token.
const HTTP: &str = r#"
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers["authorization"] != "Bearer t0ken":
            status, kind, body = 401, "text/plain", b"no"
        elif "id" not in message:
            status, kind, body = 202, "text/plain", b""
        else:
            body, status, kind = json.dumps(answer(message)).encode(), 200, "application/json"
            if message["method"] == "tools/call":
                kind, body = "text/event-stream", b"event: message\ndata: " + body + b"\n\n"
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// Returns whether the machine has Python; says so where it has none.
#[expect(clippy::print_stderr, reason = "tells why it is skipped")]
fn has_python() -> bool {
    let has = Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !has {
        eprintln!("Skipped: there is no python3.");
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

fn start_http() -> (Running, u16) {
    let program = format!("{ANSWER}{HTTP}");
    let child = Command::new("python3").args(["-c", &program]).stdout(Stdio::piped()).spawn();
    let mut running = Running(child.unwrap());
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (running, line.trim().parse().unwrap())
}

fn process() -> McpServer {
    let transport = McpTransport::Process {
        command: "python3".into(),
        args: vec!["-c".into(), format!("{ANSWER}{STDIO}")],
        env: vec![("OWN".into(), "1".into())],
    };
    McpServer { name: "local".into(), transport }
}

async fn call(servers: &McpServers, name: &str, arguments: Value) -> (String, bool) {
    let toolbox = servers.connect().await.unwrap();
    let Value::Object(arguments) = arguments else { panic!("no object") };
    let run = toolbox.call(name, arguments).await;
    (run.text, run.is_error)
}

#[tokio::test]
async fn a_process_serves_its_tools_and_gets_no_secrets() {
    if !has_python() {
        return;
    }
    let servers = McpServers::new(vec![process()], ToolFilter::default());
    let (text, is_error) = call(&servers, "local_echo", json!({"a": 1})).await;
    assert!(text.starts_with(r#"{"a": 1}"#) && text.contains("OWN") && !is_error, "{text}");
    assert!(!text.contains("CARGO"), "{text}");
    let (text, is_error) = call(&servers, "local_fail", json!({"a": 1})).await;
    assert!(text.starts_with("Error: {") && is_error, "{text}");
}

#[tokio::test]
async fn a_server_over_http_gets_its_token() {
    if !has_python() {
        return;
    }
    let (_running, port) = start_http();
    let address = format!("web=http://127.0.0.1:{port}/mcp");
    let with_token = |token: &str| {
        let servers = parse_servers(&address, &parse_tokens(token).unwrap()).unwrap();
        McpServers::new(servers, ToolFilter::parse("web.echo"))
    };
    let (text, is_error) = call(&with_token("web=t0ken"), "web_echo", json!({"a": 1})).await;
    assert!(text.starts_with(r#"{"a": 1}"#) && !is_error, "{text}");
    let (text, _) = call(&with_token("web=t0ken"), "web_other", json!({})).await;
    assert!(text.contains("no tool of this name"), "{text}");
    let refused = with_token("web=wrong").connect().await.err().unwrap();
    assert!(refused.contains("`web`") && refused.contains("401"), "{refused}");
    assert!(!refused.contains("rmcp"), "{refused}");
}

#[tokio::test]
async fn a_server_that_cannot_be_used_is_named_with_the_reason() {
    let gone = parse_servers("gone=http://127.0.0.1:9/mcp", &parse_tokens("").unwrap()).unwrap();
    let missing = McpTransport::Process {
        command: "/nonexistent/program".into(),
        args: Vec::new(),
        env: Vec::new(),
    };
    let missing = McpServer { name: "missing".into(), transport: missing };
    let servers = gone.into_iter().chain([missing]).collect();
    let reason = McpServers::new(servers, ToolFilter::default()).connect().await.err().unwrap();
    assert!(reason.contains("`gone`") && reason.contains("cannot be reached"), "{reason}");
    assert!(reason.contains("`missing`") && reason.contains("cannot be started"), "{reason}");
    assert!(!reason.contains("rmcp"), "{reason}");
}
