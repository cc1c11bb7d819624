//! `search`: searches a collection, and prints the scores of each hit.

use crate::index_location;
use anyhow::Result;
use retrieval::{Embedder, LocalModel, SearchQuery, Viewer};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// The index: a file, or the address of a PostgreSQL
    index: String,
    /// The collection
    collection: String,
    /// The question
    question: String,
    /// The folder of the embedding model; without it, keyword search is used
    #[arg(long)]
    model: Option<PathBuf>,
    /// The maximum number of hits
    #[arg(long, default_value_t = 5)]
    limit: usize,
}

/// Runs the command `search`.
pub async fn run(arguments: Arguments) -> Result<()> {
    let index = index_location::open_existing(&arguments.index).await?;
    let model = arguments.model.map(|folder| LocalModel::open(&folder, 1)).transpose()?;
    let query = SearchQuery {
        limit: arguments.limit,
        ..SearchQuery::new(arguments.question, Viewer::Operator)
    };
    let results = index
        .search(
            &[&arguments.collection],
            &query,
            model.as_ref().map(|model| model as &dyn Embedder),
        )
        .await?;
    for hit in &results.hits {
        let scores = hit.scores;
        let cosine = scores.cosine.map_or("-".to_owned(), |value| format!("{value:.3}"));
        println!(
            "{:.3}  words {:.2}  meaning {cosine}  {}#{}  {}",
            scores.total, scores.bm25, hit.document, hit.position, hit.heading
        );
        println!(
            "       {} [{}]",
            hit.text.split_whitespace().take(24).collect::<Vec<_>>().join(" "),
            hit.matched_words.join(", ")
        );
    }
    results.words_only.iter().for_each(|why| println!("{why}"));
    Ok(())
}
