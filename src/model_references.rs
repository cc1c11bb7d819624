//! Checks of model names in valves, so that an admin learns of a wrong name before a chat fails.

use crate::{
    registry::Registry,
    slot::Slot,
    truncate::truncate,
    valves::{CheckReferences, ModelReference},
};
use futures_util::{FutureExt, future::BoxFuture};
use pipe_sdk::{ModelResolution, Serves, ValveError};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The maximum number of characters of an id in an error message.
const MAX_ID: usize = 200;

/// The longest time that an update of valves waits for the lists of models.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(5);

impl CheckReferences for Registry {
    fn check_references(&self, references: Vec<ModelReference>) -> BoxFuture<'_, Vec<ValveError>> {
        Box::pin(self.find_missing(references))
    }
}

impl Registry {
    async fn find_missing(&self, references: Vec<ModelReference>) -> Vec<ValveError> {
        let is_missing =
            |reference: &ModelReference| self.missing_reason(&reference.model).is_some();
        if !references.iter().any(is_missing) {
            return Vec::new();
        }
        // The lists may still be on their way.
        self.wait_for_discovery(DISCOVERY_TIMEOUT).await;
        if !self.is_discovered() {
            return Vec::new();
        }
        let fault = |reference: ModelReference| {
            self.missing_reason(&reference.model).map(|rule| ValveError::new(reference.valve, rule))
        };
        references.into_iter().filter_map(fault).collect()
    }

    /// Returns the valves of this pipe that name models which are not there, each in words. Nothing
    /// is said before all pipes know their models.
    pub fn missing_references(&self, slot: &Arc<dyn Slot>) -> BTreeSet<String> {
        let references = slot.references();
        if references.is_empty() || !self.is_discovered() {
            return BTreeSet::new();
        }
        let describe = |reference: ModelReference| {
            self.missing_reason(&reference.model).map(|rule| format!("{}: {rule}", reference.valve))
        };
        references.into_iter().filter_map(describe).collect()
    }

    /// Returns whether every running pipe has listed its models.
    fn is_discovered(&self) -> bool {
        self.slots().iter().all(|slot| slot.wait_until_ready().now_or_never().is_some())
    }

    /// Returns the reason why this id cannot be used, as far as it is known.
    fn missing_reason(&self, id: &str) -> Option<String> {
        let missing =
            || Some(format!("names `{}`, which is no model of this host", truncate(id, MAX_ID)));
        let known = match self.resolve(id) {
            Some((slot, model)) => match slot.serves() {
                // A pipe that does not run may have it.
                None | Some(Serves::Model(_)) => return None,
                Some(Serves::Manifold(models)) if models.iter().any(|one| one.id == model) => {
                    return None;
                }
                Some(Serves::Manifold(_)) => slot.resolve_model(&model),
                Some(Serves::Filter { .. }) => return missing(),
            },
            None => match self.lookup_model(id) {
                Ok(known) => known.map(|(_, known)| known),
                Err(error) => return Some(error.to_string()),
            },
        };
        match known {
            Some(
                ModelResolution::Available(_)
                | ModelResolution::Derived(_)
                | ModelResolution::Fallback(_)
                | ModelResolution::Unavailable(_),
            ) => None,
            Some(ModelResolution::Denied(reason)) => {
                Some(format!("names `{}`, but {reason}", truncate(id, MAX_ID)))
            }
            None => missing(),
        }
    }
}
