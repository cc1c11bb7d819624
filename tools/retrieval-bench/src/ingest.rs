//! `ingest`: puts documents into a collection, and tells how much of the time the model took.

use crate::collection;
use crate::file;
use crate::language;
use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use retrieval::{
    Document, EmbedError, Embedder, Language, MiniLm, Outcome, Purpose, Settings, Viewer,
};
use std::num::NonZeroUsize;
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
    #[arg(long, default_value = "32")]
    batch: NonZeroUsize,
    /// The language of a collection that is made
    #[arg(long, default_value = "english", value_parser = language::read)]
    language: Language,
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
pub async fn run(arguments: Arguments) -> Result<()> {
    let index = file::open(&arguments.index).await?;
    match index.collection(&arguments.collection, &Viewer::Operator).await {
        Err(retrieval::Error::NoCollection(name)) => {
            let settings = Settings { language: arguments.language, ..Settings::default() };
            index.create(&name, settings).await?;
        }
        found => drop(found?),
    }
    let model =
        arguments.model.map(|folder| MiniLm::open(&folder, arguments.threads)).transpose()?;
    let timed = model.map(|model| Timed { model, spent: Mutex::default() });
    let documents: Vec<Document> = collection::lines(&arguments.documents)?;
    let begun = Instant::now();
    let (mut stored, mut unchanged, mut pieces) = (0, 0, 0);
    for batch in documents.chunks(arguments.batch.get()) {
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
        let alone = timed.spent.lock().unwrap_or_else(PoisonError::into_inner).as_secs_f64();
        let whole = took.as_secs_f64();
        println!(
            "{:.1} chunks a second; the model alone makes {:.1}: {:.1} % of its speed",
            pieces as f64 / whole,
            pieces as f64 / alone,
            100.0 * alone / whole
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
