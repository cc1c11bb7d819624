//! `embed`: embeds lines of text, to compare the vectors with those of another implementation.

use crate::model;
use anyhow::Result;
use retrieval::{Embedder, EmbeddingPurpose};
use std::io::stdin;
use std::path::PathBuf;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Arguments {
    /// The folder of the embedding model
    #[arg(long, default_value = model::FOLDER)]
    model: PathBuf,
    /// The number of threads for the embedding model
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Embed the lines as questions
    #[arg(long)]
    query: bool,
}

/// Runs the command `embed`.
pub async fn run(arguments: Arguments) -> Result<()> {
    let model = model::open(&arguments.model, arguments.threads)?;
    let texts: Vec<String> = stdin().lines().collect::<Result<_, _>>()?;
    let purpose =
        if arguments.query { EmbeddingPurpose::Query } else { EmbeddingPurpose::Document };
    let (count, start) = (texts.len(), Instant::now());
    for vector in model.embed(texts, purpose).await? {
        println!("{}", serde_json::to_string(&vector)?);
    }
    eprintln!("{count} texts in {:.3} s", start.elapsed().as_secs_f64());
    Ok(())
}
