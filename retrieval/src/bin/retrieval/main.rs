//! The index on the command line: how well it finds, how fast, and whether a file is whole.
#![expect(clippy::print_stdout, reason = "its tables are for people")]

mod cache;
mod collection;
mod eval;
mod measure;

use clap::{Parser, Subcommand};

/// Measures the index.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// How well it finds what judges found relevant
    Eval(eval::Arguments),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Eval(arguments) => eval::run(arguments).await,
    }
}
