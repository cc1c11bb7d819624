//! `OpenDocument` texts and presentations (ODT, ODP).
//! <https://docs.oasis-open.org/office/OpenDocument/v1.3/>

mod content;

use crate::{
    builder::DocumentBuilder, document_info::DocumentInfo, error::ParseError, limits::Limits,
    package::Package, xml::XmlEvent,
};
use content::ContentParser;
use std::collections::HashSet;

/// Parses an `OpenDocument` text or presentation. The slides of a presentation are its pages.
pub(crate) fn parse(
    bytes: &[u8],
    limits: &Limits,
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    let mut package = Package::open(bytes, limits)?;
    check_encryption(&mut package)?;
    let title = read_title(&mut package)?;
    let (headers, footers) = read_page_texts(&mut package)?;
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

/// Reads the texts of the page headers and footers, each once, from the page styles.
fn read_page_texts(package: &mut Package<'_>) -> Result<(Vec<String>, Vec<String>), ParseError> {
    let (mut headers, mut footers) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    let mut is_header = None;
    let mut text = None::<String>;
    package.read_events("styles.xml", |event| {
        match event {
            XmlEvent::Start { local_name, .. } => match local_name {
                "header" | "header-left" | "header-first" => is_header = Some(true),
                "footer" | "footer-left" | "footer-first" => is_header = Some(false),
                "p" if is_header.is_some() => text = Some(String::new()),
                "tab" | "s" | "line-break" => text.iter_mut().for_each(|text| text.push(' ')),
                _ => {}
            },
            XmlEvent::End { local_name, .. } => match local_name {
                "p" => {
                    let text = text.take().unwrap_or_default().trim().to_owned();
                    if text.contains(char::is_alphabetic) && seen.insert(text.clone()) {
                        if is_header == Some(true) { &mut headers } else { &mut footers }
                            .push(text);
                    }
                }
                "header" | "header-left" | "header-first" | "footer" | "footer-left"
                | "footer-first" => is_header = None,
                _ => {}
            },
            XmlEvent::Text(part) => text.iter_mut().for_each(|text| text.push_str(part)),
        }
        Ok(())
    })?;
    Ok((headers, footers))
}
