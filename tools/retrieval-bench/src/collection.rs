//! A judged collection: documents, questions, and which document answers which question.

use anyhow::{Context, Result};
use retrieval::Document;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A folder with `docs.jsonl`, `queries.jsonl` and `qrels.tsv`.
pub struct Judged {
    pub name: String,
    pub documents: Vec<Document>,
    /// Those that a relevant document is known of.
    pub questions: Vec<Asked>,
    /// The grade of each relevant document of a question.
    pub judgements: HashMap<String, HashMap<String, f64>>,
}

/// A line of `queries.jsonl`.
#[derive(Deserialize)]
pub struct Asked {
    #[serde(alias = "_id", deserialize_with = "id")]
    pub id: String,
    pub text: String,
}

/// A line of `docs.jsonl`; whatever else it holds is not looked at.
#[derive(Deserialize)]
struct Given {
    #[serde(alias = "_id", deserialize_with = "id")]
    id: String,
    #[serde(default)]
    title: Option<String>,
    text: String,
}

/// Numbers are ids, too.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(id) => Ok(id),
        Value::Number(id) => Ok(id.to_string()),
        other => Err(serde::de::Error::custom(format!("an id is a text or a number, not {other}"))),
    }
}

impl Judged {
    pub fn read(folder: &Path) -> Result<Self> {
        let judgements = judgements(&folder.join("qrels.tsv"))?;
        let mut questions: Vec<Asked> = lines(&folder.join("queries.jsonl"))?;
        questions.retain(|question| judgements.contains_key(&question.id));
        anyhow::ensure!(
            !questions.is_empty(),
            "no question of `{0}/queries.jsonl` has a relevant document in `{0}/qrels.tsv`",
            folder.display()
        );
        let given: Vec<Given> = lines(&folder.join("docs.jsonl"))?;
        anyhow::ensure!(!given.is_empty(), "`{}/docs.jsonl` is empty", folder.display());
        let documents = given.into_iter().map(|Given { id, title, text }| Document {
            id,
            title: title.unwrap_or_default(),
            text,
            ..Document::default()
        });
        let whole =
            folder.canonicalize().with_context(|| format!("cannot read `{}`", folder.display()))?;
        let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, documents: documents.collect(), questions, judgements })
    }
}

/// Reads lines of a question's id, a document's id and a grade, with tabs between them; the first line may be a heading.
fn judgements(path: &Path) -> Result<HashMap<String, HashMap<String, f64>>> {
    let mut judgements: HashMap<String, HashMap<String, f64>> = HashMap::new();
    for (at, line) in read(path)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let columns: Vec<&str> = line.split('\t').map(str::trim).collect();
        // TREC's own form has a column more, which says nothing.
        let judged = match columns[..] {
            [question, document, grade] | [question, _, document, grade] => {
                grade.parse::<f64>().ok().map(|grade| (question, document, grade))
            }
            _ => None,
        };
        match judged {
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

fn read(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// What stands in a file with a JSON value a line.
pub fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = read(path)?;
    let lines = text.split('\n').enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parsed = lines.map(|(at, line)| {
        serde_json::from_str(line)
            .with_context(|| format!("line {} of `{}`", at + 1, path.display()))
    });
    parsed.collect()
}

/// The folder itself if it is a collection, else those in it that are.
pub fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_one = |path: &Path| path.join("docs.jsonl").is_file();
    if is_one(folder) {
        return Ok(vec![folder.to_owned()]);
    }
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<PathBuf>>>();
    let mut found: Vec<PathBuf> = paths
        .with_context(|| format!("cannot read `{}`", folder.display()))?
        .into_iter()
        .filter(|path| is_one(path))
        .collect();
    found.sort();
    anyhow::ensure!(
        !found.is_empty(),
        "`{}` holds no collection: a folder with `docs.jsonl`, `queries.jsonl` and `qrels.tsv`",
        folder.display()
    );
    Ok(found)
}
