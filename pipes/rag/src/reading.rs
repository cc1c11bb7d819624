//! A file or text that was sent becomes a document.

use crate::{PARSE, library::seen_by};
use document_parser::{DocumentParser, Limits, MarkdownText};
use pipe_sdk::library::{Content, Upload};
use retrieval::Document;
use std::sync::LazyLock;

/// A document that could not be read, and why.
pub(crate) struct Unread {
    pub document: Document,
    pub reason: String,
}

/// The document without its text, and what is to be read.
pub(crate) fn apart(upload: Upload) -> (Document, Content) {
    let Upload { id, title, url, audience, metadata, content } = upload;
    let (audience, title, text) = (seen_by(audience), title.unwrap_or_default(), String::new());
    (Document { id, title, text, url, audience, metadata, pages: Vec::new() }, content)
}

/// The document that this says.
pub(crate) async fn document(upload: Upload) -> Result<Document, Box<Unread>> {
    let (document, content) = apart(upload);
    let read = match content {
        Content::Text(text) => Ok(Read { text, ..Read::default() }),
        Content::File { name, bytes } => file(&name, bytes).await,
    };
    let read = read.and_then(|read| match read.text.trim().is_empty() {
        true => Err("it holds no text".to_owned()),
        false => Ok(read),
    });
    match read {
        Ok(Read { title, text, pages, notes }) => {
            let mut metadata = document.metadata.clone();
            if !notes.is_empty() {
                metadata.insert(NOTES.to_owned(), notes.into());
            }
            let title = [
                document.title.clone(),
                title.unwrap_or_default(),
                heading(&text),
                name(&document.id),
            ];
            let title = title.into_iter().find(|title| !title.trim().is_empty());
            Ok(Document { title: title.unwrap_or_default(), text, metadata, pages, ..document })
        }
        Err(reason) => Err(Box::new(Unread { document, reason })),
    }
}

/// Where it stands what could not be read of a document, in its metadata.
const NOTES: &str = "pipewright.notes";

/// What a file says.
#[derive(Default)]
struct Read {
    title: Option<String>,
    text: String,
    /// Where its pages begin in the text, and their numbers.
    pages: Vec<(usize, u32)>,
    /// What could not be read of it.
    notes: Vec<String>,
}

/// Text and Markdown are read as they are; everything else by a process of its own.
async fn file(name: &str, bytes: Vec<u8>) -> Result<Read, String> {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) if is_plain(name, &text) => {
            return Ok(Read { text, ..Read::default() });
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
            Ok(Read { text, pages, title: document.title, notes: document.warnings })
        }
        Err(error) => Err(error.error.to_string()),
    }
}

/// What reads files; it has as many places as there are processors, for all.
static PARSER: LazyLock<Option<DocumentParser>> =
    LazyLock::new(|| DocumentParser::from_current_program(PARSE).ok());

/// Whether there is nothing to be parsed. Front matter is.
fn is_plain(name: &str, text: &str) -> bool {
    let kind = name.rsplit_once('.').map(|(_, kind)| kind.to_ascii_lowercase());
    let is_named_so = matches!(kind.as_deref(), Some("md" | "markdown" | "txt"));
    is_named_so && !text.contains('\0') && !text.starts_with("---")
}

/// The first heading of a Markdown text, if it begins with one.
fn heading(text: &str) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let heading = first.and_then(|line| line.strip_prefix("# "));
    heading.map(|heading| heading.trim().to_owned()).unwrap_or_default()
}

/// The last part of an id that is a path, without what tells the kind.
fn name(id: &str) -> String {
    let name = id.rsplit('/').next().unwrap_or(id);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if stem.is_empty() { name.to_owned() } else { stem.to_owned() }
}
