//! `pipewright check`: what would keep the server from working, one line for each finding.

mod invoke;

use super::{
    placeholder, print,
    server_client::{ServerClient, build_client},
};
use bedrock_models::{BedrockValves, Diagnosis, diagnose};
use pipewright::{
    cli::CheckArgs,
    http::Keys,
    pipes::PIPES,
    prices::Prices,
    setting_problems::find_problems,
    settings::{Settings, describe_data_folder},
    slot::ConfigSources,
    valves::{Pins, ValvesFile},
};
use reqwest::Method;
use serde_json::Value;
use std::{
    io,
    net::{SocketAddr, TcpListener},
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
    let faults = find_faults(settings, &sources);
    let problems = find_problems(&sources, PIPES);
    if faults.is_empty() && problems.is_empty() {
        report.add("settings", Ok("no contradictions".into()))?;
    }
    for fault in faults {
        report.add("settings", Err(fault))?;
    }
    for problem in problems {
        report.warn("settings", &problem.to_string())?;
    }
    let server = ServerClient::new(url, settings)?;
    let is_running = is_running(&server).await;
    report.add("port", check_port(settings, is_running))?;
    let folder = describe_data_folder(&settings.pipelines_dir);
    report.add("data folder", folder.map_err(|error| format!("{error:#}")))?;
    let database = check_database(settings).await;
    if let Some(database) = database {
        report.add("database", database)?;
    }
    // A key that is too short was reported above.
    let cipher = settings.valves_cipher().ok().flatten();
    if let Some(valves) = check_valves(&sources, cipher.as_ref(), &mut report).await? {
        check_bedrock(&valves, &mut report).await?;
    }
    if let Some(model) = &args.invoke {
        let answer = if is_running {
            invoke::invoke(&server, model).await
        } else {
            invoke::invoke_in_process(settings, sources, model).await
        };
        report.add("invoke", answer.map_err(|error| format!("{error:#}")))?;
    }
    Ok(if report.has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Returns the faults with which the server would not start, and placeholders of an import.
fn find_faults(settings: &Settings, sources: &ConfigSources) -> Vec<String> {
    let results = [
        settings.check(),
        Keys::new(&settings.api_key, settings.api_keys.as_deref()).map(drop),
        Prices::load(settings.prices_file.as_deref()).map(drop),
        settings.valves_cipher().map(drop),
    ];
    let faults = results.into_iter().filter_map(Result::err).map(|error| format!("{error:#}"));
    let placeholders = sources
        .environment
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}: {}", describe_placeholder(value)?)));
    faults.chain(placeholders).collect()
}

/// Returns the way out of a placeholder of `pipewright import` in this text, if there is one.
fn describe_placeholder(text: &str) -> Option<String> {
    let variable = placeholder::find_variables(text).next()?;
    let placeholder = placeholder::for_variable(variable);
    Some(format!(
        "has the text `{placeholder}` of an import in place of a value: replace it with the value \
         of {variable}, or set {variable} and import again"
    ))
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
async fn check_valves(
    sources: &ConfigSources,
    cipher: Option<&Cipher>,
    report: &mut Report,
) -> anyhow::Result<Option<BedrockValves>> {
    let mut bedrock = None;
    for pipe in PIPES {
        let saved = ValvesFile::new(&sources.folder, pipe.id, cipher).load_if_readable();
        let (values, warning) = match (pipe.check_valves)(sources.clone(), saved).await {
            Ok(checked) => checked,
            Err(reason) => {
                report.add(pipe.id, Err(reason))?;
                continue;
            }
        };
        if let Some(warning) = warning {
            report.warn(pipe.id, &warning)?;
        }
        let placeholders: Vec<_> = values
            .iter()
            .filter_map(|(name, value)| {
                Some(format!("{name}: {}", describe_placeholder(&value.to_string())?))
            })
            .collect();
        for words in &placeholders {
            report.add(pipe.id, Err(words.clone()))?;
        }
        if pipe.id == "bedrock_models" && placeholders.is_empty() {
            bedrock = serde_json::from_value(Value::Object(values)).ok();
        }
    }
    let has_placeholder = |(name, value): (&String, &String)| {
        name.starts_with("AWS_") && describe_placeholder(value).is_some()
    };
    // Such credentials were reported, and AWS need not see them.
    Ok(bedrock.filter(|_| !sources.environment.iter().any(has_placeholder)))
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
