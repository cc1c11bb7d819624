//! Spreadsheets in the form that the reader of workbooks understands: a package without white space
//! between the cells of a row.

use super::flat::is_flat;
use crate::{error::ParseError, limits::Limits, package::Package, xml};
use std::io::{Cursor, Write as _};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Returns the package to read in place of a spreadsheet that is one XML file, or that is indented
/// between its cells; `None` if it can be read as it is.
pub(crate) fn repack(bytes: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, ParseError> {
    if is_flat(bytes) {
        // The reader of packages takes what it finds before a broken end for the whole.
        xml::read_file(bytes, |_| Ok(()))?;
        let content = String::from_utf8_lossy(bytes);
        let content = remove_space_in_rows(&content);
        return pack(content.as_deref().map_or(bytes, str::as_bytes)).map(Some);
    }
    let content = Package::open(bytes, limits)?.read_text("content.xml")?;
    let content = content.as_deref().and_then(remove_space_in_rows);
    content.map(|content| pack(content.as_bytes())).transpose()
}

/// Removes white space before and after the tags of rows and cells; returns `None` if there is
/// none.
fn remove_space_in_rows(xml: &str) -> Option<String> {
    let mut kept = String::with_capacity(xml.len());
    let mut tags = xml.split('<').peekable();
    while let Some(tag) = tags.next() {
        let end = tag.rfind('>').map_or(tag.len(), |end| end + 1);
        let (markup, text) = tag.split_at(end);
        let is_indent = text.trim_ascii().is_empty()
            && (is_of_row(markup) || tags.peek().is_some_and(|next| is_of_row(next)));
        kept.push_str(if is_indent { markup } else { tag });
        if tags.peek().is_some() {
            kept.push('<');
        }
    }
    (kept.len() < xml.len()).then_some(kept)
}

/// Returns whether a tag, without its `<`, begins or ends a row or a cell.
fn is_of_row(tag: &str) -> bool {
    let name = tag.split(|char: char| char.is_ascii_whitespace() || char == '>');
    let name = name.map(|name| name.trim_matches('/')).next().unwrap_or_default();
    matches!(name, "table:table-row" | "table:table-cell" | "table:covered-table-cell")
}

/// Returns a package with this content.
fn pack(content: &[u8]) -> Result<Vec<u8>, ParseError> {
    let damaged = |_| ParseError::Damaged("its workbook is incomplete".to_owned());
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut package = ZipWriter::new(Cursor::new(Vec::with_capacity(content.len() + 1024)));
    let media_type = b"application/vnd.oasis.opendocument.spreadsheet";
    let manifest = b"<manifest/>";
    for (part, content) in [
        ("mimetype", media_type.as_slice()),
        ("META-INF/manifest.xml", manifest),
        ("content.xml", content),
    ] {
        package.start_file(part, stored).map_err(damaged)?;
        package.write_all(content).map_err(|error| damaged(error.into()))?;
    }
    Ok(package.finish().map_err(damaged)?.into_inner())
}
