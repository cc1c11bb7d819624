//! The numbers of list items.

use super::styles::parse_depth;
use crate::{
    error::ParseError,
    package::Package,
    xml::{XmlEvent, attribute},
};
use std::collections::HashMap;

/// The lists, by id, with their current numbers.
#[derive(Default)]
pub(super) struct Numbering {
    /// The abstract list (`abstractNum`) of each list.
    abstract_lists: HashMap<String, String>,
    /// The first number at a depth of an abstract list; `None` for bullets.
    first_numbers: HashMap<(String, u8), Option<u64>>,
    /// The last number used at a depth of a list.
    last_numbers: HashMap<(String, u8), u64>,
}

impl Numbering {
    /// Reads the lists from a part.
    pub fn read(package: &mut Package<'_>, part: &str) -> Result<Self, ParseError> {
        let mut numbering = Self::default();
        let (mut abstract_list, mut list, mut level, mut first) =
            (String::new(), String::new(), 0, 1);
        package.read_events(part, |event| {
            if let XmlEvent::Start { word_name, tag, .. } = event {
                let value = || attribute(tag, "val");
                match word_name {
                    "abstractNum" => {
                        abstract_list = attribute(tag, "abstractNumId").unwrap_or_default();
                    }
                    "lvl" => (level, first) = (parse_depth(attribute(tag, "ilvl").as_deref()), 1),
                    "start" => first = value().and_then(|value| value.parse().ok()).unwrap_or(1),
                    "numFmt" => {
                        let is_numbered = !matches!(value().as_deref(), Some("bullet" | "none"));
                        numbering
                            .first_numbers
                            .insert((abstract_list.clone(), level), is_numbered.then_some(first));
                    }
                    "num" => list = attribute(tag, "numId").unwrap_or_default(),
                    "abstractNumId" => {
                        numbering.abstract_lists.insert(list.clone(), value().unwrap_or_default());
                    }
                    _ => {}
                }
            }
            Ok(())
        })?;
        Ok(numbering)
    }

    /// Returns the number of the next item at this depth, if the list is numbered.
    pub fn next_number(&mut self, list: &str, depth: u8) -> Option<u64> {
        let abstract_list = self.abstract_lists.get(list)?;
        let first = (*self.first_numbers.get(&(abstract_list.clone(), depth))?)?;
        // Deeper levels start again.
        self.last_numbers.retain(|(of, at), _| of != list || *at <= depth);
        let number = self
            .last_numbers
            .get(&(list.to_owned(), depth))
            .map_or(first, |last| last.saturating_add(1));
        self.last_numbers.insert((list.to_owned(), depth), number);
        Some(number)
    }
}
