//! `check`: checks the integrity of an index.

use crate::index_location;
use anyhow::Result;

#[derive(clap::Args)]
pub struct Arguments {
    /// The index: a file, or the address of a PostgreSQL
    index: String,
}

/// Runs the command `check`.
pub async fn run(arguments: Arguments) -> Result<()> {
    let problems =
        index_location::open_existing(&arguments.index).await?.find_inconsistencies().await?;
    problems.iter().for_each(|problem| println!("{problem}"));
    anyhow::ensure!(problems.is_empty(), "the index is not whole");
    println!("the index is whole");
    Ok(())
}
