//! Parses whole files, each in a worker process as in the host.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod docx;
mod docx_writer;
mod email;
mod epub;
mod hostile;
mod html;
mod markdown;
mod mutated;
mod open_document;
mod pdf;
mod pdf_writer;
mod presentation;
mod rtf;
mod spreadsheet;
mod structured_text;
mod text;

use document_parser::{Document, DocumentParser, FileError, Limits};

fn parser() -> DocumentParser {
    DocumentParser::new(env!("CARGO_BIN_EXE_document-parser"), "parse-document")
}

async fn parse(bytes: &[u8], name: &str) -> Result<Document, FileError> {
    parser().parse(bytes, name, &Limits::default()).await
}

/// Parses a file and renders it as Markdown.
async fn markdown_of(bytes: &[u8], name: &str) -> String {
    parse(bytes, name).await.unwrap().to_markdown().text
}

/// Returns the text of the error for a file.
async fn error_text(bytes: &[u8], name: &str) -> String {
    parse(bytes, name).await.unwrap_err().to_string()
}
