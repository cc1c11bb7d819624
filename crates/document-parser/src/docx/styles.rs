//! The styles of paragraphs: which are headings, and which are in a list.

use crate::{
    error::ParseError,
    package::Package,
    xml::{XmlEvent, attribute},
};
use std::collections::HashMap;

/// The styles, by id.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

/// A paragraph style.
#[derive(Default)]
struct Style {
    based_on: Option<String>,
    level: Option<u8>,
    list: Option<(String, u8)>,
}

impl Styles {
    /// Reads the styles from a part.
    pub fn read(package: &mut Package<'_>, part: &str) -> Result<Self, ParseError> {
        let mut styles = HashMap::new();
        let (mut id, mut style) = (None, Style::default());
        package.read_events(part, |event| {
            match event {
                XmlEvent::Start { word_name, tag, .. } => match word_name {
                    "style" => (id, style) = (attribute(tag, "styleId"), Style::default()),
                    "basedOn" => style.based_on = attribute(tag, "val"),
                    "name" => {
                        style.level = style
                            .level
                            .or(heading_level_of_name(&attribute(tag, "val").unwrap_or_default()));
                    }
                    "outlineLvl" => {
                        style.level = parse_outline_level(attribute(tag, "val").as_deref());
                    }
                    "numId" => {
                        style.list.get_or_insert_default().0 =
                            attribute(tag, "val").unwrap_or_default();
                    }
                    "ilvl" => {
                        style.list.get_or_insert_default().1 =
                            parse_depth(attribute(tag, "val").as_deref());
                    }
                    _ => {}
                },
                XmlEvent::End { word_name: "style", .. } => {
                    if let Some(id) = id.take() {
                        styles.insert(id, std::mem::take(&mut style));
                    }
                }
                XmlEvent::End { .. } | XmlEvent::Text(_) => {}
            }
            Ok(())
        })?;
        Ok(Self(styles))
    }

    /// Returns the heading level of this style.
    pub fn heading_level(&self, id: &str) -> Option<u8> {
        self.inheritance_chain(id).find_map(|style| style.level)
    }

    /// Returns the list of paragraphs in this style, and their depth in it.
    pub fn list_of(&self, id: &str) -> Option<(String, u8)> {
        self.inheritance_chain(id)
            .find_map(|style| style.list.clone())
            .filter(|(list, _)| !list.is_empty())
    }

    /// Returns the style and those that it is based on, at most 20, because the chain may be
    /// circular.
    fn inheritance_chain<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a Style> {
        let based_on = |style: &&'a Style| style.based_on.as_ref().and_then(|id| self.0.get(id));
        std::iter::successors(self.0.get(id), based_on).take(20)
    }
}

/// Returns the level of Word's own heading styles, whose names are the same in every language.
fn heading_level_of_name(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    if name == "title" {
        return Some(1);
    }
    name.strip_prefix("heading ")?.parse().ok().filter(|level| (1..=9).contains(level))
}

/// Parses an outline level. Word counts from 0; 9 is body text.
pub(super) fn parse_outline_level(value: Option<&str>) -> Option<u8> {
    value?.parse::<u8>().ok().filter(|level| *level < 9).map(|level| level + 1)
}

/// Parses the depth of a list item.
pub(super) fn parse_depth(value: Option<&str>) -> u8 {
    value.and_then(|value| value.parse().ok()).unwrap_or(0).min(8)
}
