//! Word's files: what stands in the body, by the meaning that styles and numbering give it.
//!
//! Of the package only the parts are read that hold text or say what it means, by their names within it. Nothing is unpacked to a disk, no
//! relationship leads out of the package, and no entity is expanded but the five of XML.

mod body;
mod notes;
mod numbering;
mod package;
mod styles;
mod xml;

use crate::{draft::Draft, error::Reason, limits::Limits, read::Found};
use body::Body;
use notes::Notes;
use numbering::Numbering;
use package::Package;
use styles::Styles;

pub(crate) fn read(bytes: &[u8], limits: &Limits, draft: &mut Draft) -> Result<Found, Reason> {
    let mut package = Package::open(bytes, limits)?;
    let main = package.main()?;
    let related = package.related(&main)?;
    let styles = related
        .part("styles")
        .map(|part| Styles::read(&mut package, part))
        .transpose()?
        .unwrap_or_default();
    let numbering = related
        .part("numbering")
        .map(|part| Numbering::read(&mut package, part))
        .transpose()?
        .unwrap_or_default();
    let mut notes = Notes::default();
    for kind in ["footnote", "endnote"] {
        if let Some(part) = related.part(&format!("{kind}s")) {
            notes.read(&mut package, part, kind, draft)?;
        }
    }
    let title = package.title()?;
    let mut body = Body::new(styles, numbering, notes, draft);
    package.each(&main, |event| body.hear(event))?;
    Ok(Found::titled(title))
}
