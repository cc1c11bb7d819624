//! `pipewright check`: what would keep the server from working, one line for each finding.

use super::{
    print,
    server_client::{ServerClient, build_client, error_message},
};
use actix_web::rt;
use bedrock_models::{BedrockValves, Diagnosis, diagnose};
use pipewright::{
    app::App,
    cli::CheckArgs,
    pipes::PIPES,
    setting_problems::find_problems,
    settings::{Settings, check_data_folder},
    slot::ConfigSources,
    valves::{Pins, Values, ValvesFile},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::ExitCode,
    time::{Duration, SystemTime},
};
use store::{Cipher, Store};

/// The longest time that a probe of a server may take.
const PROBE_LIMIT: Duration = Duration::from_secs(3);
/// AWS refuses signatures of a clock that differs by more than five minutes.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(240);

/// The findings, printed as they come.
struct Report {
    has_failed: bool,
}

impl Report {
    fn add(&mut self, subject: &str, result: Result<String, String>) -> anyhow::Result<()> {
        let (mark, words) = match result {
            Ok(words) => ("ok  ", words),
            Err(words) => {
                self.has_failed = true;
                ("FAIL", words)
            }
        };
        print(&format!("{mark}  {subject:<12}  {words}\n"))
    }

    /// Prints a warning.
    fn warn(&mut self, subject: &str, words: &str) -> anyhow::Result<()> {
        print(&format!("warn  {subject:<12}  {words}\n"))
    }
}

