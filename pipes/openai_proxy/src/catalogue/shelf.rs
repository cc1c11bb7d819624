//! What one upstream lists, as far as it is known.

use super::trouble::Gap;
use crate::ways::Way;
use openai_client::{Listed, Trouble};
use pipe_sdk::matches_glob;

/// What one upstream lists, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    /// The last list that came.
    listed: Option<Vec<Listed>>,
    /// Why there is none, or no newer one; `None` too until the upstream has been heard of.
    gap: Option<Gap>,
    /// Whether the list is one that was saved before the start.
    is_saved: bool,
}

impl Shelf {
    /// What was listed before the start.
    pub fn of_saved(listed: Vec<Listed>) -> Self {
        Self { listed: Some(listed), gap: None, is_saved: true }
    }

    /// The last list that came.
    pub fn list(&self) -> Option<&[Listed]> {
        self.listed.as_deref()
    }

    /// Whether the list is one that was saved before the start.
    pub fn is_saved(&self) -> bool {
        self.is_saved
    }

    /// Takes what the upstream has answered. A list that came before is kept, if there is no new one.
    pub fn put(&mut self, way: &Way, answer: Result<Vec<Listed>, Trouble>) {
        match answer {
            Ok(listed) => *self = Self { listed: Some(listed), gap: None, is_saved: false },
            // It serves models, but tells nobody which.
            Err(Trouble::Said(said)) if matches!(said.status, 404 | 405 | 501) => {
                let named = !way.names().is_empty();
                let gap = (!named).then_some(Gap::NoList);
                *self = Self { listed: Some(Vec::new()), gap, is_saved: false };
            }
            Err(trouble) => self.gap = Some(Gap::of(&trouble, way)),
        }
    }

    /// Whether the upstream has been heard of, well or ill.
    pub fn is_heard(&self) -> bool {
        self.listed.is_some() || self.gap.is_some()
    }

    /// Whether it is known which models there are, and therefore which there are not.
    pub fn is_certain(&self) -> bool {
        self.listed.is_some() && !self.is_saved && self.gap != Some(Gap::NoList)
    }

    /// Why there is no list, or no newer one.
    pub fn gap(&self) -> Option<&Gap> {
        self.gap.as_ref()
    }

    /// The models that are wanted: those of the list that fit, and those that the valves name.
    pub fn models(&self, way: &Way) -> Vec<Listed> {
        let listed = self.listed.iter().flatten().filter(|model| way.wants(&model.id));
        let mut models: Vec<_> = listed.cloned().collect();
        for name in way.names() {
            if self.is_heard() && models.iter().all(|model| model.id != name) {
                models.push(Listed::named(name));
            }
        }
        models
    }
}

impl Way {
    /// Whether a model of this name is among those that the valves choose.
    pub fn wants(&self, name: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|glob| matches_glob(glob, name))
    }

    /// The models that are there whatever the upstream lists.
    fn names(&self) -> Vec<&str> {
        let names = self.models.iter().map(String::as_str).filter(|name| !name.contains('*'));
        let deployment = self.address.deployment().filter(|_| self.models.is_empty());
        names.chain(deployment).collect()
    }
}
