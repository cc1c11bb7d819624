//! `OpenDocument` in one XML file (FODT, FODS, FODP).
//! The outermost element is `office:document` (`OpenDocument` 1.3, part 3, section 3.1.2).

use super::{content::ContentParser, page_texts::PageTexts};
use crate::{
    builder::DocumentBuilder,
    document_info::DocumentInfo,
    error::ParseError,
    format::FileFormat,
    limits::Limits,
    xml::{self, XmlEvent},
};

/// Returns the format that the outermost element of such a file declares.
pub(crate) fn flat_format(text: &str) -> Option<FileFormat> {
    let (_, rest) = text.split_once("mimetype=\"application/vnd.oasis.opendocument.")?;
    match rest.split_once('"')?.0.trim_end_matches("-template") {
        "text" | "text-master" | "text-web" => Some(FileFormat::Odt),
        "spreadsheet" => Some(FileFormat::Ods),
        "presentation" => Some(FileFormat::Odp),
        _ => None,
    }
}

/// Returns whether a file is no package.
pub(super) fn is_flat(bytes: &[u8]) -> bool {
    !bytes.starts_with(b"PK")
}

/// Parses a text or presentation.
pub(super) fn parse(
    bytes: &[u8],
    limits: &Limits,
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    let (mut title, mut page_texts) = (String::new(), PageTexts::default());
    let mut is_title = false;
    read_sections(bytes, |section, event| {
        match (section, event) {
            ("master-styles", event) => page_texts.handle_event(event),
            ("meta", XmlEvent::Start { local_name, .. }) => is_title = local_name == "title",
            ("meta", XmlEvent::End { .. }) => is_title = false,
            ("meta", XmlEvent::Text(text)) if is_title => title.push_str(text),
            _ => {}
        }
        Ok(())
    })?;
    page_texts.headers.iter().try_for_each(|text| builder.push_paragraph(text))?;
    let mut content = ContentParser::new(limits, builder);
    read_sections(bytes, |section, event| match section {
        "body" => content.handle_event(event),
        _ => Ok(()),
    })?;
    let slides = content.finish()?;
    page_texts.footers.iter().try_for_each(|text| builder.push_paragraph(text))?;
    Ok(DocumentInfo { pages: slides, ..DocumentInfo::with_title(Some(title)) })
}

/// Reads a file, and passes each event within a child of the outermost element to the handler,
/// with the child's name.
fn read_sections(
    bytes: &[u8],
    mut handle: impl FnMut(&str, XmlEvent<'_>) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    let (mut depth, mut section) = (0_usize, String::new());
    xml::read_file(bytes, |event| {
        match event {
            XmlEvent::Start { local_name, .. } => {
                depth += 1;
                if depth == 2 {
                    local_name.clone_into(&mut section);
                }
            }
            XmlEvent::End { .. } => depth = depth.saturating_sub(1),
            XmlEvent::Text(_) => {}
        }
        if depth < 2 { Ok(()) } else { handle(&section, event) }
    })
}
