//! Measures what approaches of the optimizer gain, and what they cost.
#![expect(clippy::print_stdout, reason = "a program that prints tables")]

mod baseline;
mod measure;
mod simulation;
mod tasks;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Asks a running host, and compares the answers with those of a list of tasks.
    Measure(Measure),
    /// Asks a simulated model that is right so often, and compares with what arithmetic expects.
    Simulate(Simulate),
}

#[derive(Args)]
struct Measure {
    /// The host's address, as in `http://127.0.0.1:9099`.
    #[arg(long)]
    url: String,
    /// The key.
    #[arg(long, env = "PIPEWRIGHT_KEY", hide_env_values = true)]
    key: String,
    /// The id of the model.
    #[arg(long)]
    model: String,
    /// The approaches, comma-separated.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "none,self_consistency,majority_voting,bon,moa"
    )]
    approaches: Vec<String>,
    /// Lines of JSON with the texts `question` and `answer`. Without it: sums and multiple choice
    /// that are made up.
    #[arg(long)]
    tasks: Option<PathBuf>,
    /// The number of made-up tasks.
    #[arg(long, default_value_t = 40)]
    count: usize,
    /// The most tokens of an answer.
    #[arg(long)]
    max_tokens: Option<u64>,
    /// The number of answers that the model alone gives to each task, for the baseline: a vote
    /// among as many of them as cost the tokens of the approach. 0: no baseline.
    #[arg(long, default_value_t = 16)]
    baseline_samples: usize,
    /// The number of requests that run at once.
    #[arg(long, default_value_t = 1)]
    at_once: usize,
    /// The seed of the made-up tasks.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Args)]
struct Simulate {
    /// The share of sampled answers that are right, from 0 to 1.
    #[arg(long, default_value_t = 0.5)]
    accuracy: f64,
    /// The share of the judge's verdicts that are right, from 0 to 1.
    #[arg(long, default_value_t = 0.8)]
    judge: f64,
    /// The number of questions for each approach.
    #[arg(long, default_value_t = 2000)]
    trials: usize,
    /// The seed of chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Measure(wish) => measure::measure(&wish).await,
        Command::Simulate(Simulate { accuracy, judge, trials, seed }) => {
            println!("{:<18} {:>9} {:>9} {:>7}", "approach", "right", "expected", "calls");
            for approach in simulation::APPROACHES {
                let model = simulation::Model { accuracy, judge };
                let seen = simulation::run(approach, model, trials, seed).await?;
                let expected = simulation::expected(approach, model)
                    .map_or_else(|| "-".into(), |share| format!("{:.1}%", share * 100.0));
                println!(
                    "{approach:<18} {:>8.1}% {expected:>9} {:>7.1}",
                    seen.right * 100.0,
                    seen.calls
                );
            }
            Ok(())
        }
    }
}
