//! The commands of the program, one file each.

mod chat;
mod check;
mod completions;
mod config;
mod health;
mod import;
mod ingest;
mod man;
mod model_download;
mod models;
mod new_pipe;
mod placeholder;
mod progress_bar;
mod server_client;
mod valves;

use crate::dotenv::LoadedVariables;
use actix_web::rt;
use pipewright::cli::{Command, ModelsCommand, ParsedCli, RagCommand};
use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Runs a command.
///
/// # Errors
/// A sentence for the person at the terminal.
pub fn run(
    command: Command,
    parsed: &ParsedCli,
    loaded: &LoadedVariables,
) -> anyhow::Result<ExitCode> {
    let (settings, url) = (&parsed.cli.settings, parsed.cli.url.as_deref());
    let system = rt::System::new();
    match command {
        Command::Check(args) => return system.block_on(check::check(settings, url, &args)),
        Command::Chat(args) => {
            system.block_on(chat::chat(&server_client::ServerClient::new(url, settings)?, &args))
        }
        Command::Models(ModelsCommand::List) => {
            system.block_on(models::list(&server_client::ServerClient::new(url, settings)?))
        }
        Command::Models(ModelsCommand::Fetch { models, from }) => system
            .block_on(model_download::fetch(&settings.pipelines_dir, &models, from.as_deref())),
        Command::Config => config::print_config(&parsed.settings, loaded),
        Command::Valves { example: true } => valves::print_example(),
        Command::Valves { example: false } => {
            if url.is_some() || parsed.is_flag("port") || parsed.is_flag("host") {
                let server = server_client::ServerClient::new(url, settings)?;
                system.block_on(valves::print_server_valves(&server))
            } else {
                system.block_on(valves::print_valves(settings))
            }
        }
        Command::Health => {
            return system
                .block_on(health::check_health(&server_client::ServerClient::new(url, settings)?));
        }
        Command::Rag(RagCommand::Ingest(args)) => {
            let server = server_client::ServerClient::new(url, settings)?;
            return system.block_on(ingest::ingest(&server, &args));
        }
        Command::Import(args) => import::import(&args.source, args.write.as_deref()),
        Command::NewPipe { name } => new_pipe::create(&name, &std::env::current_dir()?),
        Command::Completions { shell } => completions::print_completions(shell),
        Command::Man => man::print_manual(),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Writes all of a text to standard output.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
