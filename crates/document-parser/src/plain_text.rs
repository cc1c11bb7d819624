//! Plain text: blank lines separate paragraphs.

use crate::{builder::DocumentBuilder, document_info::DocumentInfo, error::ParseError};

/// Parses plain text.
pub(crate) fn parse(text: &str, builder: &mut DocumentBuilder) -> Result<DocumentInfo, ParseError> {
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        match (line.trim().is_empty(), start) {
            (false, None) => start = Some(at),
            (true, Some(from)) => {
                builder.push_paragraph(text.get(from..at).unwrap_or_default().trim_end())?;
                start = None;
            }
            _ => {}
        }
        at += line.len();
    }
    if let Some(from) = start {
        builder.push_paragraph(text.get(from..).unwrap_or_default().trim_end())?;
    }
    Ok(DocumentInfo::with_title(None))
}
