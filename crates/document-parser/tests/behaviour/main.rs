//! Files in, documents or sentences out: each through a worker of its own, as the host does it.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod docx;
mod hostile;
mod html;
mod markdown;
mod mutated;
mod pdf;
mod text;
mod word_file;
mod written_pdf;

use document_parser::{Document, Error, Limits, Parser};

fn parser() -> Parser {
    Parser::new(env!("CARGO_BIN_EXE_document-parser"), "parse-document")
}

async fn parse(bytes: &[u8], name: &str) -> Result<Document, Error> {
    parser().parse(bytes, name, &Limits::default()).await
}

/// The file as Markdown.
async fn told(bytes: &[u8], name: &str) -> String {
    parse(bytes, name).await.unwrap().text().text
}

/// Why the file is refused.
async fn refusal(bytes: &[u8], name: &str) -> String {
    parse(bytes, name).await.unwrap_err().to_string()
}
