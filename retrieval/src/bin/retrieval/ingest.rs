//! `ingest`: puts documents into a collection, and tells how much of the time the model took.

use crate::collection;
use crate::file;
use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use retrieval::{Document, EmbedError, Embedder, MiniLm, Outcome, Purpose, Settings, Viewer};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// The index: a file, made if it is not there, or the address of a PostgreSQL
    index: String,
    /// The collection; made if it is not there
    collection: String,
    /// Documents, one a line: `{"id", "title", "text", "url", "audience", "metadata"}`
    documents: PathBuf,
    /// The folder with the embedding model; without it, words alone will find them
    #[arg(long)]
    model: Option<PathBuf>,
    /// Threads for the embedding model
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// How many documents are stored at once
    #[arg(long, default_value_t = 32)]
    batch: usize,
}

pub async fn run(arguments: Arguments) -> Result<()> {
    let index = file::open(&arguments.index).await?;
    if index.collection(&arguments.collection, &Viewer::Operator).await.is_err() {
        index.create(&arguments.collection, Settings::default()).await?;
    }
    let model =
        arguments.model.map(|folder| MiniLm::open(&folder, arguments.threads)).transpose()?;
    let timed = model.map(|model| Timed { model, spent: Mutex::default() });
    let documents: Vec<Document> = collection::lines(&arguments.documents)?;
    let begun = Instant::now();
    let (mut stored, mut unchanged, mut pieces) = (0, 0, 0);
    for batch in documents.chunks(arguments.batch) {
        for outcome in index
            .put(
                &arguments.collection,
                batch.to_vec(),
                timed.as_ref().map(|timed| timed as &dyn Embedder),
            )
            .await?
        {
            match outcome {
                Outcome::Unchanged => unchanged += 1,
                Outcome::Stored { chunks, .. } => {
                    stored += 1;
                    pieces += chunks;
                }
            }
        }
    }
    let took = begun.elapsed();
    println!(
        "{stored} documents stored in {pieces} chunks, {unchanged} unchanged, {:.1} s",
        took.as_secs_f64()
    );
    if let Some(timed) = timed {
        let spent = *timed.spent.lock().unwrap_or_else(PoisonError::into_inner);
        println!(
            "{:.1} % of the time was the model's",
            100.0 * spent.as_secs_f64() / took.as_secs_f64()
        );
    }
    Ok(())
}

/// Counts the time that the model takes.
struct Timed {
    model: MiniLm,
    spent: Mutex<Duration>,
}

impl Embedder for Timed {
    fn model(&self) -> &str {
        self.model.model()
    }

    fn embed(
        &self,
        texts: Vec<String>,
        purpose: Purpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, EmbedError>> {
        async move {
            let begun = Instant::now();
            let vectors = self.model.embed(texts, purpose).await;
            *self.spent.lock().unwrap_or_else(PoisonError::into_inner) += begun.elapsed();
            vectors
        }
        .boxed()
    }
}
