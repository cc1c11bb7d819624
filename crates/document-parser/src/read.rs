//! A file becomes a document, here and now. Only the worker calls it.

use crate::{
    document::Document,
    docx,
    draft::Draft,
    encoding,
    error::Reason,
    html,
    kind::{self, Kind},
    limits::Limits,
    markdown, pdf, plain,
};

/// What a parser found.
pub(crate) struct Found {
    pub title: Option<String>,
    pub pages: Option<u32>,
    pub notes: Vec<String>,
}

impl Found {
    /// Text without pages.
    pub fn titled(title: Option<String>) -> Self {
        Self { title, pages: None, notes: Vec::new() }
    }
}

pub(crate) fn read(bytes: Vec<u8>, name: &str, limits: &Limits) -> Result<Document, Reason> {
    let kind = kind::of(&bytes, name)?;
    let mut draft = Draft::new(limits.text);
    let found = match kind {
        Kind::Text => plain::read(&encoding::clean(encoding::decode(&bytes, None)), &mut draft),
        Kind::Markdown => {
            markdown::read(&encoding::clean(encoding::decode(&bytes, None)), &mut draft)
        }
        Kind::Html => html::read(
            &encoding::clean(encoding::decode(&bytes, html::declared(&bytes))),
            &mut draft,
        ),
        Kind::Pdf => pdf::read(bytes, limits, &mut draft),
        Kind::Docx => docx::read(&bytes, limits, &mut draft),
    }?;
    if draft.blocks.is_empty() {
        return Err(Reason::NoText);
    }
    let title = found
        .title
        .map(|title| title.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|title| !title.is_empty());
    Ok(Document { kind, title, pages: found.pages, blocks: draft.blocks, notes: found.notes })
}
