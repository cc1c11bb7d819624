//! `eval`: runs judged collections through the index as its users do, and prints what the judges would say.

use crate::cache::Cache;
use crate::collection::{Judged, folders};
use crate::file::{folder, fresh};
use crate::language;
use crate::measure::{Means, Measures};
use crate::model;
use crate::rerank::Service;
use anyhow::Result;
use retrieval::{Answer, By, Embedder, Index, Language, Purpose, Question, Settings, Viewer};
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// Collections, or folders of collections: `docs.jsonl`, `queries.jsonl`, `qrels.tsv`
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// The folder with the embedding model, which is fetched if it is not there
    #[arg(long, default_value = model::FOLDER)]
    model: PathBuf,
    /// Measures words alone, without a model
    #[arg(long, conflicts_with_all = ["model", "reranker"])]
    words_only: bool,
    /// Where vectors are kept between runs, and the index meanwhile
    #[arg(long, default_value = "target/retrieval")]
    work: PathBuf,
    /// The greatest number of tokens of a chunk
    #[arg(long, default_value_t = Settings::default().chunk_tokens)]
    chunk_tokens: usize,
    /// The language of the collections
    #[arg(long, default_value = "english", value_parser = language::read)]
    language: Language,
    /// Threads for the embedding model
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// A PostgreSQL to measure as well, with how far its nDCG is from the file's
    #[arg(long)]
    database: Option<String>,
    #[command(flatten)]
    reranker: Service,
}

/// A way to ask.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Leg(By),
    Reranked,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Leg(By::Words) => "bm25",
            Self::Leg(By::Meaning) => "dense",
            Self::Leg(By::Both) => "hybrid",
            Self::Reranked => "hybrid+rerank",
        }
    }

    fn by(self) -> By {
        match self {
            Self::Leg(by) => by,
            Self::Reranked => By::Both,
        }
    }
}

/// So many of the best are given to a reranker.
const RERANKED: usize = 50;

pub async fn run(arguments: Arguments) -> Result<()> {
    folder(&arguments.work)?;
    let model = match arguments.words_only {
        true => None,
        false => Some(model::open(&arguments.model, arguments.threads)?),
    };
    let cache = |model| Cache::open(model, &arguments.work.join("vectors.db"));
    let embedder = model.map(cache).transpose()?;
    let embedder = embedder.as_ref().map(|embedder| embedder as &dyn Embedder);
    let mut ways = vec![Way::Leg(By::Words)];
    if embedder.is_some() {
        ways.extend([Way::Leg(By::Meaning), Way::Leg(By::Both)]);
    }
    if arguments.reranker.is_named() {
        ways.push(Way::Reranked);
    } else {
        println!("no `--reranker` is named: hybrid+rerank is not measured");
    }
    println!(
        "{:<28} {:>7} {:>7}  {:<13} {:>7} {:>9} {:>7} {:>8} {:>8}",
        "collection", "docs", "queries", "way", "nDCG@10", "recall@10", "MRR", "p50 ms", "p95 ms"
    );
    let mut sums = vec![Vec::new(); ways.len()];
    let mut farthest = 0.0_f64;
    let paths =
        arguments.folders.iter().map(|folder| folders(folder)).collect::<Result<Vec<_>>>()?;
    for path in paths.concat() {
        let judged = Judged::read(&path)?;
        let file = arguments.work.join(format!("eval-{}.db", judged.name));
        let index = Index::open(fresh(&file)?).await?;
        let means = measure(&judged, &index, "", &ways, &arguments, embedder).await?;
        drop(index);
        fresh(&file)?;
        if let Some(url) = &arguments.database {
            let shared = Index::connect(url).await?;
            let others =
                measure(&judged, &shared, " (PostgreSQL)", &ways, &arguments, embedder).await?;
            let apart = means.iter().zip(&others).map(|(one, other)| (one.ndcg - other.ndcg).abs());
            farthest = apart.fold(farthest, f64::max);
        }
        sums.iter_mut().zip(means).for_each(|(sum, means)| sum.push(means));
    }
    if sums[0].len() > 1 {
        for (way, sum) in ways.iter().zip(&sums) {
            print_row("average", "", "", way.name(), average(sum));
        }
    }
    if arguments.database.is_some() {
        println!("PostgreSQL's nDCG@10 is at most {farthest:.4} from the file's");
    }
    Ok(())
}

