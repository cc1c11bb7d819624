//! pipewright, from its flags to its end.

use clap::Parser;
use pipewright::{
    app::App,
    log,
    pipes::PIPES,
    settings::{Cli, Command, Settings},
};
use std::process::ExitCode;

mod demo;
mod print;
mod probe;

fn main() -> anyhow::Result<ExitCode> {
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
            actix_web::rt::System::new().block_on(print::valves(&settings))
        }
        Some(Command::Health) => return Ok(probe::health(settings.host, settings.port)),
        None => serve(&settings),
    }?;
    Ok(ExitCode::SUCCESS)
}

#[actix_web::main]
async fn serve(settings: &Settings) -> anyhow::Result<()> {
    log::start(&settings.log_level);
    let demo = if settings.demo { Some(demo::Demo::start(settings)?) } else { None };
    let pins = demo.as_ref().map(demo::Demo::pins).unwrap_or_default();
    let app = App::build(settings, settings.site(pins), PIPES).await?;
    if let Err(error) = print::welcome(app.address(), settings) {
        tracing::warn!(%error, "Nobody reads what is printed.");
    }
    app.run_until_stopped().await
}
