//! The index on the command line: how well it finds, how fast, and whether a file is whole.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its tables are for people")]

mod cache;
mod check;
mod collection;
mod eval;
mod file;
mod ingest;
mod language;
mod measure;
mod model;
mod rerank;
mod scale;
mod search;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Fills, asks, checks and measures an index.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// How well it finds what judges found relevant
    Eval(eval::Arguments),
    /// How fast it answers, and what it takes, with many chunks
    Scale(scale::Arguments),
    /// Puts documents into a collection
    Ingest(ingest::Arguments),
    /// Asks a question
    Search(search::Arguments),
    /// Looks whether all that is in an index belongs together
    Check(check::Arguments),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Eval(arguments) => eval::run(arguments).await,
        Command::Scale(arguments) => scale::run(arguments).await,
        Command::Ingest(arguments) => ingest::run(arguments).await,
        Command::Search(arguments) => search::run(arguments).await,
        Command::Check(arguments) => check::run(arguments).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A sentence, without the way through the code.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
