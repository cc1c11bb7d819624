//! Reads judged collections: documents, queries, and relevance judgements.

use anyhow::{Context, Result};
use retrieval::Document;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A folder with `docs.jsonl`, `queries.jsonl` and `qrels.tsv`.
pub struct JudgedCollection {
    pub name: String,
    pub documents: Vec<Document>,
    /// The queries that have a relevant document.
    pub queries: Vec<JudgedQuery>,
    /// The grades of the relevant documents of each query.
    pub judgements: HashMap<String, HashMap<String, f64>>,
}

/// A line of `queries.jsonl`.
#[derive(Deserialize)]
pub struct JudgedQuery {
    #[serde(alias = "_id", deserialize_with = "deserialize_id")]
    pub id: String,
    pub text: String,
}

/// A line of `docs.jsonl`; other fields are ignored.
#[derive(Deserialize)]
struct DocumentLine {
    #[serde(alias = "_id", deserialize_with = "deserialize_id")]
    id: String,
    #[serde(default)]
    title: Option<String>,
    text: String,
}

/// Accepts numbers as ids, too.
fn deserialize_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(id) => Ok(id),
        Value::Number(id) => Ok(id.to_string()),
        other => Err(serde::de::Error::custom(format!("an id is a text or a number, not {other}"))),
    }
}

impl JudgedCollection {
    /// Loads a collection from its folder.
    pub fn load(folder: &Path) -> Result<Self> {
        let judgements = read_judgements(&folder.join("qrels.tsv"))?;
        let mut queries: Vec<JudgedQuery> = read_json_lines(&folder.join("queries.jsonl"))?;
        queries.retain(|query| judgements.contains_key(&query.id));
        anyhow::ensure!(
            !queries.is_empty(),
            "no question of `{0}/queries.jsonl` has a relevant document in `{0}/qrels.tsv`",
            folder.display()
        );
        let lines: Vec<DocumentLine> = read_json_lines(&folder.join("docs.jsonl"))?;
        anyhow::ensure!(!lines.is_empty(), "`{}/docs.jsonl` is empty", folder.display());
        let documents = lines.into_iter().map(|DocumentLine { id, title, text }| Document {
            id,
            title: title.unwrap_or_default(),
            text,
            ..Document::default()
        });
        let full_path =
            folder.canonicalize().with_context(|| format!("cannot read `{}`", folder.display()))?;
        let name = full_path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, documents: documents.collect(), queries, judgements })
    }
}

/// Reads lines of a query's id, a document's id and a grade, separated by tabs; the first line may
/// be a header.
fn read_judgements(path: &Path) -> Result<HashMap<String, HashMap<String, f64>>> {
    let mut judgements: HashMap<String, HashMap<String, f64>> = HashMap::new();
    for (at, line) in
        read_text(path)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty())
    {
        let columns: Vec<&str> = line.split('\t').map(str::trim).collect();
        // TREC's own format has an unused second column.
        let judgement = match columns[..] {
            [question, document, grade] | [question, _, document, grade] => {
                grade.parse::<f64>().ok().map(|grade| (question, document, grade))
            }
            _ => None,
        };
        match judgement {
            Some((question, document, grade)) if grade > 0.0 => {
                judgements
                    .entry(question.to_owned())
                    .or_default()
                    .insert(document.to_owned(), grade);
            }
            Some(_) => {}
            None => anyhow::ensure!(
                at == 0,
                "line {} of `{}` is not a question's id, a document's id and a grade with tabs between them",
                at + 1,
                path.display()
            ),
        }
    }
    Ok(judgements)
}

fn read_text(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Reads a file with one JSON value a line.
pub fn read_json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = read_text(path)?;
    let lines = text.split('\n').enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parsed = lines.map(|(at, line)| {
        serde_json::from_str(line)
            .with_context(|| format!("line {} of `{}`", at + 1, path.display()))
    });
    parsed.collect()
}

/// Returns the folder itself if it is a collection, else the collections in it.
pub fn find_collections(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_collection = |path: &Path| path.join("docs.jsonl").is_file();
    if is_collection(folder) {
        return Ok(vec![folder.to_owned()]);
    }
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<PathBuf>>>();
    let mut found: Vec<PathBuf> = paths
        .with_context(|| format!("cannot read `{}`", folder.display()))?
        .into_iter()
        .filter(|path| is_collection(path))
        .collect();
    found.sort();
    anyhow::ensure!(
        !found.is_empty(),
        "`{}` holds no collection: a folder with `docs.jsonl`, `queries.jsonl` and `qrels.tsv`",
        folder.display()
    );
    Ok(found)
}
