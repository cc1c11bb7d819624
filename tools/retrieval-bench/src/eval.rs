//! `eval`: runs the queries of judged collections, and prints ranking metrics.

use crate::cached_embedder::CachedEmbedder;
use crate::index_location::{create_folder, remove_old_index};
use crate::judged_collection::{JudgedCollection, find_collections};
use crate::language;
use crate::metrics::{MetricMeans, MetricSums};
use crate::model;
use crate::rerank::RerankerOptions;
use anyhow::Result;
use retrieval::{
    CollectionSettings, Embedder, EmbeddingPurpose, Index, Language, Reranker, SearchHit,
    SearchMode, SearchQuery, SearchResults, Viewer,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// Collections, or folders of collections: `docs.jsonl`, `queries.jsonl`, `qrels.tsv`
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// The folder of the embedding model; it is fetched if it does not exist
    #[arg(long, default_value = model::FOLDER)]
    model: PathBuf,
    /// Measure keyword search alone, without a model
    #[arg(long, conflicts_with_all = ["model", "reranker", "local_reranker"])]
    words_only: bool,
    /// The folder for cached vectors and temporary indexes
    #[arg(long, default_value = "target/retrieval")]
    work: PathBuf,
    /// The maximum number of tokens of a chunk
    #[arg(long, default_value_t = CollectionSettings::default().chunk_tokens)]
    chunk_tokens: usize,
    /// The language of the collections
    #[arg(long, default_value = "auto", value_parser = language::parse)]
    language: Language,
    /// The number of threads for the embedding model
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// The address of a PostgreSQL to measure as well, and to compare with the file
    #[arg(long)]
    database: Option<String>,
    /// A file to which the scores of each question's candidates are added, one question a line
    #[arg(long)]
    candidates: Option<PathBuf>,
    #[command(flatten)]
    reranker: RerankerOptions,
}

/// A method of ranking that is measured.
#[derive(Clone, Copy, PartialEq)]
enum RankingMethod {
    Search(SearchMode),
    Reranked,
}

impl RankingMethod {
    /// Returns the name in the table.
    fn name(self) -> &'static str {
        match self {
            Self::Search(SearchMode::Keyword) => "bm25",
            Self::Search(SearchMode::Vector) => "dense",
            Self::Search(SearchMode::Hybrid) => "hybrid",
            Self::Reranked => "hybrid+rerank",
        }
    }

    fn search_mode(self) -> SearchMode {
        match self {
            Self::Search(mode) => mode,
            Self::Reranked => SearchMode::Hybrid,
        }
    }
}

/// The models of a measurement.
struct Models<'a> {
    embedder: Option<&'a dyn Embedder>,
    reranker: Option<&'a dyn Reranker>,
}

/// Runs the command `eval`.
pub async fn run(arguments: Arguments) -> Result<()> {
    create_folder(&arguments.work)?;
    let model = match arguments.words_only {
        true => None,
        false => Some(model::open(&arguments.model, arguments.threads)?),
    };
    let cache = |model| CachedEmbedder::open(model, &arguments.work.join("vectors.db"));
    let embedder = model.map(cache).transpose()?;
    let embedder = embedder.as_ref().map(|embedder| embedder as &dyn Embedder);
    let mut methods = vec![RankingMethod::Search(SearchMode::Keyword)];
    if embedder.is_some() {
        methods.extend([
            RankingMethod::Search(SearchMode::Vector),
            RankingMethod::Search(SearchMode::Hybrid),
        ]);
    }
    let reranker = arguments.reranker.open(arguments.threads)?;
    if reranker.is_some() {
        methods.push(RankingMethod::Reranked);
    } else {
        println!("no reranker is named: hybrid+rerank is not measured");
    }
    println!(
        "{:<28} {:>7} {:>7}  {:<13} {:>7} {:>9} {:>7} {:>8} {:>8}",
        "collection",
        "docs",
        "queries",
        "method",
        "nDCG@10",
        "recall@10",
        "MRR",
        "p50 ms",
        "p95 ms"
    );
    let models = Models { embedder, reranker: reranker.as_deref() };
    let mut sums = vec![Vec::new(); methods.len()];
    let mut largest_difference = 0.0_f64;
    let paths = arguments
        .folders
        .iter()
        .map(|folder| find_collections(folder))
        .collect::<Result<Vec<_>>>()?;
    for path in paths.concat() {
        let judged = JudgedCollection::load(&path)?;
        let file = arguments.work.join(format!("eval-{}.db", judged.name));
        let index = Index::open(remove_old_index(&file)?).await?;
        let means = measure(&judged, &index, "", &methods, &arguments, &models).await?;
        drop(index);
        remove_old_index(&file)?;
        if let Some(url) = &arguments.database {
            let postgres = Index::connect(url).await?;
            let postgres_means =
                measure(&judged, &postgres, " (PostgreSQL)", &methods, &arguments, &models).await?;
            let differences =
                means.iter().zip(&postgres_means).map(|(one, other)| (one.ndcg - other.ndcg).abs());
            largest_difference = differences.fold(largest_difference, f64::max);
        }
        sums.iter_mut().zip(means).for_each(|(sum, means)| sum.push(means));
    }
    if sums[0].len() > 1 {
        for (method, sum) in methods.iter().zip(&sums) {
            print_row("average", "", "", method.name(), average(sum));
        }
    }
    if arguments.database.is_some() {
        println!("PostgreSQL's nDCG@10 is at most {largest_difference:.4} from the file's");
    }
    Ok(())
}

