//! MCP servers: one over HTTP that answers by a script, and programs in Python.

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    path::PathBuf,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;

/// A running server with the tools `add` and `fail`.
pub struct McpServer {
    pub url: String,
    calls: Arc<Mutex<Vec<Value>>>,
}

impl McpServer {
    /// Starts a server that demands this token.
    pub fn start(token: &'static str) -> Self {
        let calls = Arc::new(Mutex::<Vec<Value>>::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let seen = Arc::clone(&calls);
        let app = move || {
            let seen = Arc::clone(&seen);
            App::new().default_service(web::to(move |request: HttpRequest, body: web::Bytes| {
                let response = respond(&request, &body, token, &seen);
                std::future::ready(response)
            }))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap();
        actix_web::rt::spawn(server.run());
        Self { url, calls }
    }

    /// Returns the parameters of all calls of tools.
    pub fn calls(&self) -> Vec<Value> {
        self.calls.lock().unwrap().clone()
    }
}

fn respond(
    request: &HttpRequest,
    body: &[u8],
    token: &str,
    seen: &Mutex<Vec<Value>>,
) -> HttpResponse {
    let sent = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if !token.is_empty() && sent != Some(format!("Bearer {token}").as_str()) {
        return HttpResponse::Unauthorized().finish();
    }
    if request.method() != "POST" {
        return HttpResponse::MethodNotAllowed().finish();
    }
    let message: Value = serde_json::from_slice(body).unwrap();
    let Some(id) = message.get("id") else { return HttpResponse::Accepted().finish() };
    let result = match message["method"].as_str().unwrap() {
        "initialize" => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "tests", "version": "1"},
        }),
        "tools/list" => json!({"tools": [tool("add"), tool("fail")]}),
        "tools/call" => {
            let params = &message["params"];
            seen.lock().unwrap().push(params.clone());
            let arguments = &params["arguments"];
            match params["name"].as_str().unwrap() {
                "add" => {
                    let sum = arguments["a"].as_i64().unwrap_or_default()
                        + arguments["b"].as_i64().unwrap_or_default();
                    let text = format!("sum={sum} for {}", arguments["note"]);
                    json!({"content": [{"type": "text", "text": text}]})
                }
                _ => json!({"content": [{"type": "text", "text": "no luck"}], "isError": true}),
            }
        }
        other => panic!("{other}"),
    };
    HttpResponse::Ok().json(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn tool(name: &str) -> Value {
    let number = json!({"type": "integer"});
    let schema = json!({"type": "object", "properties": {"a": number, "b": number}});
    json!({"name": name, "description": "For tests.", "inputSchema": schema})
}

/// A server on standard input and output. `hang` never ends, nor does the process that it starts;
/// both hold a connection to the port of the first argument.
const STDIO_SERVER: &str = r#"
import json, os, socket, sys, time
held = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
held.sendall(b"up")
tool = lambda name: {"name": name, "inputSchema": {"type": "object"}}
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    method = message["method"]
    if method == "initialize":
        result = {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "tests", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": [tool("environment"), tool("hang")]}
    elif message["params"]["name"] == "hang":
        os.fork()
        held.sendall(b"hangs")
        while True:
            time.sleep(60)
    else:
        result = {"content": [{"type": "text", "text": "names: " + " ".join(sorted(os.environ))}]}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"#;

/// A folder with the operator's file, which names a server `local` that connects to this port.
pub fn operator_file(port: u16) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("server.py");
    std::fs::write(&program, STDIO_SERVER).unwrap();
    let server = json!({
        "command": "python3",
        "args": [program.to_str().unwrap(), port.to_string()],
        "env": {"OWN": "1"},
    });
    let path = write_servers(&folder, &json!({"local": server}));
    (folder, path)
}

/// Writes the operator's file with these servers.
pub fn write_servers(folder: &TempDir, servers: &Value) -> PathBuf {
    let path = folder.path().join("mcp.json");
    std::fs::write(&path, json!({"mcpServers": servers}).to_string()).unwrap();
    path
}
