//! The command line program.

use actix_web::rt;
use console::KeySource;
use pipewright::{
    app::App,
    cli::{self, Cli, Command, ParsedCli, SettingSource},
    http::DEFAULT_KEY,
    log,
    pipes::PIPES,
    settings::{Settings, check_data_folder},
};
use std::{env, io, process::ExitCode, time::Duration};

mod commands;
mod console;
mod demo;
mod dotenv;
mod lambda;

/// The longest time that the program waits for the last log lines.
const LOG_FLUSH_LIMIT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let code = run().unwrap_or_else(|error| {
        if is_broken_pipe(&error) {
            // The reader of the output has closed it, as in `pipewright valves | head -3`.
            return ExitCode::SUCCESS;
        }
        console::print_error(&error);
        ExitCode::FAILURE
    });
    log::flush(LOG_FLUSH_LIMIT);
    code
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().map(io::Error::kind)
    };
    error.chain().any(|cause| kind(cause) == Some(io::ErrorKind::BrokenPipe))
}

/// Parses the command line, and runs the command.
fn run() -> anyhow::Result<ExitCode> {
    // Started by itself, to read one file and nothing else.
    if env::args_os().nth(1).is_some_and(|argument| argument == rag::PARSE) {
        return Ok(rag::parse());
    }
    let mut loaded = dotenv::load();
    let mut parsed = match cli::parse(env::args_os()) {
        Ok(parsed) => parsed,
        // `--version` and `--help` do not depend on settings.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            loaded?;
            error.exit()
        }
    };
    // These print texts that depend on no setting.
    if let Some(Command::Completions { .. } | Command::Man) = parsed.cli.command {
        loaded = Ok(dotenv::LoadedVariables::default());
    }
    let loaded = loaded?;
    if let Some(command) = parsed.cli.command.take() {
        return commands::run(command, &parsed, &loaded);
    }
    let key_source = find_key_source(&parsed, &loaded);
    let Cli { settings, .. } = parsed.cli;
    settings.check()?;
    serve(&settings, key_source)?;
    Ok(ExitCode::SUCCESS)
}

fn find_key_source(parsed: &ParsedCli, loaded: &dotenv::LoadedVariables) -> KeySource {
    let setting = parsed.settings.iter().find(|setting| setting.flag == "api-key");
    match setting.map(|setting| setting.source) {
        _ if parsed.cli.settings.api_key == DEFAULT_KEY => KeySource::Default,
        Some(SettingSource::Variable) if !loaded.contains("PIPELINES_API_KEY") => {
            KeySource::Variable
        }
        _ => KeySource::Elsewhere,
    }
}

/// Serves until the process gets a signal to stop.
#[actix_web::main]
async fn serve(settings: &Settings, key_source: KeySource) -> anyhow::Result<()> {
    log::init(settings.log_level, settings.log_format);
    let demo = if settings.demo { Some(demo::DemoEmulator::start(settings)?) } else { None };
    let pins = demo.as_ref().map(demo::DemoEmulator::pins).unwrap_or_default();
    if lambda_adapter::is_lambda_function() {
        let settings = lambda::loopback_settings(settings);
        return lambda::run(App::build(&settings, settings.config_sources(pins), PIPES).await?)
            .await;
    }
    if let Err(error) = check_data_folder(&settings.pipelines_dir) {
        // The server can work without it, but what is saved is lost when it ends.
        tracing::error!("Nothing is kept on disk: {error:#}.");
    }
    let app = App::build(settings, settings.config_sources(pins), PIPES).await?;
    let invocations = settings.invoke_port.map(|port| lambda::listen(&app, settings.host(), port));
    let invocations = invocations.transpose()?.map(|server| (server.handle(), rt::spawn(server)));
    console::print_welcome(app.address(), settings, key_source)?;
    let ended = app.run_until_stopped().await;
    if let Some((handle, server)) = invocations {
        handle.stop(true).await;
        server.await??;
    }
    ended
}
