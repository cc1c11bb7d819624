//! RTF: text with headings by outline level, lists, tables and footnotes.
//! The format is described in Microsoft's "Rich Text Format (RTF) Specification, version 1.9.1".

mod charset;
mod control_word;
mod lexer;
mod page_texts;
mod parser;

use crate::{builder::DocumentBuilder, document_info::DocumentInfo, error::ParseError};
use lexer::Lexer;
use parser::RtfParser;

/// Parses RTF.
pub(crate) fn parse(
    bytes: &[u8],
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    let mut parser = RtfParser::new(builder);
    for token in Lexer::new(bytes) {
        parser.handle_token(token)?;
    }
    Ok(DocumentInfo::with_title(parser.finish()?))
}
