//! Lists: which have numbers, and which comes next.

use super::{
    package::Package,
    styles::depth,
    xml::{Event, attribute},
};
use crate::error::Reason;
use std::collections::HashMap;

/// The lists by their ids.
#[derive(Default)]
pub(super) struct Numbering {
    /// The plan that a list follows.
    plans: HashMap<String, String>,
    /// The first number at a depth of a plan; none where there are bullets.
    firsts: HashMap<(String, u8), Option<u64>>,
    /// The last number given at a depth of a list.
    last: HashMap<(String, u8), u64>,
}

impl Numbering {
    pub fn read(package: &mut Package<'_>, part: &str) -> Result<Self, Reason> {
        let mut numbering = Self::default();
        let (mut plan, mut list, mut level, mut first) = (String::new(), String::new(), 0, 1);
        package.each(part, |event| {
            if let Event::Start { word, tag, .. } = event {
                let value = || attribute(tag, "val");
                match word {
                    "abstractNum" => plan = attribute(tag, "abstractNumId").unwrap_or_default(),
                    "lvl" => (level, first) = (depth(attribute(tag, "ilvl").as_deref()), 1),
                    "start" => first = value().and_then(|value| value.parse().ok()).unwrap_or(1),
                    "numFmt" => {
                        let numbered = !matches!(value().as_deref(), Some("bullet" | "none"));
                        numbering.firsts.insert((plan.clone(), level), numbered.then_some(first));
                    }
                    "num" => list = attribute(tag, "numId").unwrap_or_default(),
                    "abstractNumId" => {
                        numbering.plans.insert(list.clone(), value().unwrap_or_default());
                    }
                    _ => {}
                }
            }
            Ok(())
        })?;
        Ok(numbering)
    }

    /// The number of the list's next item at this depth, if it has numbers.
    pub fn next(&mut self, list: &str, depth: u8) -> Option<u64> {
        let plan = self.plans.get(list)?;
        let first = (*self.firsts.get(&(plan.clone(), depth))?)?;
        // What stands deeper begins again.
        self.last.retain(|(of, at), _| of != list || *at <= depth);
        let number =
            self.last.get(&(list.to_owned(), depth)).map_or(first, |last| last.saturating_add(1));
        self.last.insert((list.to_owned(), depth), number);
        Some(number)
    }
}
