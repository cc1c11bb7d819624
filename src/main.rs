//! pipewright, from its flags to its end.

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
mod demo;
mod dotenv;
mod ingest;
mod lambda;
mod models;
mod print;
mod probe;
mod progress;

/// How long the last lines are waited for.
const LAST_LINES: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let code = run().unwrap_or_else(|error| {
        print::failure(&error);
        ExitCode::FAILURE
    });
    log::flush(LAST_LINES);
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
    if lambda_adapter::is_lambda_function() {
        let settings = lambda::hidden(settings);
        return lambda::run(App::build(&settings, settings.site(pins), PIPES).await?).await;
    }
    let app = App::build(settings, settings.site(pins), PIPES).await?;
    let invocations = settings.invoke_port.map(|port| lambda::listen(&app, settings.host(), port));
    let invocations = invocations.transpose()?.map(|server| (server.handle(), rt::spawn(server)));
    print::welcome(app.address(), settings)?;
    let ended = app.run_until_stopped().await;
    if let Some((handle, server)) = invocations {
        handle.stop(true).await;
        server.await??;
    }
    ended
}