/// Stores the collection, runs its queries with each method, and prints the metrics.
async fn measure(
    judged: &JudgedCollection,
    index: &Index,
    engine: &str,
    methods: &[RankingMethod],
    arguments: &Arguments,
    models: &Models<'_>,
) -> Result<Vec<MetricMeans>> {
    ingest_documents(judged, index, arguments, models.embedder).await?;
    let mut all = Vec::new();
    for method in methods {
        let means = evaluate(judged, index, *method, models, arguments).await?;
        let (documents, questions) = (judged.documents.len(), judged.queries.len());
        let name = format!("{}{engine}", judged.name);
        print_row(&name, &documents.to_string(), &questions.to_string(), method.name(), means);
        all.push(means);
    }
    index.delete_collection(COLLECTION).await?;
    Ok(all)
}

/// The name of the temporary collection. It must be unused, because the database may hold others.
const COLLECTION: &str = "pipewright retrieval eval";

async fn ingest_documents(
    judged: &JudgedCollection,
    index: &Index,
    arguments: &Arguments,
    embedder: Option<&dyn Embedder>,
) -> Result<()> {
    // An interrupted run may have left its collection.
    if index.get_collection(COLLECTION, &Viewer::Operator).await.is_ok() {
        index.delete_collection(COLLECTION).await?;
    }
    let Arguments { chunk_tokens, language, .. } = *arguments;
    index
        .create_collection(
            COLLECTION,
            CollectionSettings { chunk_tokens, language, ..CollectionSettings::default() },
        )
        .await?;
    for documents in judged.documents.chunks(256) {
        index.put_documents(COLLECTION, documents.to_vec(), embedder).await?;
    }
    Ok(())
}

/// Measures a ranking method on a judged collection.
async fn evaluate(
    judged: &JudgedCollection,
    index: &Index,
    method: RankingMethod,
    models: &Models<'_>,
    arguments: &Arguments,
) -> Result<MetricMeans> {
    let mut sums = MetricSums::default();
    let candidates = arguments.candidates.as_ref();
    let candidates = candidates.filter(|_| method == RankingMethod::Search(SearchMode::Hybrid));
    let mut candidates =
        candidates.map(|path| File::options().create(true).append(true).open(path)).transpose()?;
    let embedder = models.embedder.filter(|_| method.search_mode() != SearchMode::Keyword);
    for judged_query in &judged.queries {
        let query = SearchQuery {
            mode: method.search_mode(),
            ..SearchQuery::new(&judged_query.text, Viewer::Anonymous)
        };
        // This caches the query's vector, so that the latency below is that of the index alone.
        if let Some(embedder) = embedder {
            embedder.embed(vec![judged_query.text.clone()], EmbeddingPurpose::Query).await?;
        }
        let start = Instant::now();
        index.search(&[COLLECTION], &query, embedder).await?;
        let mut latency = start.elapsed();
        // Several chunks may belong to one document, and the metrics are over ten documents.
        let deep_query = SearchQuery { limit: 2 * query.depth, ..query };
        let mut results = index.search(&[COLLECTION], &deep_query, embedder).await?;
        if let Some(file) = &mut candidates {
            let relevant = &judged.judgements[&judged_query.id];
            writeln!(
                file,
                "{}",
                describe_candidates(&judged.name, &judged_query.text, relevant, &results)
            )?;
        }
        if method == RankingMethod::Reranked
            && let Some(reranker) = models.reranker
        {
            let start = Instant::now();
            let depth = arguments.reranker.rerank_depth;
            results = rerank(results, &judged_query.text, reranker, depth).await?;
            latency += start.elapsed();
        }
        let mut ranking: Vec<String> = Vec::new();
        for hit in results.hits {
            if !ranking.contains(&hit.document) {
                ranking.push(hit.document);
            }
        }
        sums.add(&ranking, &judged.judgements[&judged_query.id], latency);
    }
    Ok(sums.means())
}

/// Returns the scores of a question's candidates, and which documents are relevant.
fn describe_candidates(
    collection: &str,
    text: &str,
    relevant: &HashMap<String, f64>,
    results: &SearchResults,
) -> Value {
    let hit = |hit: &SearchHit| {
        json!([
            hit.document,
            hit.chunk,
            hit.scores.bm25,
            hit.scores.cosine,
            hit.scores.bm25_rank,
            hit.scores.cosine_rank,
            hit.matched_words.len(),
            hit.heading,
            hit.text
        ])
    };
    json!({
        "collection": collection,
        "text": text,
        "relevant": relevant,
        "words": results.query_words,
        "hits": results.hits.iter().map(hit).collect::<Vec<_>>(),
    })
}

/// Orders the first results by a reranker.
async fn rerank(
    mut results: SearchResults,
    question: &str,
    reranker: &dyn Reranker,
    depth: usize,
) -> Result<SearchResults> {
    results.hits.truncate(depth);
    let results = results.rerank(question, reranker, depth, Duration::from_secs(60)).await;
    anyhow::ensure!(results.not_reranked.is_none(), "{}", results.not_reranked.unwrap_or_default());
    Ok(results)
}

/// Returns the averages over collections.
#[expect(clippy::cast_precision_loss, reason = "counts")]
fn average(means: &[MetricMeans]) -> MetricMeans {
    let mean = |of: fn(&MetricMeans) -> f64| means.iter().map(of).sum::<f64>() / means.len() as f64;
    MetricMeans {
        ndcg: mean(|m| m.ndcg),
        recall: mean(|m| m.recall),
        mrr: mean(|m| m.mrr),
        p50: mean(|m| m.p50),
        p95: mean(|m| m.p95),
    }
}

fn print_row(name: &str, documents: &str, questions: &str, method: &str, means: MetricMeans) {
    let MetricMeans { ndcg, recall, mrr, p50, p95 } = means;
    println!(
        "{name:<28} {documents:>7} {questions:>7}  {method:<13} {ndcg:>7.4} {recall:>9.4} {mrr:>7.4} {p50:>8.2} {p95:>8.2}"
    );
}
