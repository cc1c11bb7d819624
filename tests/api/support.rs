//! A host for each test, and a client that speaks the domain's verbs.

use crate::pipes::PIPES;
use clap::Parser;
use pipewright::{
    app::App,
    cli::Cli,
    settings::Settings,
    slot::{ConfigSources, Registration},
    valves::Pins,
};
use reqwest::{Client, Method, RequestBuilder, Response};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

pub const KEY: &str = "a key of one's own";

/// A running host and the way to it.
pub struct TestHost {
    pub url: String,
    pub folder: TempDir,
    client: Client,
    running: JoinHandle<anyhow::Result<()>>,
}

/// A host to be started.
pub struct Builder {
    folder: TempDir,
    environment: BTreeMap<String, String>,
    pins: Pins,
    pipes: &'static [Registration],
    listens: &'static str,
    key: &'static str,
    flags: Vec<String>,
}

pub async fn host() -> TestHost {
    Builder::new().start().await
}

impl Builder {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (environment, pins, flags) = Default::default();
        let (listens, key) = ("127.0.0.1", KEY);
        Self { folder, environment, pins, pipes: PIPES, listens, key, flags }
    }

    /// Over the data of a host that was there before.
    pub fn with_folder(folder: TempDir) -> Self {
        Self { folder, ..Self::new() }
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    pub fn valves_file(self, text: &str) -> Self {
        fs::write(self.folder.path().join("valves.toml"), text).unwrap();
        self
    }

    pub fn pipes(mut self, pipes: &'static [Registration]) -> Self {
        self.pipes = pipes;
        self
    }

    /// Returns the folder of its data.
    pub fn data_folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// With this switch of the command line.
    pub fn switch(mut self, name: &str) -> Self {
        self.flags.push(name.into());
        self
    }

    /// With this flag of the command line.
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.extend([name.into(), value.into()]);
        self
    }

    /// At this address, with this key.
    pub fn listen_on(mut self, listens: &'static str, key: &'static str) -> Self {
        (self.listens, self.key) = (listens, key);
        self
    }

    pub fn pins(mut self, pins: Pins) -> Self {
        self.pins = pins;
        self
    }

    /// With this PostgreSQL.
    pub fn database(self, url: &str) -> Self {
        self.flag("--database-url", url)
    }

    pub async fn start(self) -> TestHost {
        let Self { folder, environment, pins, pipes, listens, key, flags } = self;
        let args =
            ["pipewright", "--host", listens, "--port", "0", "--workers", "1", "--api-key", key];
        let args = args.into_iter().chain(flags.iter().map(String::as_str));
        let settings: Settings = Cli::parse_from(args).settings;
        let site = ConfigSources {
            folder: folder.path().into(),
            file: folder.path().join("valves.toml"),
            environment,
            pins,
            roots: settings.path_roots(),
        };
        let app = App::build(&settings, site, pipes).await.unwrap();
        let url = format!("http://127.0.0.1:{}", app.port());
        let running = actix_web::rt::spawn(app.run_until_stopped());
        TestHost { url, folder, client: client(), running }
    }
}

/// A client for loopback. It trusts nobody else, and so need not read whom this machine trusts.
pub fn client() -> Client {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Client::builder().tls_backend_preconfigured(tls).build().unwrap()
}

impl TestHost {
    /// Ends the host, and returns the folder of its data.
    pub async fn stop(self) -> TempDir {
        self.running.abort();
        // An end that was called for is no failure.
        _ = self.running.await;
        self.folder
    }

    /// A request without a key.
    pub fn request_without_key(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_without_key(method, path).bearer_auth(KEY)
    }

    pub async fn get(&self, path: &str) -> TestResponse {
        TestResponse::read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> TestResponse {
        TestResponse::read(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }

    pub async fn chat(&self, model: &str, text: &str) -> TestResponse {
        self.post("/chat/completions", &chat(model, text)).await
    }

    /// The data of every frame of a streamed chat, and the rest of what was sent.
    pub async fn stream(&self, model: &str, text: &str) -> Vec<String> {
        let mut body = chat(model, text);
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
        let answered = self.post("/chat/completions", &body).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        answered.text.split("\n\n").filter(|frame| !frame.is_empty()).map(str::to_owned).collect()
    }

    /// The first line of the answer to this, which clients mostly do not show whole.
    pub async fn status_line(&self, path: &str, body: &Value) -> String {
        let (address, body) = (self.url.trim_start_matches("http://").to_owned(), body.to_string());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let line = tokio::task::spawn_blocking(move || {
            let mut socket = TcpStream::connect(address).unwrap();
            socket.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).unwrap();
            answer.lines().next().unwrap().to_owned()
        });
        line.await.unwrap()
    }

    pub async fn answer_text(&self, model: &str, text: &str) -> String {
        let answered = self.chat(model, text).await;
        answered.json["choices"][0]["message"]["content"]
            .as_str()
            .unwrap_or(&answered.text)
            .to_owned()
    }

    pub async fn update_valves(&self, pipe: &str, valves: &Value) -> TestResponse {
        self.post(&format!("/{pipe}/valves/update"), valves).await
    }

    pub async fn valves(&self, pipe: &str) -> Value {
        self.get(&format!("/{pipe}/valves")).await.json
    }
}

pub fn chat(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct TestResponse {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    pub json: Value,
}

impl TestResponse {
    pub async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Self { status, headers, text, json }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The message of an error of this status, in either of its shapes.
    pub fn error_message(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{}", self.text);
        self.json["detail"].as_str().or_else(|| self.json["error"]["message"].as_str()).unwrap()
    }
}
