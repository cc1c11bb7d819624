//! Reads an upload into a document.

use crate::convert::to_index_audience;
use document_parser::{DocumentParser, Limits, MarkdownText};
use pipe_sdk::library::{Content, Upload};
use retrieval::Document;
use std::sync::LazyLock;

/// The argument with which the program starts itself again to read one file. Its `main` then only
/// calls [`parse`](crate::parse).
pub const PARSE: &str = document_parser::worker::ARGUMENT;

/// A document that could not be read, with the reason.
pub(crate) struct UnreadableDocument {
    pub document: Document,
    pub reason: String,
}

/// Splits an upload into the document without its text, and the content to be read.
pub(crate) fn split_content(upload: Upload) -> (Document, Content) {
    let Upload { id, title, url, audience, metadata, content } = upload;
    let (title, text) = (title.unwrap_or_default(), String::new());
    let audience = to_index_audience(audience);
    (Document { id, title, text, url, audience, metadata, pages: Vec::new() }, content)
}

/// Reads an upload. A document without text counts as unreadable.
pub(crate) async fn read_document(upload: Upload) -> Result<Document, Box<UnreadableDocument>> {
    let (document, content) = split_content(upload);
    let parsed = match content {
        Content::Text(text) => Ok(ParsedText { text, ..ParsedText::default() }),
        Content::File { name, bytes } => parse_file(&name, bytes).await,
    };
    let parsed = parsed.and_then(|parsed| match parsed.text.trim().is_empty() {
        true => Err("it holds no text".to_owned()),
        false => Ok(parsed),
    });
    match parsed {
        Ok(ParsedText { title, text, pages, warnings }) => {
            let mut metadata = document.metadata.clone();
            if !warnings.is_empty() {
                metadata.insert(WARNINGS.to_owned(), warnings.into());
            }
            let title = [
                document.title.clone(),
                title.unwrap_or_default(),
                first_heading(&text),
                file_stem(&document.id),
            ];
            let title = title.into_iter().find(|title| !title.trim().is_empty());
            Ok(Document { title: title.unwrap_or_default(), text, metadata, pages, ..document })
        }
        Err(reason) => Err(Box::new(UnreadableDocument { document, reason })),
    }
}

/// The metadata that lists the parts of a document that could not be read.
const WARNINGS: &str = "pipewright.notes";

/// The text of a file.
#[derive(Default)]
struct ParsedText {
    title: Option<String>,
    text: String,
    /// The offsets at which its pages begin, with their numbers.
    pages: Vec<(usize, u32)>,
    /// The parts that could not be read.
    warnings: Vec<String>,
}

/// Parses a file: plain text and Markdown in this process, everything else in one of its own.
async fn parse_file(name: &str, bytes: Vec<u8>) -> Result<ParsedText, String> {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) if is_plain_text(name, &text) => {
            return Ok(ParsedText { text, ..ParsedText::default() });
        }
        Ok(text) => text.into_bytes(),
        Err(error) => error.into_bytes(),
    };
    let Some(parser) = PARSER.as_ref() else {
        return Err("the parser could not be run".into());
    };
    match parser.parse(&bytes, name, &Limits::default()).await {
        Ok(document) => {
            let MarkdownText { text, pages } = document.to_markdown();
            Ok(ParsedText { text, pages, title: document.title, warnings: document.warnings })
        }
        Err(error) => Err(error.error.to_string()),
    }
}

/// The parser of this process. It runs as many workers at a time as there are processors.
static PARSER: LazyLock<Option<DocumentParser>> =
    LazyLock::new(|| DocumentParser::from_current_program(PARSE).ok());

/// Returns true for text and Markdown without front matter, which need no parser.
fn is_plain_text(name: &str, text: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let is_text = matches!(extension.as_deref(), Some("md" | "markdown" | "txt"));
    is_text && !text.contains('\0') && !text.starts_with("---")
}

/// Returns the heading with which a Markdown text begins, if it does.
fn first_heading(text: &str) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let heading = first.and_then(|line| line.strip_prefix("# "));
    heading.map(|heading| heading.trim().to_owned()).unwrap_or_default()
}

/// Returns the last part of an id that is a path, without the extension.
fn file_stem(id: &str) -> String {
    let name = id.rsplit('/').next().unwrap_or(id);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if stem.is_empty() { name.to_owned() } else { stem.to_owned() }
}
