//! Word files: the text of the body, with headings and lists by its styles and numbering.
//!
//! Only the parts of the package with text, styles, numbering and properties are read, by their
//! names in the package. Nothing is unpacked to disk, no relationship leads out of the package, and
//! only the five predefined entities of XML are expanded.

mod body;
mod footnotes;
mod numbering;
mod styles;

use crate::{
    builder::DocumentBuilder,
    chart,
    document_info::DocumentInfo,
    error::ParseError,
    limits::Limits,
    package::{Package, Relationships},
    xml::XmlEvent,
};
use body::BodyParser;
use footnotes::Footnotes;
use numbering::Numbering;
use std::collections::HashSet;
use styles::Styles;

/// Parses a Word file.
pub(crate) fn parse(
    bytes: &[u8],
    limits: &Limits,
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    let mut package = Package::open(bytes, limits)?;
    let main = package.main_part()?.unwrap_or_default();
    let relationships = package.relationships_of(&main)?;
    let styles = relationships
        .target("styles")
        .map(|part| Styles::read(&mut package, part))
        .transpose()?
        .unwrap_or_default();
    let numbering = relationships
        .target("numbering")
        .map(|part| Numbering::read(&mut package, part))
        .transpose()?
        .unwrap_or_default();
    let mut notes = Footnotes::default();
    for kind in ["footnote", "endnote"] {
        if let Some(part) = relationships.target(&format!("{kind}s")) {
            notes.read(&mut package, part, kind, builder)?;
        }
    }
    let title = package.read_title()?;
    push_page_texts(&mut package, &relationships, "header", builder)?;
    let mut body = BodyParser::new(styles, numbering, notes, builder);
    package.read_events(&main, |event| body.handle_event(event))?;
    for part in relationships.targets("chart") {
        chart::parse(&mut package, part, builder)?;
    }
    push_page_texts(&mut package, &relationships, "footer", builder)?;
    Ok(DocumentInfo::with_title(title))
}

/// Adds the texts of the page headers or footers, each once. They stand before or after the body,
/// because a Word file has no pages until it is laid out.
fn push_page_texts(
    package: &mut Package<'_>,
    relationships: &Relationships,
    kind: &str,
    builder: &mut DocumentBuilder,
) -> Result<(), ParseError> {
    let mut seen = HashSet::new();
    for part in relationships.targets(kind) {
        let mut lines = PageTextLines::default();
        package.read_events(part, |event| {
            lines.handle_event(event);
            Ok(())
        })?;
        for line in lines.lines {
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            // A lone page number is the one that Word computed last.
            if line.contains(char::is_alphabetic) && seen.insert(line.clone()) {
                builder.push_paragraph(&line)?;
            }
        }
    }
    Ok(())
}

/// The paragraphs of a page header or footer.
#[derive(Default)]
struct PageTextLines {
    lines: Vec<String>,
    is_text: bool,
    /// The depth within deleted text, or the alternative for older programs.
    skipped_depth: usize,
}

impl PageTextLines {
    fn handle_event(&mut self, event: XmlEvent<'_>) {
        match event {
            XmlEvent::Start { .. } if self.skipped_depth > 0 => self.skipped_depth += 1,
            XmlEvent::End { .. } if self.skipped_depth > 0 => self.skipped_depth -= 1,
            XmlEvent::Start { word_name: "del" | "moveFrom" | "Fallback", .. } => {
                self.skipped_depth = 1;
            }
            XmlEvent::Start { word_name, .. } => match word_name {
                "p" => self.lines.push(String::new()),
                "t" => self.is_text = true,
                "tab" | "ptab" | "br" => self.push_text(" "),
                _ => {}
            },
            XmlEvent::End { word_name: "t", .. } => self.is_text = false,
            XmlEvent::Text(text) if self.is_text && self.skipped_depth == 0 => self.push_text(text),
            XmlEvent::End { .. } | XmlEvent::Text(_) => {}
        }
    }

    fn push_text(&mut self, text: &str) {
        if let Some(line) = self.lines.last_mut() {
            line.push_str(text);
        }
    }
}
