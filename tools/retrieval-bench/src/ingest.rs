//! `ingest`: stores documents in a collection, and prints the model's share of the time.

use crate::index_location;
use crate::judged_collection;
use crate::language;
use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use retrieval::{
    CollectionSettings, Document, Embedder, EmbeddingPurpose, InferenceError, Language, LocalModel,
    PutOutcome, Viewer,
};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// The index: a file, created if it does not exist, or the address of a PostgreSQL
    index: String,
    /// The collection; created if it does not exist
    collection: String,
    /// Documents, one a line: `{"id", "title", "text", "url", "audience", "metadata"}`
    documents: PathBuf,
    /// The folder of the embedding model; without it, only keyword search will find the documents
    #[arg(long)]
    model: Option<PathBuf>,
    /// The number of threads for the embedding model
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// The number of documents in one transaction
    #[arg(long, default_value = "32")]
    batch: NonZeroUsize,
    /// The language of a collection that is created
    #[arg(long, default_value = "auto", value_parser = language::parse)]
    language: Language,
}

/// Runs the command `ingest`.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub async fn run(arguments: Arguments) -> Result<()> {
    let index = index_location::open(&arguments.index).await?;
    match index.get_collection(&arguments.collection, &Viewer::Operator).await {
        Err(retrieval::IndexError::CollectionNotFound(name)) => {
            let settings = CollectionSettings {
                language: arguments.language,
                ..CollectionSettings::default()
            };
            index.create_collection(&name, settings).await?;
        }
        found => drop(found?),
    }
    let model =
        arguments.model.map(|folder| LocalModel::open(&folder, arguments.threads)).transpose()?;
    let timed = model.map(|model| TimedEmbedder { model, elapsed: Mutex::default() });
    let documents: Vec<Document> = judged_collection::read_json_lines(&arguments.documents)?;
    let start = Instant::now();
    let (mut stored, mut unchanged, mut chunk_count) = (0, 0, 0);
    for batch in documents.chunks(arguments.batch.get()) {
        for outcome in index
            .put_documents(
                &arguments.collection,
                batch.to_vec(),
                timed.as_ref().map(|timed| timed as &dyn Embedder),
            )
            .await?
        {
            match outcome {
                PutOutcome::Unchanged => unchanged += 1,
                PutOutcome::Stored { chunks, .. } => {
                    stored += 1;
                    chunk_count += chunks;
                }
            }
        }
    }
    let total = start.elapsed();
    println!(
        "{stored} documents stored in {chunk_count} chunks, {unchanged} unchanged, {:.1} s",
        total.as_secs_f64()
    );
    if let Some(timed) = timed {
        let model_seconds =
            timed.elapsed.lock().unwrap_or_else(PoisonError::into_inner).as_secs_f64();
        let total_seconds = total.as_secs_f64();
        println!(
            "{:.1} chunks a second; the model alone makes {:.1}: {:.1} % of its speed",
            chunk_count as f64 / total_seconds,
            chunk_count as f64 / model_seconds,
            100.0 * model_seconds / total_seconds
        );
    }
    Ok(())
}

/// An embedder that measures the time of the model.
struct TimedEmbedder {
    model: LocalModel,
    elapsed: Mutex<Duration>,
}

impl Embedder for TimedEmbedder {
    fn model(&self) -> &str {
        self.model.model()
    }

    fn embed(
        &self,
        texts: Vec<String>,
        purpose: EmbeddingPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, InferenceError>> {
        async move {
            let start = Instant::now();
            let vectors = self.model.embed(texts, purpose).await;
            *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner) += start.elapsed();
            vectors
        }
        .boxed()
    }
}
