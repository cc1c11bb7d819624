//! `pipewright man`: the manual page.

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use pipewright::cli::Cli;

/// Prints the manual page of the program, followed by those of its commands.
pub fn print_manual() -> anyhow::Result<()> {
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    Man::new(command.clone()).render(&mut pages)?;
    render_subcommands(&command, &mut pages)?;
    super::print(&String::from_utf8(pages)?)
}

fn render_subcommands(command: &Command, pages: &mut Vec<u8>) -> anyhow::Result<()> {
    for subcommand in command.get_subcommands().filter(|one| one.get_name() != "help") {
        Man::new(subcommand.clone()).render(pages)?;
        render_subcommands(subcommand, pages)?;
    }
    Ok(())
}
