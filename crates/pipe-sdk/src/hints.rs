//! Options beside the body of a request.

use std::{collections::BTreeMap, sync::Arc};

/// Options beside the body of a request, by lower-case names: `x-pipewright-…`, and headers of the
/// providers' own clients, as in `x-amzn-bedrock-guardrailidentifier`. A clone is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints(Arc<BTreeMap<String, String>>);

impl Hints {
    /// The length of the model's context: `1m` for a million tokens, where the model has a choice.
    pub const CONTEXT: &str = "x-pipewright-context";

    /// Returns the same hints and this one.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut hints = BTreeMap::clone(&self.0);
        hints.insert(name.into(), value.into());
        Self(Arc::new(hints))
    }

    /// Returns the value of this hint.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Hints {
    fn from(hints: [(&str, &str); N]) -> Self {
        hints.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }
}

impl FromIterator<(String, String)> for Hints {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(hints: T) -> Self {
        Self(Arc::new(hints.into_iter().collect()))
    }
}
