//! The arguments and results of a format's parser beside the blocks of a document.

use crate::{builder::DocumentBuilder, error::ParseError, format::FileFormat, limits::Limits};

/// The metadata that the parser of a format returns beside the blocks.
pub(crate) struct DocumentInfo {
    pub title: Option<String>,
    pub pages: Option<u32>,
    pub warnings: Vec<String>,
}

impl DocumentInfo {
    /// Creates the metadata of a file without pages.
    pub fn with_title(title: Option<String>) -> Self {
        Self { title, pages: None, warnings: Vec::new() }
    }
}

/// Parses a file into the document that is being built, and returns its format and metadata.
pub(crate) type ParseBytes = fn(
    Vec<u8>,
    &str,
    &FileContext<'_>,
    &mut DocumentBuilder,
) -> Result<(FileFormat, DocumentInfo), ParseError>;

/// The limits of a file, its depth within others, and the parser of its attachments.
#[derive(Clone, Copy)]
pub(crate) struct FileContext<'a> {
    pub limits: &'a Limits,
    /// The number of e-mails around the file.
    pub depth: usize,
    pub parse_attachment: ParseBytes,
}
