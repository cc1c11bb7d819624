//! pipewright, from its flags to its end.

use actix_web::rt;
use clap::Parser;
use pipewright::{
    app::App,
    log,
    pipes::PIPES,
    settings::{Cli, Command, ModelsCommand, RagCommand, Settings},
};
use std::process::ExitCode;

mod client;
mod demo;
mod ingest;
mod lambda;
mod models;
mod print;
mod probe;
mod progress;

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        print::failure(&error);
        ExitCode::FAILURE
    })
}

fn run() -> anyhow::Result<ExitCode> {
    // Started by itself, to read one file and nothing else.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == rag::PARSE) {
        return Ok(rag::parse());
    }
    // A missing `.env` is usual; one that cannot be read is not.
    if let Err(error) = dotenvy::dotenv()
        && !error.not_found()
    {
        // Its own words would show the line, and with it a secret.
        anyhow::bail!(
            "cannot read .env: it holds a line that is not `NAME=value`, or may not be read"
        );
    }
    let Cli { command, settings } = Cli::parse();
    match command {
        Some(Command::Valves { example: true }) => print::example(),
        Some(Command::Valves { example: false }) => {
            rt::System::new().block_on(print::valves(&settings))
        }
        Some(Command::Health) => return Ok(probe::health(settings.host(), settings.port)),
        Some(Command::Rag(RagCommand::Ingest(wish))) => {
            return rt::System::new().block_on(ingest::ingest(&settings, &wish));
        }
        Some(Command::Models(ModelsCommand::Fetch { from })) => {
            rt::System::new().block_on(models::fetch(&settings.pipelines_dir, from.as_deref()))
        }
        None => serve(&settings),
    }?;
    Ok(ExitCode::SUCCESS)
}

#[actix_web::main]
async fn serve(settings: &Settings) -> anyhow::Result<()> {
    log::start(&settings.log_level);
    let demo = if settings.demo { Some(demo::Demo::start(settings)?) } else { None };
    let pins = demo.as_ref().map(demo::Demo::pins).unwrap_or_default();
    if lambda_adapter::is_function() {
        let settings = lambda::hidden(settings);
        return lambda::run(App::build(&settings, settings.site(pins), PIPES).await?).await;
    }
    let app = App::build(settings, settings.site(pins), PIPES).await?;
    let invocations = settings.invoke_port.map(|port| lambda::listen(&app, settings.host(), port));
    let invocations = invocations.transpose()?.map(|server| (server.handle(), rt::spawn(server)));
    if let Err(error) = print::welcome(app.address(), settings) {
        tracing::warn!(%error, "Nobody reads what is printed.");
    }
    let ended = app.run_until_stopped().await;
    if let Some((handle, server)) = invocations {
        handle.stop(true).await;
        server.await??;
    }
    ended
}
