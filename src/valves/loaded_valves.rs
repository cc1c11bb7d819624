//! Saved valves as a store returns them.

use super::Values;
use store::Version;

/// Saved valves as they were loaded.
#[derive(Debug, Default, PartialEq)]
pub struct LoadedValves {
    /// The valves, empty if none were saved.
    pub values: Values,
    /// The version, if other replicas save too.
    pub version: Option<Version>,
    /// The problem with the file, and what was done about it.
    pub problem: Option<String>,
}
