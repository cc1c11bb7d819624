//! Parses a file in the current process. Only the worker calls it.

use crate::{
    builder::DocumentBuilder,
    document::Document,
    docx, encoding,
    error::ParseError,
    format::{self, FileFormat},
    html,
    limits::Limits,
    markdown, pdf, plain_text,
};

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

/// Detects the format of a file and parses it.
pub(crate) fn parse_file(
    bytes: Vec<u8>,
    name: &str,
    limits: &Limits,
) -> Result<Document, ParseError> {
    let format = format::detect(&bytes, name)?;
    let mut builder = DocumentBuilder::new(limits.text_bytes);
    let info = match format {
        FileFormat::Text => plain_text::parse(
            &encoding::remove_control_chars(encoding::decode(&bytes, None)),
            &mut builder,
        ),
        FileFormat::Markdown => markdown::parse(
            &encoding::remove_control_chars(encoding::decode(&bytes, None)),
            &mut builder,
        ),
        FileFormat::Html => html::parse(
            &encoding::remove_control_chars(encoding::decode(
                &bytes,
                html::declared_encoding(&bytes),
            )),
            &mut builder,
        ),
        FileFormat::Pdf => pdf::parse(bytes, limits, &mut builder),
        FileFormat::Docx => docx::parse(&bytes, limits, &mut builder),
    }?;
    if builder.blocks.is_empty() {
        return Err(ParseError::NoText);
    }
    let title = info
        .title
        .map(|title| title.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|title| !title.is_empty());
    Ok(Document {
        format,
        title,
        pages: info.pages,
        blocks: builder.blocks,
        warnings: info.warnings,
    })
}
