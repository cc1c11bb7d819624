//! `scale`: many chunks, made of a judged collection's sentences, asked its questions.
//!
//! Sentences keep the lengths of posting lists as real as the collection's. Vectors are the collection's own, each a little aside, for
//! to embed so many texts would take hours, and the scan does not care.

use crate::cache::Cache;
use crate::collection::Judged;
use crate::file::{folder, fresh, size};
use crate::measure::percentile;
use crate::model;
use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use retrieval::{
    By, Document, EmbedError, Embedder, Index, Outcome, Purpose, Question, Settings, Viewer,
};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// The judged collection
    folder: PathBuf,
    /// How many chunks; each number is a measurement
    #[arg(long, value_delimiter = ',', default_values = ["10000", "100000"])]
    chunks: Vec<NonZeroUsize>,
    /// The folder with the embedding model
    #[arg(long, default_value = model::FOLDER)]
    model: PathBuf,
    /// Where indexes and vectors are kept
    #[arg(long, default_value = "target/retrieval")]
    work: PathBuf,
}

pub async fn run(arguments: Arguments) -> Result<()> {
    folder(&arguments.work)?;
    let judged = Judged::read(&arguments.folder)?;
    let real = Cache::open(model::open(&arguments.model, 1)?, &arguments.work.join("vectors.db"))?;
    let some = judged.documents.iter().take(256).map(|document| document.text.clone()).collect();
    let embedder = Aside { vectors: real.embed(some, Purpose::Document).await?, real };
    let questions: Vec<&str> = judged.questions.iter().map(|asked| asked.text.as_str()).collect();
    for question in &questions {
        embedder.embed(vec![(*question).to_owned()], Purpose::Query).await?;
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
        measure(&judged, chunks.get(), &arguments, &embedder, &questions).await?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
async fn measure(
    judged: &Judged,
    chunks: usize,
    arguments: &Arguments,
    embedder: &Aside,
    questions: &[&str],
) -> Result<()> {
    let path = arguments.work.join("scale.db");
    let index = Index::open(fresh(&path)?).await?;
    index.create("scale", Settings::default()).await?;
    let mut source = Source::of(judged);
    let begun = Instant::now();
    let (mut stored, mut documents) = (0, 0..);
    while stored < chunks {
        // Few at the end, so that there are hardly more chunks than were asked for.
        let some = (chunks - stored).min(512);
        let some = documents.by_ref().take(some).map(|at| source.document(at)).collect();
        for outcome in index.put("scale", some, Some(embedder)).await? {
            if let Outcome::Stored { chunks, .. } = outcome {
                stored += chunks;
            }
        }
    }
    drop(index);
    let rate = stored as f64 / begun.elapsed().as_secs_f64();
    let index = Index::open(&path).await?;
    let begun = Instant::now();
    ask(&index, questions[0], By::Both, embedder).await?;
    let load = begun.elapsed().as_secs_f64();
    let mut row = format!(
        "{stored:>9} {rate:>9.0} {:>8} {load:>8.2} {:>8} {:>7}",
        size(&path) >> 20,
        resident_mb(),
        ""
    );
    for by in [By::Words, By::Meaning, By::Both] {
        let mut latencies = Vec::new();
        for question in questions {
            latencies.push(ask(&index, question, by, embedder).await?);
        }
        latencies.sort_unstable();
        row += &format!(
            " {:>15}",
            format!("{:.1} / {:.1}", percentile(&latencies, 50), percentile(&latencies, 95))
        );
    }
    println!("{row}");
    // So much is not left lying about.
    drop(index);
    fresh(&path)?;
    Ok(())
}

async fn ask(index: &Index, text: &str, by: By, embedder: &Aside) -> Result<Duration> {
    let question = Question { by, ..Question::new(text, Viewer::Anonymous) };
    let begun = Instant::now();
    let answer = index.search(&["scale"], &question, Some(embedder)).await?;
    let took = begun.elapsed();
    anyhow::ensure!(by == By::Words || !answer.hits.is_empty(), "`{text}` found nothing");
    Ok(took)
}

/// What Linux says that this process holds in memory; 0 elsewhere.
fn resident_mb() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok());
    (pages.unwrap_or_default() * 4096) >> 20
}

/// Makes documents of about a chunk each, of sentences from anywhere in the collection.
struct Source {
    sentences: Vec<String>,
    random: fastrand::Rng,
}

impl Source {
    fn of(judged: &Judged) -> Self {
        let sentences = judged
            .documents
            .iter()
            .flat_map(|document| document.text.split(". "))
            .map(str::to_owned)
            .collect();
        Self { sentences, random: fastrand::Rng::with_seed(1) }
    }

    fn document(&mut self, at: u64) -> Document {
        let sentences: Vec<&str> = (0..3)
            .map(|_| self.sentences[self.random.usize(..self.sentences.len())].as_str())
            .collect();
        let text: String = sentences.join(". ").chars().take(600).collect();
        Document { id: format!("{at}"), text, ..Document::default() }
    }
}

/// Questions get their own vectors, texts one of the collection's, a little aside.
struct Aside {
    vectors: Vec<Vec<f32>>,
    real: Cache,
}

impl Embedder for Aside {
    fn model(&self) -> &str {
        self.real.model()
    }

    fn embed(
        &self,
        texts: Vec<String>,
        purpose: Purpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, EmbedError>> {
        if purpose == Purpose::Query {
            return self.real.embed(texts, purpose);
        }
        let aside = |text: &String| {
            let mut random = fastrand::Rng::with_seed(
                text.bytes()
                    .fold(0, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte))),
            );
            let vector = &self.vectors[random.usize(..self.vectors.len())];
            vector.iter().map(|number| number + (random.f32() - 0.5) * 0.1).collect()
        };
        let vectors = texts.iter().map(aside).collect();
        async move { Ok(vectors) }.boxed()
    }
}
