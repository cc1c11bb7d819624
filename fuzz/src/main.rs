//! Feeds the parsers with mutated inputs; `fuzz/README.md` says how.

mod mutator;
mod targets;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use fastrand::Rng;
use mutator::Mutator;
use std::{
    fs,
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};
use targets::{TARGETS, Target};

/// Feeds the parsers with mutated inputs.
#[derive(Debug, Parser)]
struct Cli {
    /// The target; without it, all.
    target: Option<String>,
    /// The number of inputs for each target.
    #[arg(long)]
    runs: Option<u64>,
    /// The time for each target, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The same seed gives the same inputs; without it, one of the moment.
    #[arg(long)]
    seed: Option<u64>,
    /// Runs this one input again.
    #[arg(long, requires = "target")]
    replay: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == targets::PARSE) {
        return Ok(document_parser::worker::run());
    }
    let cli = Cli::parse();
    let is_chosen = |target: &&Target| cli.target.as_ref().is_none_or(|name| name == target.name);
    let chosen: Vec<_> = TARGETS.iter().filter(is_chosen).collect();
    ensure!(
        !chosen.is_empty(),
        "no such target: there are {:?}",
        TARGETS.map(|target| target.name)
    );
    for target in chosen {
        match &cli.replay {
            Some(input) => check(target, &fs::read(input)?, "replayed")?,
            None => fuzz(target, &cli)?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Feeds a target until its time or its number of inputs is over.
fn fuzz(target: &Target, cli: &Cli) -> anyhow::Result<()> {
    let mut corpus = Vec::new();
    let files = folder().join("corpus").join(target.name);
    let mut files: Vec<_> = fs::read_dir(files)?.collect::<io::Result<_>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        let input = fs::read(file.path())?;
        check(target, &input, &file.file_name().to_string_lossy())?;
        corpus.push(input);
    }
    ensure!(!corpus.is_empty(), "{} has no corpus", target.name);
    let seed = cli.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let mutator = Mutator { corpus, words: target.words };
    let begun = Instant::now();
    let mut runs = 0;
    let is_over = |runs: u64| match cli.runs {
        Some(most) => runs >= most,
        None => begun.elapsed() >= Duration::from_secs(cli.seconds),
    };
    while !is_over(runs) {
        let mut random = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ runs);
        let mut input = mutator.input(&mut random);
        if random.bool() {
            (target.mend)(&mut input);
        }
        check(target, &input, &format!("{seed}-{runs}"))?;
        runs += 1;
    }
    let seconds = begun.elapsed().as_secs_f32();
    writeln!(io::stdout(), "{}: {runs} inputs in {seconds:.1} s, seed {seed}", target.name)?;
    Ok(())
}

/// Runs a target with one input. One that fails is kept.
fn check(target: &Target, input: &[u8], name: &str) -> anyhow::Result<()> {
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.check)(input)));
    let why = match outcome {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(why)) => why,
        Err(_) => "it panicked".into(),
    };
    let failures = folder().join("failures");
    fs::create_dir_all(&failures)?;
    let place = failures.join(format!("{}-{name}", target.name));
    fs::write(&place, input).with_context(|| format!("cannot keep {}", place.display()))?;
    bail!("{} fails: {why}; the input is kept in {}", target.name, place.display())
}
