//! The places that a pipe's valves are read from.

use super::paths::PathRoots;
use crate::valves::{Pins, ValveLayers, ValvesSpec};
use std::{collections::BTreeMap, path::PathBuf};

/// The places that a pipe's valves are read from.
#[derive(Clone, Default)]
pub struct ConfigSources {
    /// The data folder. The UI saves valves in `<folder>/<pipe>/valves.json`.
    pub folder: PathBuf,
    /// The operator's `valves.toml`; it need not exist.
    pub file: PathBuf,
    /// The environment, whose variables pin valves.
    pub environment: BTreeMap<String, String>,
    /// Other values that pin valves.
    pub pins: Pins,
    /// The folders that paths in valves must lie in.
    pub roots: PathRoots,
}

impl ConfigSources {
    /// Returns the layers that do not change while the host runs.
    pub fn layers(&self, pipe: &str, spec: &ValvesSpec) -> ValveLayers {
        let mut pins = Pins::default();
        let unread = pins.add_environment(pipe, spec, |name| self.environment.get(name).cloned());
        ValveLayers::load(pipe, spec, &self.file, &pins.chain(&self.pins), unread)
            .with_default_variables(spec, |name| self.environment.get(name).cloned())
    }
}
