//! `search`: asks a question, and tells why each hit is one.

use crate::file;
use anyhow::Result;
use retrieval::{Embedder, MiniLm, Question, Viewer};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// The index: a file, or the address of a PostgreSQL
    index: String,
    /// The collection
    collection: String,
    /// The question
    question: String,
    /// The folder with the embedding model; without it, words alone find
    #[arg(long)]
    model: Option<PathBuf>,
    /// How many hits are wanted
    #[arg(long, default_value_t = 5)]
    limit: usize,
}

pub async fn run(arguments: Arguments) -> Result<()> {
    let index = file::existing(&arguments.index).await?;
    let model = arguments.model.map(|folder| MiniLm::open(&folder, 1)).transpose()?;
    let question =
        Question { limit: arguments.limit, ..Question::new(arguments.question, Viewer::Operator) };
    let answer = index
        .search(
            &[&arguments.collection],
            &question,
            model.as_ref().map(|model| model as &dyn Embedder),
        )
        .await?;
    for hit in &answer.hits {
        let scores = hit.scores;
        let meaning = scores.meaning.map_or("-".to_owned(), |cosine| format!("{cosine:.3}"));
        println!(
            "{:.3}  words {:.2}  meaning {meaning}  {}#{}  {}",
            scores.total, scores.words, hit.document, hit.place, hit.heading
        );
        println!(
            "       {} [{}]",
            hit.text.split_whitespace().take(24).collect::<Vec<_>>().join(" "),
            hit.matched.join(", ")
        );
    }
    answer.words_only.iter().for_each(|why| println!("{why}"));
    Ok(())
}
