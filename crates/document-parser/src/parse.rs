//! Parses a file in the current process. Only the worker calls it.

use crate::{
    builder::DocumentBuilder,
    csv_table,
    document::Document,
    document_info::{DocumentInfo, FileContext},
    docx,
    email::{eml, msg},
    encoding, epub,
    error::ParseError,
    feed,
    format::FileFormat,
    format_detection, html,
    limits::Limits,
    markdown, notebook, open_document, pdf, plain_text, presentation, rtf, spreadsheet, xml_text,
};
use encoding_rs::Encoding;

/// Detects the format of a file and parses it.
pub(crate) fn parse_file(
    bytes: Vec<u8>,
    name: &str,
    limits: &Limits,
) -> Result<Document, ParseError> {
    let mut builder = DocumentBuilder::new(limits.text_bytes);
    let context = FileContext { limits, depth: 0, parse_attachment: parse_bytes };
    let (format, info) = parse_bytes(bytes, name, &context, &mut builder)?;
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

/// Detects the format of a file, and adds its blocks to the document.
fn parse_bytes(
    bytes: Vec<u8>,
    name: &str,
    context: &FileContext<'_>,
    builder: &mut DocumentBuilder,
) -> Result<(FileFormat, DocumentInfo), ParseError> {
    let limits = context.limits;
    let format = format_detection::detect(&bytes, name, limits)?;
    let text = |declared: Option<&'static Encoding>| {
        encoding::remove_control_chars(encoding::decode(&bytes, declared))
    };
    let info = match format {
        FileFormat::Text => plain_text::parse(&text(None), builder),
        FileFormat::Markdown => markdown::parse(&text(None), builder),
        FileFormat::Csv => csv_table::parse(&text(None), builder),
        FileFormat::Notebook => notebook::parse(&text(None), builder),
        FileFormat::Html => html::parse(&text(html::declared_encoding(&bytes)), builder),
        FileFormat::Pdf => pdf::parse(bytes, limits, builder),
        FileFormat::Docx => docx::parse(&bytes, limits, builder),
        FileFormat::Pptx => presentation::parse(&bytes, limits, builder),
        FileFormat::Xlsx | FileFormat::Xlsb | FileFormat::Xls | FileFormat::Ods => {
            spreadsheet::parse(&bytes, format, limits, builder)
        }
        FileFormat::Odt | FileFormat::Odp => open_document::parse(&bytes, limits, builder),
        FileFormat::Epub => epub::parse(&bytes, limits, builder),
        FileFormat::Rtf => rtf::parse(&bytes, builder),
        FileFormat::Eml => eml::parse(&bytes, context, builder),
        FileFormat::Msg => msg::parse(&bytes, context, builder),
        FileFormat::Xml => xml_text::parse(&bytes, builder),
        FileFormat::Feed => feed::parse(&bytes, builder),
    }?;
    Ok((format, info))
}
