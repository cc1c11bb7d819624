//! Footnotes and endnotes.

use crate::{
    builder::DocumentBuilder,
    error::ParseError,
    package::Package,
    xml::{XmlEvent, attribute},
};
use std::collections::HashMap;

/// The notes, by kind and id.
#[derive(Default)]
pub(super) struct Footnotes(HashMap<(String, String), String>);

impl Footnotes {
    /// Reads the notes from a part.
    pub fn read(
        &mut self,
        package: &mut Package<'_>,
        part: &str,
        kind: &str,
        builder: &mut DocumentBuilder,
    ) -> Result<(), ParseError> {
        let (mut id, mut text, mut is_in_text) = (None, String::new(), false);
        package.read_events(part, |event| {
            match event {
                XmlEvent::Start { word_name, tag, .. } if word_name == kind => {
                    (id, text) = (attribute(tag, "id"), String::new());
                }
                XmlEvent::Start { word_name, .. } => {
                    is_in_text = word_name == "t";
                    if matches!(word_name, "p" | "tab" | "br") && !text.is_empty() {
                        text.push(' ');
                    }
                }
                XmlEvent::End { word_name, .. } if word_name == kind => {
                    builder.charge(text.len())?;
                    if let Some(id) = id.take() {
                        self.0.insert((kind.to_owned(), id), text.trim().to_owned());
                    }
                }
                XmlEvent::End { .. } => is_in_text = false,
                XmlEvent::Text(part) if is_in_text => text.push_str(part),
                XmlEvent::Text(_) => {}
            }
            Ok(())
        })
    }

    /// Removes and returns a note. It appears only after its first reference.
    pub fn take(&mut self, kind: &str, id: String) -> Option<String> {
        self.0.remove(&(kind.to_owned(), id)).filter(|text| !text.is_empty())
    }
}
