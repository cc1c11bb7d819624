//! Footnotes and endnotes, told where they are referred to.

use super::{
    package::Package,
    xml::{Event, attribute},
};
use crate::{draft::Draft, error::Reason};
use std::collections::HashMap;

/// The notes by their kind and id.
#[derive(Default)]
pub(super) struct Notes(HashMap<(String, String), String>);

impl Notes {
    pub fn read(
        &mut self,
        package: &mut Package<'_>,
        part: &str,
        kind: &str,
        draft: &mut Draft,
    ) -> Result<(), Reason> {
        let (mut id, mut text, mut within) = (None, String::new(), false);
        package.each(part, |event| {
            match event {
                Event::Start { word, tag, .. } if word == kind => {
                    (id, text) = (attribute(tag, "id"), String::new());
                }
                Event::Start { word, .. } => {
                    within = word == "t";
                    if matches!(word, "p" | "tab" | "br") && !text.is_empty() {
                        text.push(' ');
                    }
                }
                Event::End { word } if word == kind => {
                    draft.spend(text.len())?;
                    if let Some(id) = id.take() {
                        self.0.insert((kind.to_owned(), id), text.trim().to_owned());
                    }
                }
                Event::End { .. } => within = false,
                Event::Text(part) if within => text.push_str(part),
                Event::Text(_) => {}
            }
            Ok(())
        })
    }

    /// Gives a note away: it stands where it is first referred to.
    pub fn take(&mut self, kind: &str, id: String) -> Option<String> {
        self.0.remove(&(kind.to_owned(), id)).filter(|text| !text.is_empty())
    }
}
