//! `scale`: measures searches over many chunks, made of the sentences of a judged collection.
//!
//! Real sentences give posting lists of realistic length. The vectors are those of the collection
//! with random noise added, because embedding so many texts would take hours, and the scan takes
//! equally long.

use crate::cached_embedder::CachedEmbedder;
use crate::index_location::{create_folder, file_size, remove_old_index};
use crate::judged_collection::JudgedCollection;
use crate::metrics::percentile;
use crate::model;
use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use retrieval::{
    CollectionSettings, Document, Embedder, EmbeddingPurpose, Index, InferenceError, PutOutcome,
    SearchMode, SearchQuery, Viewer,
};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// The judged collection
    folder: PathBuf,
    /// The numbers of chunks; each is a measurement
    #[arg(long, value_delimiter = ',', default_values = ["10000", "100000"])]
    chunks: Vec<NonZeroUsize>,
    /// The folder of the embedding model
    #[arg(long, default_value = model::FOLDER)]
    model: PathBuf,
    /// The folder for indexes and cached vectors
    #[arg(long, default_value = "target/retrieval")]
    work: PathBuf,
}

/// Runs the command `scale`.
pub async fn run(arguments: Arguments) -> Result<()> {
    create_folder(&arguments.work)?;
    let judged = JudgedCollection::load(&arguments.folder)?;
    let model = CachedEmbedder::open(
        model::open(&arguments.model, 1)?,
        &arguments.work.join("vectors.db"),
    )?;
    let sample_texts =
        judged.documents.iter().take(256).map(|document| document.text.clone()).collect();
    let embedder = JitteredEmbedder {
        vectors: model.embed(sample_texts, EmbeddingPurpose::Document).await?,
        model,
    };
    let queries: Vec<&str> = judged.queries.iter().map(|query| query.text.as_str()).collect();
    for query in &queries {
        embedder.embed(vec![(*query).to_owned()], EmbeddingPurpose::Query).await?;
    }
    println!(
        "{:>9} {:>9} {:>8} {:>8} {:>8} {:>7} {:>15} {:>15} {:>15}",
        "chunks",
        "ingest/s",
        "file MB",
        "load s",
        "RSS MB",
        "ms:",
        "bm25 p50/p95",
        "dense p50/p95",
        "hybrid p50/p95"
    );
    for chunks in &arguments.chunks {
        measure(&judged, chunks.get(), &arguments, &embedder, &queries).await?;
    }
    Ok(())
}

/// Measures searches in an index of this number of chunks.
#[expect(clippy::cast_precision_loss, reason = "for people")]
async fn measure(
    judged: &JudgedCollection,
    chunks: usize,
    arguments: &Arguments,
    embedder: &JitteredEmbedder,
    queries: &[&str],
) -> Result<()> {
    let path = arguments.work.join("scale.db");
    let index = Index::open(remove_old_index(&path)?).await?;
    index.create_collection("scale", CollectionSettings::default()).await?;
    let mut generator = DocumentGenerator::new(judged);
    let start = Instant::now();
    let (mut stored, mut documents) = (0, 0..);
    while stored < chunks {
        // The last batch is smaller, so that the index hardly exceeds the number asked for.
        let count = (chunks - stored).min(512);
        let batch = documents.by_ref().take(count).map(|at| generator.next_document(at)).collect();
        for outcome in index.put_documents("scale", batch, Some(embedder)).await? {
            if let PutOutcome::Stored { chunks, .. } = outcome {
                stored += chunks;
            }
        }
    }
    drop(index);
    let rate = stored as f64 / start.elapsed().as_secs_f64();
    let index = Index::open(&path).await?;
    let start = Instant::now();
    time_search(&index, queries[0], SearchMode::Hybrid, embedder).await?;
    let load = start.elapsed().as_secs_f64();
    let mut row = format!(
        "{stored:>9} {rate:>9.0} {:>8} {load:>8.2} {:>8} {:>7}",
        file_size(&path) >> 20,
        resident_mb(),
        ""
    );
    for mode in [SearchMode::Keyword, SearchMode::Vector, SearchMode::Hybrid] {
        let mut latencies = Vec::new();
        for query in queries {
            latencies.push(time_search(&index, query, mode, embedder).await?);
        }
        latencies.sort_unstable();
        row += &format!(
            " {:>15}",
            format!("{:.1} / {:.1}", percentile(&latencies, 50), percentile(&latencies, 95))
        );
    }
    println!("{row}");
    // The file is large, so it is deleted.
    drop(index);
    remove_old_index(&path)?;
    Ok(())
}

async fn time_search(
    index: &Index,
    text: &str,
    mode: SearchMode,
    embedder: &JitteredEmbedder,
) -> Result<Duration> {
    let query = SearchQuery { mode, ..SearchQuery::new(text, Viewer::Anonymous) };
    let start = Instant::now();
    let results = index.search(&["scale"], &query, Some(embedder)).await?;
    let elapsed = start.elapsed();
    anyhow::ensure!(
        mode == SearchMode::Keyword || !results.hits.is_empty(),
        "`{text}` found nothing"
    );
    Ok(elapsed)
}

/// Returns the resident memory of this process on Linux; 0 elsewhere.
fn resident_mb() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok());
    (pages.unwrap_or_default() * 4096) >> 20
}

/// Generates documents of about one chunk from random sentences of the collection.
struct DocumentGenerator {
    sentences: Vec<String>,
    random: fastrand::Rng,
}

impl DocumentGenerator {
    fn new(judged: &JudgedCollection) -> Self {
        let sentences = judged
            .documents
            .iter()
            .flat_map(|document| document.text.split(". "))
            .map(str::to_owned)
            .collect();
        Self { sentences, random: fastrand::Rng::with_seed(1) }
    }

    fn next_document(&mut self, at: u64) -> Document {
        let sentences: Vec<&str> = (0..3)
            .map(|_| self.sentences[self.random.usize(..self.sentences.len())].as_str())
            .collect();
        let text: String = sentences.join(". ").chars().take(600).collect();
        Document { id: format!("{at}"), text, ..Document::default() }
    }
}

/// An embedder that returns real vectors for queries, and noisy vectors of the collection for
/// texts.
struct JitteredEmbedder {
    vectors: Vec<Vec<f32>>,
    model: CachedEmbedder,
}

impl Embedder for JitteredEmbedder {
    fn model(&self) -> &str {
        self.model.model()
    }

    fn embed(
        &self,
        texts: Vec<String>,
        purpose: EmbeddingPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, InferenceError>> {
        if purpose == EmbeddingPurpose::Query {
            return self.model.embed(texts, purpose);
        }
        let jittered = |text: &String| {
            let mut random = fastrand::Rng::with_seed(
                text.bytes()
                    .fold(0, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte))),
            );
            let vector = &self.vectors[random.usize(..self.vectors.len())];
            vector.iter().map(|number| number + (random.f32() - 0.5) * 0.1).collect()
        };
        let vectors = texts.iter().map(jittered).collect();
        async move { Ok(vectors) }.boxed()
    }
}