/// Checks everything. The exit code is 0 if nothing failed.
pub async fn check(
    settings: &Settings,
    url: Option<&str>,
    args: &CheckArgs,
) -> anyhow::Result<ExitCode> {
    let mut report = Report { has_failed: false };
    let sources = settings.config_sources(Pins::default());
    let is_valid = settings.check();
    let problems = find_problems(&sources, PIPES);
    if is_valid.is_err() || problems.is_empty() {
        report.add("settings", to_finding(is_valid, "no contradictions"))?;
    }
    for problem in problems {
        report.warn("settings", &problem.to_string())?;
    }
    let server = ServerClient::new(url, settings)?;
    let is_running = is_running(&server).await;
    report.add("port", check_port(settings, is_running))?;
    let folder = &settings.pipelines_dir;
    let writable = format!("`{}` can be written to", folder.display());
    report.add("data folder", to_finding(check_data_folder(folder), &writable))?;
    let database = check_database(settings).await;
    if let Some(database) = database {
        report.add("database", database)?;
    }
    let cipher = settings.valves_cipher()?;
    if let Some(valves) = check_valves(&sources, cipher.as_ref(), &mut report)? {
        check_bedrock(&valves, &mut report).await?;
    }
    if let Some(model) = &args.invoke {
        let answer = if is_running {
            invoke(&server, model).await
        } else {
            invoke_in_process(settings, sources, model).await
        };
        report.add("invoke", answer.map_err(|error| format!("{error:#}")))?;
    }
    Ok(if report.has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn to_finding(result: anyhow::Result<()>, words: &str) -> Result<String, String> {
    result.map(|()| words.to_owned()).map_err(|error| format!("{error:#}"))
}

async fn is_running(server: &ServerClient) -> bool {
    let request = server.request(Method::GET, "/health/live").timeout(PROBE_LIMIT);
    request.send().await.is_ok_and(|response| response.status().is_success())
}

fn check_port(settings: &Settings, is_running: bool) -> Result<String, String> {
    let address = SocketAddr::new(settings.host(), settings.port);
    match TcpListener::bind(address) {
        Ok(_) => Ok(format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_running => {
            Ok(format!("a server already runs at {address}"))
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(format!("another program listens on {address}: choose another port with PORT"))
        }
        Err(error) => Err(format!("cannot listen on {address}: {error}; correct HOST or PORT")),
    }
}

async fn check_database(settings: &Settings) -> Option<Result<String, String>> {
    let store_settings = settings.store_settings(&settings.pipelines_dir);
    store_settings.database_url.as_ref()?;
    Some(match Store::open(&store_settings).await {
        Ok(store) => match store.health_problem() {
            None => Ok("PostgreSQL answers".to_owned()),
            Some(problem) => Err(format!("{problem}; correct DATABASE_URL")),
        },
        Err(error) => Err(format!("{error}; correct DATABASE_URL")),
    })
}

/// Reports invalid valves, and returns those of Bedrock.
fn check_valves(
    sources: &ConfigSources,
    cipher: Option<&Cipher>,
    report: &mut Report,
) -> anyhow::Result<Option<BedrockValves>> {
    let mut bedrock = None;
    for pipe in PIPES {
        let spec = (pipe.spec)();
        let saved = ValvesFile::new(&sources.folder, pipe.id, cipher).load_if_readable();
        let (values, _, faults): (Values, _, _) =
            sources.layers(pipe.id, &spec).merge(&spec, &saved);
        for fault in &faults {
            report.add(pipe.id, Err(format!("{}: {}", fault.valve, fault.rule)))?;
        }
        if pipe.id == "bedrock_models" && faults.is_empty() {
            bedrock = serde_json::from_value(Value::Object(values)).ok();
        }
    }
    Ok(bedrock)
}

async fn check_bedrock(valves: &BedrockValves, report: &mut Report) -> anyhow::Result<()> {
    let Diagnosis { credentials, regions } = diagnose(valves).await;
    let has_credentials = credentials.is_ok();
    report.add("credentials", credentials)?;
    if let Some(region) = valves.regions.first() {
        let endpoint = valves.endpoint_url.clone().filter(|url| !url.is_empty());
        let url = endpoint.unwrap_or_else(|| format!("https://bedrock.{region}.amazonaws.com/"));
        match find_clock_skew(&url).await {
            Some(skew) if skew > MAX_CLOCK_SKEW => {
                let words = format!(
                    "the clock of this machine differs by {} s from AWS's, which refuses signatures then: set it",
                    skew.as_secs()
                );
                report.add("clock", Err(words))?;
            }
            Some(_) => report.add("clock", Ok("agrees with AWS's".into()))?,
            // An endpoint that sends no time, or cannot be reached, which the region says.
            None => {}
        }
    }
    if !has_credentials {
        report.warn("regions", "not asked for their models: there are no credentials")?;
    }
    for (region, listed) in regions {
        let listed = listed.map(|count| format!("{count} foundation models are listed"));
        report.add(&region, listed)?;
    }
    Ok(())
}

/// Returns the difference between this machine's clock and the `Date` of a response.
async fn find_clock_skew(url: &str) -> Option<Duration> {
    let client = build_client().ok()?;
    let response = client.get(url).timeout(PROBE_LIMIT).send().await.ok()?;
    let date = response.headers().get("date")?.to_str().ok()?;
    let theirs = httpdate::parse_http_date(date).ok()?;
    let ours = SystemTime::now();
    ours.duration_since(theirs).or_else(|_| theirs.duration_since(ours)).ok()
}

async fn invoke_in_process(
    settings: &Settings,
    sources: ConfigSources,
    model: &str,
) -> anyhow::Result<String> {
    let settings = Settings {
        host: Some(Ipv4Addr::LOCALHOST.into()),
        port: 0,
        workers: 1,
        api_key: uuid::Uuid::new_v4().to_string(),
        ..settings.clone()
    };
    let app = App::build(&settings, sources, PIPES).await?;
    let url = format!("http://{}", app.address());
    // It ends with the program.
    rt::spawn(app.run_until_stopped());
    invoke(&ServerClient::new(Some(&url), &settings)?, model).await
}

/// Sends a chat of one word to a model, and returns its answer.
async fn invoke(server: &ServerClient, model: &str) -> anyhow::Result<String> {
    let message = json!({"role": "user", "content": "Answer with the word OK."});
    let body = json!({"model": model, "max_tokens": 16, "messages": [message]});
    let request = server.request(Method::POST, "/v1/chat/completions");
    let request = request.header("content-type", "application/json").body(body.to_string());
    let text = server.send(request).await?.text().await?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    anyhow::ensure!(answer["choices"].is_array(), "{}", error_message(&text));
    Ok(format!("`{model}` answers"))
}
