//! `check`: looks whether all that is in an index belongs together.

use anyhow::Result;
use retrieval::Index;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// The index
    index: PathBuf,
}

pub async fn run(arguments: Arguments) -> Result<()> {
    let faults = Index::open(&arguments.index).await?.faults().await?;
    faults.iter().for_each(|fault| println!("{fault}"));
    anyhow::ensure!(faults.is_empty(), "`{}` is not whole", arguments.index.display());
    println!("`{}` is whole", arguments.index.display());
    Ok(())
}
