//! What a paragraph's style says of it: that it is a heading, or in a list.

use super::{
    package::Package,
    xml::{Event, attribute},
};
use crate::error::Reason;
use std::collections::HashMap;

/// The styles by their ids.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

#[derive(Default)]
struct Style {
    based_on: Option<String>,
    level: Option<u8>,
    list: Option<(String, u8)>,
}

impl Styles {
    pub fn read(package: &mut Package<'_>, part: &str) -> Result<Self, Reason> {
        let mut styles = HashMap::new();
        let (mut id, mut style) = (None, Style::default());
        package.each(part, |event| {
            match event {
                Event::Start { word, tag, .. } => match word {
                    "style" => (id, style) = (attribute(tag, "styleId"), Style::default()),
                    "basedOn" => style.based_on = attribute(tag, "val"),
                    "name" => {
                        style.level =
                            style.level.or(named(&attribute(tag, "val").unwrap_or_default()));
                    }
                    "outlineLvl" => style.level = outline(attribute(tag, "val").as_deref()),
                    "numId" => {
                        style.list.get_or_insert_default().0 =
                            attribute(tag, "val").unwrap_or_default();
                    }
                    "ilvl" => {
                        style.list.get_or_insert_default().1 =
                            depth(attribute(tag, "val").as_deref());
                    }
                    _ => {}
                },
                Event::End { word: "style" } => {
                    if let Some(id) = id.take() {
                        styles.insert(id, std::mem::take(&mut style));
                    }
                }
                Event::End { .. } | Event::Text(_) => {}
            }
            Ok(())
        })?;
        Ok(Self(styles))
    }

    /// The level of headings in this style.
    pub fn level(&self, id: &str) -> Option<u8> {
        self.chain(id).find_map(|style| style.level)
    }

    /// The list that paragraphs in this style belong to, and how deep.
    pub fn list(&self, id: &str) -> Option<(String, u8)> {
        self.chain(id).find_map(|style| style.list.clone()).filter(|(list, _)| !list.is_empty())
    }

    /// The style and those that it is based on. A chain that bites its tail ends.
    fn chain<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a Style> {
        let based_on = |style: &&'a Style| style.based_on.as_ref().and_then(|id| self.0.get(id));
        std::iter::successors(self.0.get(id), based_on).take(20)
    }
}

/// Word's own styles for headings are known by name in every language.
fn named(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    if name == "title" {
        return Some(1);
    }
    name.strip_prefix("heading ")?.parse().ok().filter(|level| (1..=9).contains(level))
}

/// Word counts from 0; 9 is body text.
pub(super) fn outline(value: Option<&str>) -> Option<u8> {
    value?.parse::<u8>().ok().filter(|level| *level < 9).map(|level| level + 1)
}

pub(super) fn depth(value: Option<&str>) -> u8 {
    value.and_then(|value| value.parse().ok()).unwrap_or(0).min(8)
}
