//! `check`: looks whether all that is in an index belongs together.

use crate::file;
use anyhow::Result;

#[derive(clap::Args)]
pub struct Arguments {
    /// The index: a file, or the address of a PostgreSQL
    index: String,
}

pub async fn run(arguments: Arguments) -> Result<()> {
    let faults = file::existing(&arguments.index).await?.faults().await?;
    faults.iter().for_each(|fault| println!("{fault}"));
    anyhow::ensure!(faults.is_empty(), "the index is not whole");
    println!("the index is whole");
    Ok(())
}
