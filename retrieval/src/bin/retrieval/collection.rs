//! A judged collection: documents, questions, and which document answers which question.

use anyhow::{Context, Result};
use retrieval::Document;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A folder with `docs.jsonl`, `queries.jsonl` and `qrels.tsv`.
pub struct Judged {
    pub name: String,
    pub documents: Vec<Document>,
    pub questions: Vec<Asked>,
    /// The grade of each relevant document of a question.
    pub judgements: HashMap<String, HashMap<String, f64>>,
}

#[derive(Deserialize)]
pub struct Asked {
    pub id: String,
    pub text: String,
}

impl Judged {
    pub fn read(folder: &Path) -> Result<Self> {
        let mut judgements: HashMap<String, HashMap<String, f64>> = HashMap::new();
        let path = folder.join("qrels.tsv");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        for line in text.lines() {
            let [question, document, grade] = line.split('\t').collect::<Vec<_>>()[..] else {
                continue;
            };
            let Some(grade) = grade.trim().parse().ok().filter(|grade| *grade > 0.0) else {
                continue;
            };
            judgements.entry(question.to_owned()).or_default().insert(document.to_owned(), grade);
        }
        let mut questions: Vec<Asked> = lines(&folder.join("queries.jsonl"))?;
        questions.retain(|question| judgements.contains_key(&question.id));
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, documents: lines(&folder.join("docs.jsonl"))?, questions, judgements })
    }
}

/// What stands in a file with a JSON value a line.
pub fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    let parsed =
        text.lines().filter(|line| !line.trim().is_empty()).enumerate().map(|(at, line)| {
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
    let mut found: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_one(path)).collect();
    found.sort();
    anyhow::ensure!(
        !found.is_empty(),
        "`{}` holds no collection: a folder with `docs.jsonl`, `queries.jsonl` and `qrels.tsv`",
        folder.display()
    );
    Ok(found)
}
