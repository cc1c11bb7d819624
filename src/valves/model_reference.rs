//! Names of models in valves.

use futures_util::future::BoxFuture;
use pipe_sdk::ValveError;

/// A model that a valve names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelReference {
    /// The valve.
    pub valve: String,
    /// The model id that it names.
    pub model: String,
}

/// Words that valves accept in place of a model id.
const NON_MODEL_WORDS: [&str; 2] = ["auto", "local"];

/// The largest number of names of one valve that are checked.
const MAX_REFERENCES: usize = 100;

/// Returns the models that the text of a valve names. An address names no model.
pub fn parse_references(valve: &str, text: &str) -> Vec<ModelReference> {
    let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty() && !id.contains("://"));
    let ids = ids.filter(|id| !NON_MODEL_WORDS.contains(id)).take(MAX_REFERENCES);
    ids.map(|id| ModelReference { valve: valve.into(), model: id.into() }).collect()
}

/// A check whether the models that valves name are there.
pub trait CheckReferences: Send + Sync {
    /// Returns an error for each name that no model has. Names that cannot be looked up now are
    /// accepted.
    fn check_references(&self, references: Vec<ModelReference>) -> BoxFuture<'_, Vec<ValveError>>;
}
