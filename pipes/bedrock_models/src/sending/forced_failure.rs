//! Failures that a request asks for, so that an operator can try the fallbacks.

use crate::catalog::ModelEntry;
use pipe_sdk::Hints;

/// The failures that the header `x-pipewright-fail` asks for: `first`, or names of models, which
/// may contain `*`, separated by commas. These models are treated as if they were throttled.
#[derive(Clone, Copy, Default)]
pub struct ForcedFailure<'a>(Option<&'a str>);

impl<'a> ForcedFailure<'a> {
    /// Reads the header.
    pub fn from_hints(hints: &'a Hints) -> Self {
        Self(hints.get("x-pipewright-fail").map(str::trim))
    }

    /// Returns whether the candidate at this position has to fail.
    pub fn applies_to(self, entry: &ModelEntry, position: usize) -> bool {
        match self.0 {
            None => false,
            Some("first" | "1" | "true") => position == 0,
            Some(names) => names.split(',').any(|name| entry.matches_name(name.trim())),
        }
    }
}
