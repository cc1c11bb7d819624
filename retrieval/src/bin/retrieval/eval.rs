//! `eval`: runs judged collections through the index as its users do, and prints what the judges would say.

use crate::cache::Cache;
use crate::collection::{Judged, folders};
use crate::file::fresh;
use crate::measure::{Means, Measures};
use anyhow::Result;
use retrieval::{By, Embedder, Index, MiniLm, Question, Settings, Viewer};
use std::path::PathBuf;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Arguments {
    /// Collections, or folders of collections: `docs.jsonl`, `queries.jsonl`, `qrels.tsv`
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// The folder with the embedding model; without it, words alone are measured
    #[arg(long, default_value = "target/minilm")]
    model: PathBuf,
    /// Where indexes and vectors are kept between runs
    #[arg(long, default_value = "target/retrieval")]
    work: PathBuf,
    /// The greatest number of tokens of a chunk
    #[arg(long, default_value_t = Settings::default().chunk_tokens)]
    chunk_tokens: usize,
    /// Threads for the embedding model
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

pub async fn run(arguments: Arguments) -> Result<()> {
    std::fs::create_dir_all(&arguments.work)?;
    let embedder = if arguments.model.is_dir() {
        Some(Cache::open(
            MiniLm::open(&arguments.model, arguments.threads)?,
            &arguments.work.join("vectors.db"),
        )?)
    } else {
        println!("no model in `{}`: words alone are measured", arguments.model.display());
        None
    };
    let embedder = embedder.as_ref().map(|embedder| embedder as &dyn Embedder);
    let ways: &[(&str, By)] = match embedder {
        Some(_) => &[("bm25", By::Words), ("dense", By::Meaning), ("hybrid", By::Both)],
        None => &[("bm25", By::Words)],
    };
    println!(
        "{:<18} {:>7} {:>7}  {:<8} {:>7} {:>9} {:>7} {:>8} {:>8}",
        "collection", "docs", "queries", "way", "nDCG@10", "recall@10", "MRR", "p50 ms", "p95 ms"
    );
    let mut sums = vec![Vec::new(); ways.len()];
    for path in
        arguments.folders.iter().map(|folder| folders(folder)).collect::<Result<Vec<_>>>()?.concat()
    {
        let judged = Judged::read(&path)?;
        let index = ingest(&judged, &arguments, embedder).await?;
        for ((way, by), sum) in ways.iter().zip(&mut sums) {
            let means = ask(&judged, &index, *by, embedder).await?;
            print_row(&judged.name, judged.documents.len(), judged.questions.len(), way, means);
            sum.push(means);
        }
    }
    if sums[0].len() > 1 {
        for ((way, _), sum) in ways.iter().zip(&sums) {
            print_row("average", 0, 0, way, average(sum));
        }
    }
    Ok(())
}

async fn ingest(
    judged: &Judged,
    arguments: &Arguments,
    embedder: Option<&dyn Embedder>,
) -> Result<Index> {
    let index =
        Index::open(fresh(&arguments.work.join(format!("eval-{}.db", judged.name)))?).await?;
    index
        .create(
            &judged.name,
            Settings { chunk_tokens: arguments.chunk_tokens, ..Settings::default() },
        )
        .await?;
    for documents in judged.documents.chunks(256) {
        index.put(&judged.name, documents.to_vec(), embedder).await?;
    }
    Ok(index)
}

async fn ask(
    judged: &Judged,
    index: &Index,
    by: By,
    embedder: Option<&dyn Embedder>,
) -> Result<Means> {
    let mut measures = Measures::default();
    for asked in &judged.questions {
        // Several chunks may be of one document, and ten documents are wanted.
        let question = Question { by, limit: 100, ..Question::new(&asked.text, Viewer::Anonymous) };
        let embedder = embedder.filter(|_| by != By::Words);
        if let Some(embedder) = embedder {
            // The vector is cached here, so that the clock is of the index alone.
            embedder.embed(vec![asked.text.clone()], retrieval::Purpose::Query).await?;
        }
        let begun = Instant::now();
        let answer = index.search(&[&judged.name], &question, embedder).await?;
        let latency = begun.elapsed();
        let mut ranking: Vec<String> = Vec::new();
        for hit in answer.hits {
            if !ranking.contains(&hit.document) {
                ranking.push(hit.document);
            }
        }
        measures.add(&ranking, &judged.judgements[&asked.id], latency);
    }
    Ok(measures.means())
}

#[expect(clippy::cast_precision_loss, reason = "counts")]
fn average(means: &[Means]) -> Means {
    let mean = |of: fn(&Means) -> f64| means.iter().map(of).sum::<f64>() / means.len() as f64;
    Means {
        ndcg: mean(|m| m.ndcg),
        recall: mean(|m| m.recall),
        mrr: mean(|m| m.mrr),
        p50: mean(|m| m.p50),
        p95: mean(|m| m.p95),
    }
}

fn print_row(name: &str, documents: usize, questions: usize, way: &str, means: Means) {
    let Means { ndcg, recall, mrr, p50, p95 } = means;
    println!(
        "{name:<18} {documents:>7} {questions:>7}  {way:<8} {ndcg:>7.4} {recall:>9.4} {mrr:>7.4} {p50:>8.2} {p95:>8.2}"
    );
}
