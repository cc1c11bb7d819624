//! Jupyter notebooks: their texts, code, and the texts that the code printed.
//! <https://nbformat.readthedocs.io/en/latest/format_description.html>

use crate::{
    builder::DocumentBuilder, document::BlockContent, document_info::DocumentInfo,
    error::ParseError, markdown,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The most characters of one output. Logs of a training can be longer than the notebook.
const MAX_OUTPUT_CHARS: usize = 4_000;

/// The JSON of a notebook.
#[derive(Deserialize)]
struct Notebook {
    #[serde(default)]
    cells: Vec<Cell>,
    #[serde(default)]
    metadata: Metadata,
    /// The cells of version 3 of the format.
    #[serde(default)]
    worksheets: Vec<Worksheet>,
}

/// A worksheet, as version 3 of the format has it.
#[derive(Deserialize)]
struct Worksheet {
    #[serde(default)]
    cells: Vec<Cell>,
}

/// The metadata of a notebook.
#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    language_info: Language,
    #[serde(default)]
    title: Option<String>,
}

/// The programming language of a notebook.
#[derive(Default, Deserialize)]
struct Language {
    name: Option<String>,
}

/// A cell.
#[derive(Deserialize)]
struct Cell {
    cell_type: String,
    #[serde(default, alias = "input")]
    source: Lines,
    #[serde(default)]
    outputs: Vec<Output>,
}

/// An output of a cell.
#[derive(Deserialize)]
struct Output {
    /// The output of the code.
    #[serde(default)]
    text: Lines,
    /// The value of the last expression, by media type. Pictures are in it too.
    #[serde(default)]
    data: BTreeMap<String, serde_json::Value>,
    /// The name and the text of the error that ended the code.
    #[serde(default)]
    ename: String,
    #[serde(default)]
    evalue: String,
}

/// A text, as one string or as one string a line.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lines {
    One(String),
    Many(Vec<String>),
}

impl Default for Lines {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Lines {
    fn into_text(self) -> String {
        match self {
            Self::One(text) => text,
            Self::Many(lines) => lines.concat(),
        }
    }
}

/// Parses a notebook.
pub(crate) fn parse(text: &str, builder: &mut DocumentBuilder) -> Result<DocumentInfo, ParseError> {
    let notebook: Notebook = serde_json::from_str(text)
        .map_err(|_| ParseError::Damaged("its JSON is not that of a notebook".to_owned()))?;
    let language = notebook.metadata.language_info.name;
    let older_cells = notebook.worksheets.into_iter().flat_map(|worksheet| worksheet.cells);
    for cell in notebook.cells.into_iter().chain(older_cells) {
        let source = cell.source.into_text();
        match cell.cell_type.as_str() {
            "markdown" => _ = markdown::parse(&source, builder)?,
            "code" => {
                let language = language.clone();
                builder.push(BlockContent::Code { language, text: source })?;
                cell.outputs.into_iter().try_for_each(|output| push_output(output, builder))?;
            }
            _ => builder.push_paragraph(&source)?,
        }
    }
    Ok(DocumentInfo::with_title(notebook.metadata.title))
}

fn push_output(output: Output, builder: &mut DocumentBuilder) -> Result<(), ParseError> {
    let mut text = output.text.into_text();
    if let Some(value) = output.data.get("text/plain").cloned()
        && let Ok(lines) = serde_json::from_value::<Lines>(value)
    {
        text.push_str(&lines.into_text());
    }
    if !output.ename.is_empty() {
        text.extend([output.ename.as_str(), ": ", &output.evalue]);
    }
    let text: String = text.chars().take(MAX_OUTPUT_CHARS).collect();
    builder.push(BlockContent::Code { language: Some("output".to_owned()), text })
}