/// Fills the index, asks it in each way, and prints what comes of it.
async fn measure(
    judged: &Judged,
    index: &Index,
    engine: &str,
    ways: &[Way],
    arguments: &Arguments,
    embedder: Option<&dyn Embedder>,
) -> Result<Vec<Means>> {
    ingest(judged, index, arguments, embedder).await?;
    let mut all = Vec::new();
    for way in ways {
        let means = ask(judged, index, *way, embedder, &arguments.reranker).await?;
        let (documents, questions) = (judged.documents.len(), judged.questions.len());
        let name = format!("{}{engine}", judged.name);
        print_row(&name, &documents.to_string(), &questions.to_string(), way.name(), means);
        all.push(means);
    }
    index.forget(COLLECTION).await?;
    Ok(all)
}

/// The name of a collection as long as it is measured: no other one's, for the database may be in use.
const COLLECTION: &str = "pipewright retrieval eval";

async fn ingest(
    judged: &Judged,
    index: &Index,
    arguments: &Arguments,
    embedder: Option<&dyn Embedder>,
) -> Result<()> {
    // A run before may have been cut short.
    if index.collection(COLLECTION, &Viewer::Operator).await.is_ok() {
        index.forget(COLLECTION).await?;
    }
    let Arguments { chunk_tokens, language, .. } = *arguments;
    index.create(COLLECTION, Settings { chunk_tokens, language, ..Settings::default() }).await?;
    for documents in judged.documents.chunks(256) {
        index.put(COLLECTION, documents.to_vec(), embedder).await?;
    }
    Ok(())
}

async fn ask(
    judged: &Judged,
    index: &Index,
    way: Way,
    embedder: Option<&dyn Embedder>,
    reranker: &Service,
) -> Result<Means> {
    let mut measures = Measures::default();
    let embedder = embedder.filter(|_| way.by() != By::Words);
    for asked in &judged.questions {
        let question = Question { by: way.by(), ..Question::new(&asked.text, Viewer::Anonymous) };
        // From here on the question's vector is cached, and the clock is of the index alone.
        if let Some(embedder) = embedder {
            embedder.embed(vec![asked.text.clone()], Purpose::Query).await?;
        }
        let begun = Instant::now();
        index.search(&[COLLECTION], &question, embedder).await?;
        let mut latency = begun.elapsed();
        // Several chunks may be of one document, and ten documents are judged.
        let deep = Question { limit: question.depth, ..question };
        let mut answer = index.search(&[COLLECTION], &deep, embedder).await?;
        if way == Way::Reranked {
            let begun = Instant::now();
            answer = reranked(answer, &asked.text, reranker).await?;
            latency += begun.elapsed();
        }
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

async fn reranked(mut answer: Answer, question: &str, reranker: &Service) -> Result<Answer> {
    answer.hits.truncate(RERANKED);
    let answer = answer.reranked(question, reranker, RERANKED, Duration::from_secs(60)).await;
    anyhow::ensure!(answer.not_reranked.is_none(), "{}", answer.not_reranked.unwrap_or_default());
    Ok(answer)
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

fn print_row(name: &str, documents: &str, questions: &str, way: &str, means: Means) {
    let Means { ndcg, recall, mrr, p50, p95 } = means;
    println!(
        "{name:<28} {documents:>7} {questions:>7}  {way:<13} {ndcg:>7.4} {recall:>9.4} {mrr:>7.4} {p50:>8.2} {p95:>8.2}"
    );
}
