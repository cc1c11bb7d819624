//! The current valves and their sources. Only this module converts valves from JSON into a pipe's
//! own struct.

use super::{config_sources::ConfigSources, paths::find_database_url_violation};
use crate::valves::{
    FormValues, LoadedValves, PathKind, Values, ValveDescription, ValveLayers, ValveSource,
    ValveSources, ValvesForm, ValvesSpec,
};
use pipe_sdk::{Pipe, PipeError, Result, ValveError, Valves};
use serde_json::Value;
use store::Version;

/// The valves of one moment, and where they came from.
#[derive(Clone, Default)]
pub(crate) struct EffectiveValves {
    pub layers: ValveLayers,
    pub saved: Values,
    /// The version of the saved valves.
    pub version: Option<Version>,
    pub values: Values,
    pub sources: ValveSources,
    /// The paths among them, with their links resolved.
    paths: Values,
    /// The errors in the layers.
    faults: Vec<ValveError>,
    /// The problem with the saved valves.
    pub problem: Option<String>,
}

impl EffectiveValves {
    pub fn new(spec: &ValvesSpec, layers: ValveLayers, found: LoadedValves) -> Self {
        let LoadedValves { values: saved, version, problem } = found;
        let (values, sources, faults) = layers.merge(spec, &saved);
        let paths = Values::default();
        Self { layers, saved, version, values, sources, paths, faults, problem }
    }

    /// Describes an error for the operator: valves that they have set are named with their source.
    pub fn describe_error(&self, error: &PipeError) -> String {
        let PipeError::BadValves(errors) = error else { return error.to_string() };
        let with_source = |error: &ValveError| match self.sources.get(&error.valve) {
            Some(source) if !matches!(source, ValveSource::BuiltIn | ValveSource::Saved) => {
                let valve = format!("{} ({})", error.valve, source.name());
                ValveError { valve, ..error.clone() }
            }
            _ => error.clone(),
        };
        ValveError::join(&errors.iter().map(with_source).collect::<Vec<_>>())
    }

    /// Checks and resolves the paths among the values.
    ///
    /// A path that was there before and may be missing does not keep the pipe from running, nor
    /// other valves from being turned: the pipe does without it, and says so.
    pub async fn resolve_paths(
        self,
        spec: &ValvesSpec,
        sources: &ConfigSources,
        before: Option<&Self>,
    ) -> Result<Self> {
        let valves: Vec<_> = spec
            .properties()
            .filter_map(|property| {
                let kind = property.path_kind?;
                let path = self.values.get(&property.name)?.as_str()?.to_owned();
                let is_new = before.is_some_and(|before| {
                    before.values.get(&property.name).and_then(Value::as_str) != Some(&path)
                });
                let is_operators = self.sources.get(&property.name) != Some(&ValveSource::Saved);
                let may_be_missing = property.nullable && !is_new;
                Some((property.name.clone(), kind, path, is_operators, may_be_missing))
            })
            .collect();
        let is_new = |name: &str| {
            before.is_some_and(|before| before.values.get(name) != self.values.get(name))
        };
        let databases = spec.properties().filter(|one| one.is_database && is_new(&one.name));
        let databases = databases
            .filter(|one| self.sources.get(&one.name) == Some(&ValveSource::Saved))
            .filter_map(|one| {
                let rule = find_database_url_violation(self.values.get(&one.name)?.as_str()?)?;
                Some(ValveError::new(&one.name, rule))
            });
        let databases: Vec<_> = databases.collect();
        if !databases.is_empty() {
            return Err(PipeError::BadValves(databases));
        }
        if valves.is_empty() {
            return Ok(self);
        }
        let (roots, data) = (sources.roots.clone(), sources.folder.clone());
        // The disk may be slow.
        let resolve = move |(name, kind, path, is_operators, may_be_missing): PathValve| {
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
                    settings.problem.get_or_insert(format!("`{name}` is not followed: it {rule}"));
                    settings.paths.insert(name, Value::Null);
                }
                Err(rule) => settings.faults.push(ValveError::new(name, rule)),
            }
        }
        Ok(settings)
    }

    /// Returns the form of these valves.
    pub fn form(&self, spec: &ValvesSpec) -> ValvesForm {
        let (defaults, default_sources, _) = self.layers.merge(spec, &Values::new());
        let values = FormValues {
            values: &self.values,
            sources: &self.sources,
            defaults: &defaults,
            default_sources: &default_sources,
            faults: &self.faults,
        };
        ValvesForm::new(spec, &values)
    }

    /// Returns the description of these valves.
    pub fn describe(&self, spec: &ValvesSpec) -> Vec<ValveDescription> {
        let (mut defaults, sources, _) = self.layers.merge(spec, &Values::new());
        defaults.retain(|name, _| !matches!(sources.get(name), Some(ValveSource::Pinned(_))));
        spec.describe(&self.values, &self.sources, &defaults)
    }

    /// Returns an error if a layer holds a value that breaks its valve's rule.
    pub fn check(&self) -> Result<()> {
        if self.faults.is_empty() { Ok(()) } else { Err(PipeError::BadValves(self.faults.clone())) }
    }

    /// Converts the valves into the pipe's own struct.
    pub fn deserialize<V: Valves>(&self) -> Result<V> {
        self.check()?;
        // The layers were read by the struct's own schema; a type that says one thing and reads
        // another is a defect of the pipe.
        let mut values = self.values.clone();
        values.extend(self.paths.clone());
        let valves: V = serde_json::from_value(Value::Object(values))
            .map_err(|_| PipeError::internal("the valves do not fit their own schema"))?;
        let faults = valves.validate();
        if faults.is_empty() { Ok(valves) } else { Err(PipeError::BadValves(faults)) }
    }
}

/// Reads the valves of a pipe as its start does, and starts nothing. Returns their values, and a
/// problem that does not keep the pipe from running, or the reason why it would not start.
pub(super) async fn check_valves<P: Pipe>(
    sources: ConfigSources,
    saved: Values,
) -> Result<(Values, Option<String>), String> {
    let spec = ValvesSpec::for_valves::<P::Valves>();
    let found = LoadedValves { values: saved, ..LoadedValves::default() };
    let settings = EffectiveValves::new(&spec, sources.layers(P::ID, &spec), found);
    let resolved = settings.clone().resolve_paths(&spec, &sources, None).await;
    let resolved = resolved.map_err(|error| settings.describe_error(&error))?;
    match resolved.deserialize::<P::Valves>() {
        Ok(_) => Ok((resolved.values, resolved.problem)),
        Err(error) => Err(resolved.describe_error(&error)),
    }
}

/// A path to check: the valve, its purpose, the path, whether the operator set it, and whether the
/// pipe can run without it.
type PathValve = (String, PathKind, String, bool, bool);
