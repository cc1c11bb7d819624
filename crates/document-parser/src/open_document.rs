//! `OpenDocument` texts and presentations (ODT, ODP, and their flat form in one XML file).
//! <https://docs.oasis-open.org/office/OpenDocument/v1.3/>

mod content;
mod flat;
mod page_texts;
mod workbook;

pub(crate) use flat::flat_format;
pub(crate) use workbook::repack as repack_workbook;

use crate::{
    builder::DocumentBuilder, document_info::DocumentInfo, error::ParseError, limits::Limits,
    package::Package, xml::XmlEvent,
};
use content::ContentParser;
use page_texts::PageTexts;

/// Parses an `OpenDocument` text or presentation. The slides of a presentation are its pages.
pub(crate) fn parse(
    bytes: &[u8],
    limits: &Limits,
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    if flat::is_flat(bytes) {
        return flat::parse(bytes, limits, builder);
    }
    let mut package = Package::open(bytes, limits)?;
    check_encryption(&mut package)?;
    let title = read_title(&mut package)?;
    let mut page_texts = PageTexts::default();
    package.read_events("styles.xml", |event| {
        page_texts.handle_event(event);
        Ok(())
    })?;
    let PageTexts { headers, footers, .. } = page_texts;
    headers.iter().try_for_each(|text| builder.push_paragraph(text))?;
    let mut content = ContentParser::new(limits, builder);
    package.read_events("content.xml", |event| content.handle_event(event))?;
    let slides = content.finish()?;
    footers.iter().try_for_each(|text| builder.push_paragraph(text))?;
    Ok(DocumentInfo { pages: slides, ..DocumentInfo::with_title(title) })
}

/// Returns an error if the manifest declares encrypted parts.
fn check_encryption(package: &mut Package<'_>) -> Result<(), ParseError> {
    let mut is_encrypted = false;
    package.read_events("META-INF/manifest.xml", |event| {
        is_encrypted |= matches!(event, XmlEvent::Start { local_name: "encryption-data", .. });
        Ok(())
    })?;
    if is_encrypted { Err(ParseError::PasswordProtected) } else { Ok(()) }
}

fn read_title(package: &mut Package<'_>) -> Result<Option<String>, ParseError> {
    let (mut is_title, mut title) = (false, String::new());
    package.read_events("meta.xml", |event| {
        match event {
            XmlEvent::Start { local_name, .. } => is_title = local_name == "title",
            XmlEvent::End { .. } => is_title = false,
            XmlEvent::Text(text) if is_title => title.push_str(text),
            XmlEvent::Text(_) => {}
        }
        Ok(())
    })?;
    Ok(Some(title))
}
