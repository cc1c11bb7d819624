//! The command line program.

use actix_web::rt;
use clap::Parser;
use pipewright::{
    app::App,
    log,
    pipes::PIPES,
    settings::{Cli, Command, ModelsCommand, RagCommand, Settings},
};
use std::{process::ExitCode, time::Duration};

mod client;
mod console;
mod demo;
mod dotenv;
mod health_check;
mod ingest;
mod lambda;
mod model_download;
mod progress_bar;

/// The longest time that the program waits for the last log lines.
const LOG_FLUSH_LIMIT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let code = run().unwrap_or_else(|error| {
        console::print_error(&error);
        ExitCode::FAILURE
    });
    log::flush(LOG_FLUSH_LIMIT);
    code
}

fn run() -> anyhow::Result<ExitCode> {
    // Started by itself, to read one file and nothing else.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == rag::PARSE) {
        return Ok(rag::parse());
    }
    dotenv::load()?;
    let Cli { command, settings } = Cli::parse();
    match command {
        Some(Command::Valves { example: true }) => console::print_example(),
        Some(Command::Valves { example: false }) => {
            rt::System::new().block_on(console::print_valves(&settings))
        }
        Some(Command::Health) => {
            return Ok(health_check::check_health(settings.host(), settings.port));
        }
        Some(Command::Rag(RagCommand::Ingest(args))) => {
            return rt::System::new().block_on(ingest::ingest(&settings, &args));
        }
        Some(Command::Models(ModelsCommand::Fetch { from })) => rt::System::new()
            .block_on(model_download::fetch(&settings.pipelines_dir, from.as_deref())),
        None => serve(&settings),
    }?;
    Ok(ExitCode::SUCCESS)
}

#[actix_web::main]
async fn serve(settings: &Settings) -> anyhow::Result<()> {
    log::init(&settings.log_level);
    let demo = if settings.demo { Some(demo::DemoEmulator::start(settings)?) } else { None };
    let pins = demo.as_ref().map(demo::DemoEmulator::pins).unwrap_or_default();
    if lambda_adapter::is_lambda_function() {
        let settings = lambda::loopback_settings(settings);
        return lambda::run(App::build(&settings, settings.config_sources(pins), PIPES).await?)
            .await;
    }
    let app = App::build(settings, settings.config_sources(pins), PIPES).await?;
    let invocations = settings.invoke_port.map(|port| lambda::listen(&app, settings.host(), port));
    let invocations = invocations.transpose()?.map(|server| (server.handle(), rt::spawn(server)));
    console::print_welcome(app.address(), settings)?;
    let ended = app.run_until_stopped().await;
    if let Some((handle, server)) = invocations {
        handle.stop(true).await;
        server.await??;
    }
    ended
}
