//! A command line for the index: measures ranking quality and speed, and checks integrity.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its tables are for people")]

mod cached_embedder;
mod check;
mod embed;
mod eval;
mod index_location;
mod ingest;
mod judged_collection;
mod language;
mod metrics;
mod model;
mod rerank;
mod scale;
mod search;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Fills, searches, checks and measures an index.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures ranking quality on judged collections
    Eval(eval::Arguments),
    /// Embeds the lines of standard input, and prints a vector for each
    Embed(embed::Arguments),
    /// Measures latency and memory with many chunks
    Scale(scale::Arguments),
    /// Stores documents in a collection
    Ingest(ingest::Arguments),
    /// Searches a collection
    Search(search::Arguments),
    /// Checks the integrity of an index
    Check(check::Arguments),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Eval(arguments) => eval::run(arguments).await,
        Command::Embed(arguments) => embed::run(arguments).await,
        Command::Scale(arguments) => scale::run(arguments).await,
        Command::Ingest(arguments) => ingest::run(arguments).await,
        Command::Search(arguments) => search::run(arguments).await,
        Command::Check(arguments) => check::run(arguments).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, without a backtrace.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
