//! The binary itself, as an orchestrator starts and stops it.

use crate::support::client;
use bedrock_emulator::{DEMO_KEY, Emulator};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
};

pub const KEY: &str = "a key of one's own";
pub const MODEL: &str = "bedrock_models.amazon.nova-lite-v1:0";

/// A running host, ended with its test.
pub struct Process {
    child: Child,
    pub url: String,
    pub client: Client,
    log: PathBuf,
}

impl Process {
    /// Starts the host over this folder, with Bedrock at this emulator.
    pub fn start(emulator: &Emulator, folder: &Path, arguments: &[&str]) -> Self {
        let (id, secret) = DEMO_KEY;
        let keys = [
            ("BEDROCK_MODELS_AWS_ACCESS_KEY_ID", id),
            ("BEDROCK_MODELS_AWS_SECRET_ACCESS_KEY", secret),
        ];
        Self::start_as(&keys, emulator, folder, arguments)
    }

    /// The same as whom these variables say.
    pub fn start_as(
        variables: &[(&str, &str)],
        emulator: &Emulator,
        folder: &Path,
        arguments: &[&str],
    ) -> Self {
        let log = File::create(folder.join("log")).unwrap();
        Self::start_onto(log.into(), variables, emulator, folder, arguments)
    }

    /// The same, logging to this.
    pub fn start_onto(
        log: Stdio,
        variables: &[(&str, &str)],
        emulator: &Emulator,
        folder: &Path,
        arguments: &[&str],
    ) -> Self {
        let program = Command::new(env!("CARGO_BIN_EXE_pipewright"));
        Self::start_program(program, log, variables, emulator, folder, arguments)
    }

    /// Starts the host where these lines are its `/etc/hosts`; `None` where this machine lets
    /// nobody mount files of their own.
    pub fn start_with_hosts(
        hosts: &str,
        variables: &[(&str, &str)],
        emulator: &Emulator,
        folder: &Path,
    ) -> Option<Self> {
        let file = folder.join("hosts");
        fs::write(&file, hosts).unwrap();
        let mounted = |and_then: &str| {
            let mut program = Command::new("unshare");
            let script = format!("mount --bind \"$0\" /etc/hosts && {and_then}");
            program.args(["--map-root-user", "--mount", "sh", "-c", &script]).arg(&file);
            program
        };
        mounted("true").status().is_ok_and(|status| status.success()).then(|| {
            let mut program = mounted("exec \"$@\"");
            program.arg(env!("CARGO_BIN_EXE_pipewright"));
            let log = File::create(folder.join("log")).unwrap();
            Self::start_program(program, log.into(), variables, emulator, folder, &[])
        })
    }

    fn start_program(
        mut program: Command,
        log: Stdio,
        variables: &[(&str, &str)],
        emulator: &Emulator,
        folder: &Path,
        arguments: &[&str],
    ) -> Self {
        let mut child = program
            .args(["--host", "127.0.0.1", "--port", "0", "--workers", "1"])
            .args(arguments)
            .current_dir(folder)
            .env("PIPELINES_API_KEY", KEY)
            .env("BEDROCK_MODELS_ENDPOINT_URL", emulator.endpoint())
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, url, client: client(), log: folder.join("log") }
    }

    pub fn signal(&self, signal: &str) {
        let sent =
            Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Returns the pipe that it logs to.
    pub fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().unwrap()
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn has_stderr(&self) -> bool {
        self.child.stderr.is_some()
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(KEY).send().await.unwrap()
    }

    /// The value of this metric.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").await.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}: {text}")).parse().unwrap()
    }

    /// Waits for the end of the process.
    pub async fn wait_for_exit(mut self) -> ExitStatus {
        let mut child = std::mem::replace(&mut self.child, Command::new("true").spawn().unwrap());
        tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap()
    }

    /// Returns the log until its end.
    pub async fn log(self) -> String {
        let log = self.log.clone();
        assert_eq!(self.wait_for_exit().await.code(), Some(0));
        fs::read_to_string(log).unwrap()
    }

    pub async fn chat(&self) -> Response {
        let body = json!({"model": MODEL, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
        self.post("/chat/completions", &body).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.client
            .post(format!("{}{path}", self.url))
            .bearer_auth(KEY)
            .json(body)
            .send()
            .await
            .unwrap()
    }

    pub async fn ready(&self) -> u16 {
        self.client
            .get(format!("{}/health/ready", self.url))
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
