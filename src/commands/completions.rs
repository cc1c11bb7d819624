//! `pipewright completions`: a completion script for a shell.

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use pipewright::cli::Cli;

/// Prints the script.
pub fn print_completions(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "pipewright", &mut script);
    super::print(&String::from_utf8(script)?)
}
