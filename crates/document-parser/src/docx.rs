//! Word files: the text of the body, with headings and lists by its styles and numbering.
//!
//! Only the parts of the package with text, styles, numbering and properties are read, by their
//! names in the package. Nothing is unpacked to disk, no relationship leads out of the package, and
//! only the five predefined entities of XML are expanded.

mod body;
mod footnotes;
mod numbering;
mod package;
mod styles;
mod xml;

use crate::{builder::DocumentBuilder, error::ParseError, limits::Limits, parse::DocumentInfo};
use body::BodyParser;
use footnotes::Footnotes;
use numbering::Numbering;
use package::Package;
use styles::Styles;

/// Parses a Word file.
pub(crate) fn parse(
    bytes: &[u8],
    limits: &Limits,
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    let mut package = Package::open(bytes, limits)?;
    let main = package.main_part()?;
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
    let mut body = BodyParser::new(styles, numbering, notes, builder);
    package.read_events(&main, |event| body.handle_event(event))?;
    Ok(DocumentInfo::with_title(title))
}
