//! The commands, as a person runs them in a shell.

use actix_web::rt::task::spawn_blocking;
use bedrock_emulator::{DEMO_KEY, Emulator, EmulatorOptions};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

/// A command in an empty folder with an environment of its own.
struct Shell {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Shell {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// With Bedrock at this emulator, and no other credentials than its own.
    fn bedrock(self, endpoint: &str) -> Self {
        let (id, secret) = DEMO_KEY;
        self.variable("BEDROCK_MODELS_ENDPOINT_URL", endpoint)
            .variable("BEDROCK_MODELS_AWS_ACCESS_KEY_ID", id)
            .variable("BEDROCK_MODELS_AWS_SECRET_ACCESS_KEY", secret)
            .variable("BEDROCK_MODELS_REGIONS", "us-east-1")
    }

    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.path().join(name), text).unwrap();
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipewright"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Starts the server and returns it with what it prints up to `last`.
    fn serve(&self, arguments: &[&str], last: &str) -> (Server, String) {
        let mut command = self.command(arguments);
        let command = command.args(["--port", "0", "--workers", "1"]);
        let stderr = fs::File::create(self.path().join("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut text = String::new();
        while !text.contains(last) {
            text += &(lines.next().unwrap().unwrap() + "\n");
        }
        let url = text.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
        (Server { child, url }, text)
    }
}

struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Runs a test beside an emulator, whose endpoint it gets. The commands are waited for in a thread
/// of their own, so that the emulator can answer them.
async fn with_emulator(test: fn(&str)) {
    let emulator = Emulator::start(EmulatorOptions::demo()).unwrap();
    let endpoint = emulator.endpoint();
    spawn_blocking(move || test(&endpoint)).await.unwrap();
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_version_tells_the_build_and_needs_no_valid_settings() {
    let shell = Shell::new().file(".env", "no line of a file of variables\n").variable("PORT", "x");
    let output = shell.run(&["--version"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let version = format!("pipewright {} (", env!("CARGO_PKG_VERSION"));
    assert!(text.starts_with(&version) && text.trim_end().ends_with(')'), "{text}");
    let refused = shell.run(&["config"]);
    assert!(stderr(&refused).contains(".env: line 1 "), "{}", stderr(&refused));
}

#[test]
fn settings_are_printed_with_their_sources_and_secrets_are_masked() {
    let shell = Shell::new()
        .file(".env", "PIPELINES_API_KEY='canary of the file'\nUSAGE_DAYS=7\nHOST=\n")
        .variable("DATABASE_URL", "postgres://user:canary@localhost/x")
        .variable("METRICS_OPEN", "1")
        .variable("WORKERS", "")
        .variable("HOST", "localhost");
    let output = shell.run(&["config", "--port", "4711"]);
    let text = stdout(&output);
    assert!(output.status.success() && !text.contains("canary"), "{text}{}", stderr(&output));
    for (setting, source) in [
        ("PORT=4711", "--port"),
        ("USAGE_DAYS=7", ".env"),
        ("METRICS_OPEN=1", "environment"),
        ("WORKERS=0", "default"),
        ("HOST=localhost", "environment"),
        ("PIPELINES_API_KEY=********", ".env"),
        ("DATABASE_URL=********", "environment"),
    ] {
        let line = text.lines().find(|line| line.starts_with(&format!("{setting} ")));
        let line = line.unwrap_or_else(|| panic!("no {setting} in {text}"));
        assert!(line.ends_with(&format!("# {source}")), "{line}");
    }
}

#[test]
fn an_invalid_setting_is_named_by_its_variable() {
    for (variable, value, words) in [
        ("PORT", "many", "The value comes from the environment variable PORT."),
        ("METRICS_OPEN", "perhaps", "the environment variable METRICS_OPEN"),
        ("GLOBAL_LOG_LEVEL", "LOUD", "the environment variable GLOBAL_LOG_LEVEL"),
        ("HOST", "http://localhost", "the environment variable HOST"),
        ("VALVES_FILE", "/nothing/here.toml", "VALVES_FILE"),
        ("PIPEWRIGHT_URL", "http://localhost", "PIPEWRIGHT_URL"),
    ] {
        let output = Shell::new().variable(variable, value).run(&[]);
        assert!(!output.status.success(), "{variable}");
        assert!(stderr(&output).contains(words), "{variable}: {}", stderr(&output));
    }
}

#[test]
fn completions_and_the_manual_are_printed_and_a_closed_pipe_is_silent() {
    let shell = Shell::new();
    for name in ["bash", "zsh", "fish"] {
        let script = stdout(&shell.run(&["completions", name]));
        assert!(script.contains("port") && script.contains("completions"), "{name}");
    }
    let manual = stdout(&shell.run(&["man"]));
    assert!(manual.contains(".TH pipewright 1") && manual.contains("api\\-key"));
    let mut child =
        shell.command(&["valves"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[actix_web::test]
async fn the_banner_prints_a_command_that_works_with_the_key_in_use() {
    with_emulator(|endpoint| {
        let shells = [
            (Shell::new().bedrock(endpoint), ""),
            (Shell::new().bedrock(endpoint).variable("PIPELINES_API_KEY", "canary"), ""),
            (Shell::new().bedrock(endpoint).file(".env", "PIPELINES_API_KEY=canary\n"), "canary\n"),
        ];
        for (shell, typed) in shells {
            let (_server, text) = shell.serve(&["--host", "127.0.0.1"], "pipewright chat");
            assert!(!text.contains("canary"), "{text}");
            assert!(text.contains("/rag/") && text.contains("/usage/"), "{text}");
            let line = text.lines().find(|line| line.contains("curl")).unwrap();
            let mut command = Command::new("sh");
            command.args(["-c", line]).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
            command.envs(shell.variables.iter().map(|(name, value)| (name, value)));
            let input = shell.path().join("typed");
            fs::write(&input, typed).unwrap();
            let output = command.stdin(fs::File::open(input).unwrap()).output().unwrap();
            assert!(stdout(&output).contains(r#""object":"list""#), "{line}: {}", stdout(&output));
        }
    })
    .await;
}

#[actix_web::test]
async fn a_running_server_is_asked_by_the_commands() {
    with_emulator(|endpoint| {
        let shell = Shell::new().bedrock(endpoint).variable("PIPELINES_API_KEY", "a key");
        let (server, _) = shell.serve(&["--host", "127.0.0.1"], "Try it");
        let url = server.url.clone();
        let url = url.as_str();
        let port = url.rsplit(':').next().unwrap();
        assert!(shell.run(&["health", "--port", port]).status.success());
        assert!(shell.run(&["--url", url, "health"]).status.success());
        let list = stdout(&shell.run(&["models", "list", "--url", url]));
        assert!(list.contains("bedrock_models.amazon.nova-lite-v1:0"), "{list}");
        let valves = stdout(&shell.run(&["valves", "--url", url]));
        assert!(valves.contains("[bedrock_models]") && !valves.contains(DEMO_KEY.1), "{valves}");
        let model = "bedrock_models.amazon.nova-lite-v1:0";
        let answer = shell.run(&["chat", model, "What is a canary?", "--url", url]);
        assert!(stdout(&answer).contains("canary"), "{}", stderr(&answer));
        let refused = shell.run(&["chat", "nothing.like-it", "Hello", "--url", url]);
        assert!(stderr(&refused).contains("nothing.like-it"), "{}", stderr(&refused));
        let stranger = shell.run(&["models", "list", "--url", url, "--api-key", "another"]);
        assert!(stderr(&stranger).contains("PIPELINES_API_KEY"), "{}", stderr(&stranger));
        let log = fs::read_to_string(shell.path().join("log")).unwrap();
        assert!(!log.contains("actix_server"), "{log}");
        drop(server);
        let gone = shell.run(&["health", "--url", url]);
        assert_eq!(gone.status.code(), Some(1));
        assert!(stderr(&gone).contains("no server answers"), "{}", stderr(&gone));
    })
    .await;
}

#[actix_web::test]
async fn check_tells_what_works_and_what_does_not() {
    with_emulator(|endpoint| {
        let shell = Shell::new()
            .bedrock(endpoint)
            .variable("BEDROCK_MODELS_REGION", "x")
            .variable("AWS_REGION", "eu-west-1");
        let arguments =
            ["check", "--port", "0", "--host", "127.0.0.1", "--invoke", "amazon.nova-lite-v1:0"];
        let output = shell.run(&arguments);
        let text = stdout(&output);
        assert!(output.status.success(), "{text}{}", stderr(&output));
        for words in [
            "ok    port",
            "ok    data folder",
            "ok    credentials",
            "foundation models are listed",
            "ok    invoke        `amazon.nova-lite-v1:0` answers",
            "did you mean `BEDROCK_MODELS_REGIONS`?",
        ] {
            assert!(text.contains(words), "no `{words}` in {text}");
        }
        let nobody = Shell::new()
            .variable("AWS_PROFILE", "nobody")
            .variable("AWS_REGION", "eu-nowhere-1")
            .variable("BEDROCK_MODELS_ENDPOINT_URL", endpoint);
        let output = nobody.run(&["check", "--port", "0"]);
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("FAIL  credentials") && text.contains("nobody"), "{text}");
        assert!(text.contains("FAIL  eu-nowhere-1"), "{text}");
    })
    .await;
}

#[test]
fn check_fails_where_the_start_would_and_creates_nothing() {
    let placeholder = "<the value of KEY2>";
    for (variable, value, words) in [
        ("PIPELINES_API_KEYS", "x", "FAIL  settings      PIPELINES_API_KEYS: entry 1 is not"),
        ("PRICES_FILE", "/nosuch", "FAIL  settings      cannot read the prices in /nosuch"),
        ("PRICES_FILE", "broken.toml", "FAIL  settings      cannot read the prices in broken.toml"),
        ("PIPEWRIGHT_SECRET_KEY", "short", "FAIL  settings"),
        (
            "OPENAI_PROXY_API_BASE",
            "localhost:11434",
            "FAIL  openai_proxy  api_base (OPENAI_PROXY_API_BASE): must",
        ),
        ("OPENAI_PROXY_API_KEY", placeholder, "FAIL  openai_proxy  api_key: has the text `<the"),
        ("AWS_ACCESS_KEY_ID", placeholder, "FAIL  settings      AWS_ACCESS_KEY_ID: has the text"),
        ("PIPELINES_DIR", "no/such", "ok    data folder   `no/such` does not exist"),
        ("PIPELINES_DIR", "broken.toml/data", "broken.toml` is no folder"),
    ] {
        let shell = Shell::new()
            .file("broken.toml", "[bedrock_models\n")
            .variable("BEDROCK_MODELS_ENDPOINT_URL", "http://127.0.0.1:9")
            .variable(variable, value);
        let output = shell.run(&["check", "--port", "0"]);
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(1), "{variable}: {text}");
        assert!(text.contains(words), "no `{words}` in {text}{}", stderr(&output));
        assert!(value != placeholder || !text.contains("ok    credentials"), "{text}");
        assert!(!shell.path().join("no").exists(), "{text}");
        assert!(!shell.path().join("pipelines").exists(), "{text}");
    }
}

#[actix_web::test]
async fn check_invokes_a_model_beside_a_running_host() {
    with_emulator(|endpoint| {
        let shell = Shell::new().bedrock(endpoint);
        let (_server, _) = shell.serve(&["--host", "127.0.0.1"], "Try it");
        let model = "amazon.nova-lite-v1:0";
        let output = shell.run(&["check", "--port", "0", "--invoke", model]);
        let text = stdout(&output);
        assert!(text.contains("ok    invoke        `amazon.nova-lite-v1:0` answers"), "{text}");
    })
    .await;
}

#[test]
fn the_region_of_the_environment_is_the_default_of_the_valve() {
    let shell = Shell::new().variable("AWS_REGION", "").variable("AWS_DEFAULT_REGION", "eu-west-3");
    let valves = stdout(&shell.run(&["valves"]));
    let line = valves.lines().find(|line| line.starts_with("regions = ")).unwrap();
    assert!(line.contains(r#"["eu-west-3"]"#), "{line}");
    assert!(line.ends_with("# default from AWS_DEFAULT_REGION"), "{line}");
    let shell = shell.file("valves.toml", "[bedrock_models]\nregions = ['us-west-2']\n");
    let valves = stdout(&shell.run(&["valves"]));
    let line = valves.lines().find(|line| line.starts_with("regions = ")).unwrap();
    assert!(line.contains("us-west-2") && line.ends_with("# valves.toml"), "{line}");
}
