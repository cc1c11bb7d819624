//! The valves of one moment, and where they came from. This is the only place where valves pass from JSON into a pipe's own struct.

use super::paths::{PathKind, PathRoots, database_rule};
use crate::valves::{Found, Layers, Pins, Source, Sources, Spec, Values};
use pipe_sdk::{Fault, PipeError, Result, Valves};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};
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
    /// The folders that paths in valves must lie in.
    pub roots: PathRoots,
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
    /// The paths among them, with their links resolved.
    paths: Values,
    /// What in the layers cannot be so.
    faults: Vec<Fault>,
    /// What was wrong with what was saved.
    pub trouble: Option<String>,
}

impl Settings {
    pub fn of(spec: &Spec, layers: Layers, found: Found) -> Self {
        let Found { values: saved, version, trouble } = found;
        let (values, sources, faults) = layers.merged(spec, &saved);
        let paths = Values::default();
        Self { layers, saved, version, values, sources, paths, faults, trouble }
    }

    /// Checks and resolves the paths among the values.
    ///
    /// A path that was there before and may be missing does not keep the pipe from running, nor other valves from being turned: the pipe does
    /// without it, and says so.
    pub async fn with_paths(self, spec: &Spec, site: &Site, before: Option<&Self>) -> Result<Self> {
        let valves: Vec<_> = spec
            .properties()
            .filter_map(|property| {
                let kind = property.place?;
                let path = self.values.get(&property.name)?.as_str()?.to_owned();
                let is_new = before.is_some_and(|before| {
                    before.values.get(&property.name).and_then(Value::as_str) != Some(&path)
                });
                let is_operators = self.sources.get(&property.name) != Some(&Source::Saved);
                let may_be_missing = property.nullable && !is_new;
                Some((property.name.clone(), kind, path, is_operators, may_be_missing))
            })
            .collect();
        let is_new = |name: &str| {
            before.is_some_and(|before| before.values.get(name) != self.values.get(name))
        };
        let databases = spec.properties().filter(|one| one.is_database && is_new(&one.name));
        let databases = databases
            .filter(|one| self.sources.get(&one.name) == Some(&Source::Saved))
            .filter_map(|one| {
                let rule = database_rule(self.values.get(&one.name)?.as_str()?)?;
                Some(Fault::new(&one.name, rule))
            });
        let databases: Vec<_> = databases.collect();
        if !databases.is_empty() {
            return Err(PipeError::BadValves(databases));
        }
        if valves.is_empty() {
            return Ok(self);
        }
        let (roots, data) = (site.roots.clone(), site.folder.clone());
        // The disk may be slow.
        let resolve = move |(name, kind, path, is_operators, may_be_missing): Valve| {
            (name, roots.resolve(kind, &data, &path, is_operators), may_be_missing)
        };
        let resolved = tokio::task::spawn_blocking(|| valves.into_iter().map(resolve).collect());
        let resolved: Vec<_> = resolved.await.map_err(PipeError::internal)?;
        let mut settings = self;
        for (name, path, may_be_missing) in resolved {
            match path {
                Ok(path) => {
                    settings.paths.insert(name, path.to_string_lossy().into_owned().into());
                }
                Err(rule) if may_be_missing => {
                    tracing::error!("The valve `{name}` is not followed: it {rule}.");
                    settings.trouble.get_or_insert(format!("`{name}` is not followed: it {rule}"));
                    settings.paths.insert(name, Value::Null);
                }
                Err(rule) => settings.faults.push(Fault::new(name, rule)),
            }
        }
        Ok(settings)
    }

    /// The pipe's own struct.
    pub fn typed<V: Valves>(&self) -> Result<V> {
        if !self.faults.is_empty() {
            return Err(PipeError::BadValves(self.faults.clone()));
        }
        // The layers were read by the struct's own schema; a type that says one thing and reads another is a defect of the pipe.
        let mut values = self.values.clone();
        values.extend(self.paths.clone());
        let valves: V = serde_json::from_value(Value::Object(values))
            .map_err(|_| PipeError::internal("the valves do not fit their own schema"))?;
        let faults = valves.faults();
        if faults.is_empty() { Ok(valves) } else { Err(PipeError::BadValves(faults)) }
    }
}

/// A path to be checked: the valve, what it is for, the text, whether the operator set it, and whether the pipe can do without it.
type Valve = (String, PathKind, String, bool, bool);
