//! The valves of one moment, and where they came from. This is the only place where valves pass from JSON into a pipe's own struct.

use crate::valves::{Found, Layers, Pins, Sources, Spec, Values};
use pipe_sdk::{Fault, PipeError, Result, Valves};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use store::Version;

/// Where a pipe finds its valves.
#[derive(Clone, Default)]
pub struct Site {
    /// The data folder; what the UI saves stands in `<folder>/<pipe>/valves.json`.
    pub folder: PathBuf,
    /// The operator's `valves.toml`; it need not exist.
    pub file: PathBuf,
    /// The environment, whose variables pin valves.
    pub environment: BTreeMap<String, String>,
    /// What else pins valves.
    pub pins: Pins,
}

impl Site {
    /// The layers that do not change while the host runs.
    pub fn layers(&self, pipe: &str, spec: &Spec) -> Layers {
        let mut pins = Pins::default();
        let unread = pins.add_environment(pipe, spec, |name| self.environment.get(name).cloned());
        Layers::read(pipe, spec, &self.file, &pins.followed_by(&self.pins), unread)
    }
}

/// The valves of one moment, and where they came from.
#[derive(Clone, Default)]
pub(super) struct Settings {
    pub layers: Layers,
    pub saved: Values,
    /// Which save that is.
    pub version: Option<Version>,
    pub values: Values,
    pub sources: Sources,
    /// What in the layers cannot be so.
    faults: Vec<Fault>,
    /// What was wrong with what was saved.
    pub trouble: Option<String>,
}

impl Settings {
    pub fn of(spec: &Spec, layers: Layers, found: Found) -> Self {
        let Found { values: saved, version, trouble } = found;
        let (values, sources, faults) = layers.merged(spec, &saved);
        Self { layers, saved, version, values, sources, faults, trouble }
    }

    /// The pipe's own struct.
    pub fn typed<V: Valves>(&self, spec: &Spec, folder: &Path) -> Result<V> {
        if !self.faults.is_empty() {
            return Err(PipeError::BadValves(self.faults.clone()));
        }
        // The layers were read by the struct's own schema; a type that says one thing and reads another is a defect of the pipe.
        let mut values = self.values.clone();
        for place in spec.properties().filter(|property| property.is_place) {
            if let Some(Value::String(path)) = values.get_mut(&place.name) {
                *path = folder.join(&*path).to_string_lossy().into_owned();
            }
        }
        let valves: V = serde_json::from_value(Value::Object(values))
            .map_err(|_| PipeError::internal("the valves do not fit their own schema"))?;
        let faults = valves.faults();
        if faults.is_empty() { Ok(valves) } else { Err(PipeError::BadValves(faults)) }
    }
}
