//! Layers of valves. Later layers override earlier ones: built-in < `valves.toml` < saved by the UI
//! < environment.
//!
//! figment merges the layers and keeps the provenance of every value, so that we can say why a
//! valve is as it is, and which environment variable pins it.

use super::{Values, ValveKind, ValveProperty, ValvesSpec, parsed_value::ParsedValue};
use crate::{nearest_word::suggest, regular_file};
use figment::{
    Figment, Metadata, Profile, Provider,
    value::{Dict, Map},
};
use pipe_sdk::ValveError;
use serde_json::Value;
use std::{collections::BTreeMap, io, path::Path};

/// The layers of one pipe's valves, lowest first.
#[derive(Clone, Default)]
pub struct ValveLayers {
    layers: Vec<Layer>,
    /// The errors of layers that could not be read. They have to be fixed first.
    read_faults: Vec<ValveError>,
}

/// The values of one source.
#[derive(Clone)]
struct Layer {
    source: ValveSource,
    values: Values,
}

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValveSource {
    /// The default of the pipe's struct.
    BuiltIn,
    /// A variable of another program that sets the default, as in `default from AWS_REGION`.
    DefaultVariable(String),
    /// The operator's file.
    File,
    /// The admin page.
    Saved,
    /// An environment variable, or a flag, of this name. It pins the valve: the page cannot change
    /// it.
    Pinned(String),
}

/// The beginning of the name of a [`ValveSource::DefaultVariable`].
const DEFAULT_FROM: &str = "default from ";

impl ValveSource {
    /// Returns the kind of source, in a word for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BuiltIn => "default",
            Self::DefaultVariable(_) => "default_variable",
            Self::File => "file",
            Self::Saved => "saved",
            Self::Pinned(_) => "pinned",
        }
    }

    /// Returns the variable or flag that set the value.
    pub fn variable(&self) -> Option<&str> {
        match self {
            Self::DefaultVariable(name) => Some(name.strip_prefix(DEFAULT_FROM).unwrap_or(name)),
            Self::Pinned(name) => Some(name),
            Self::BuiltIn | Self::File | Self::Saved => None,
        }
    }

    /// Returns the name of the source for people.
    pub fn name(&self) -> &str {
        match self {
            Self::BuiltIn => "default",
            Self::File => "valves.toml",
            Self::Saved => "saved in the UI",
            Self::DefaultVariable(name) | Self::Pinned(name) => name,
        }
    }

    /// Parses the name of a source, as [`name`](Self::name) writes it.
    fn parse(name: &str) -> Self {
        let known = [Self::BuiltIn, Self::File, Self::Saved];
        known.into_iter().find(|source| source.name() == name).unwrap_or_else(|| {
            if name.starts_with(DEFAULT_FROM) {
                Self::DefaultVariable(name.into())
            } else {
                Self::Pinned(name.into())
            }
        })
    }
}

/// The source of each value, by valve.
pub type ValveSources = BTreeMap<String, ValveSource>;

/// Values from outside that pin valves: by pipe, then valve, the value and the name that pins it.
#[derive(Clone, Default)]
pub struct Pins(Vec<Pin>);

/// A valve that the environment sets, so that it cannot be edited.
#[derive(Clone)]
struct Pin {
    pipe: String,
    valve: String,
    name: String,
    value: String,
}

impl Pins {
    /// Adds a pin: `valve` of `pipe` has `value`, set by `name`.
    #[must_use]
    pub fn with_pin(
        mut self,
        pipe: &str,
        valve: &str,
        name: &str,
        value: impl Into<String>,
    ) -> Self {
        self.0.push(Pin {
            pipe: pipe.into(),
            valve: valve.into(),
            name: name.into(),
            value: value.into(),
        });
        self
    }

    /// Returns these pins followed by `later`, which override them.
    #[must_use]
    pub fn chain(mut self, later: &Self) -> Self {
        self.0.extend(later.0.iter().cloned());
        self
    }

    /// Adds the pins of the environment for a pipe: `ECHO_PREFIX` pins `prefix` of `echo`, and so
    /// does the content of the file named by `ECHO_PREFIX_FILE`. Returns an error for each file
    /// that cannot be read.
    pub fn add_environment(
        &mut self,
        pipe: &str,
        spec: &ValvesSpec,
        get: impl Fn(&str) -> Option<String>,
    ) -> Vec<ValveError> {
        let mut read_faults = Vec::new();
        for property in spec.properties() {
            let name = format!("{pipe}_{}", property.name).to_uppercase().replace(['-', ' '], "_");
            let file_name = format!("{name}_FILE");
            let value = match (get(&name), get(&file_name)) {
                (Some(value), _) => Some((name, value)),
                (None, Some(path)) => match regular_file::read_to_string(Path::new(&path)) {
                    Ok(value) => Some((file_name, value.trim_end().to_owned())),
                    Err(error) => {
                        read_faults.push(ValveError::new(
                            &property.name,
                            format!("the file that {file_name} names cannot be read: {error}"),
                        ));
                        None
                    }
                },
                (None, None) => None,
            };
            if let Some((name, value)) = value.filter(|(_, value)| !value.is_empty()) {
                *self = std::mem::take(self).with_pin(pipe, &property.name, &name, value);
            }
        }
        read_faults
    }
}

impl ValveLayers {
    /// Inserts a layer of defaults from variables of other programs, above the pipe's own defaults.
    #[must_use]
    pub fn with_default_variables(
        mut self,
        spec: &ValvesSpec,
        get: impl Fn(&str) -> Option<String>,
    ) -> Self {
        for property in spec.properties() {
            let set = property.default_variables.iter().find_map(|name| {
                let value = get(name).filter(|value| !value.trim().is_empty())?;
                Some((name, value))
            });
            if let Some((name, value)) = set {
                let values = Values::from_iter([(property.name.clone(), value.into())]);
                let source = ValveSource::DefaultVariable(format!("{DEFAULT_FROM}{name}"));
                self.layers.insert(1, Layer { source, values });
            }
        }
        self
    }

    /// Returns the layer of the pipe's own defaults.
    pub fn built_in(spec: &ValvesSpec) -> Self {
        let layer = Layer { source: ValveSource::BuiltIn, values: spec.defaults() };
        Self { layers: vec![layer], read_faults: Vec::new() }
    }

    /// Returns the layers that do not change while the host runs: the file (if there is one) and
    /// the pins; `unread` is what of the pins could not be read.
    pub fn load(
        pipe: &str,
        spec: &ValvesSpec,
        file: &Path,
        pins: &Pins,
        read_faults: Vec<ValveError>,
    ) -> Self {
        let mut layers = Self { read_faults, ..Self::built_in(spec) };
        match read_table(file, pipe) {
            Ok(values) => layers.layers.push(Layer { source: ValveSource::File, values }),
            Err(fault) => layers.read_faults.push(fault),
        }
        for pin in pins.0.iter().filter(|pin| pin.pipe == pipe) {
            let values = Values::from_iter([(pin.valve.clone(), pin.value.clone().into())]);
            layers.layers.push(Layer { source: ValveSource::Pinned(pin.name.clone()), values });
        }
        layers
    }

    /// Merges all layers, with the saved valves between the file and the pins. Returns the values,
    /// their sources, and the errors.
    ///
    /// A saved value of a valve that only the operator can set does not count, however it came to
    /// be saved. A value that breaks its rule is left out, so that the other values can be shown and
    /// corrected.
    pub fn merge(
        &self,
        spec: &ValvesSpec,
        saved: &Values,
    ) -> (Values, ValveSources, Vec<ValveError>) {
        let mut values = saved.clone();
        values.retain(|name, _| !spec.property(name).is_some_and(|one| one.is_operators));
        let saved = Layer { source: ValveSource::Saved, values };
        let (pins, below): (Vec<_>, Vec<_>) =
            self.layers.iter().partition(|layer| matches!(layer.source, ValveSource::Pinned(_)));
        let mut faults = Vec::new();
        let mut figment = Figment::new();
        for layer in below.into_iter().chain([&saved]).chain(pins) {
            figment = figment.merge(layer.parse_values(spec, &mut faults));
        }
        faults.extend(self.read_faults.iter().cloned());
        let (values, sources) =
            spec.properties().map(|property| extract_value(&figment, property)).unzip();
        (values, sources, faults)
    }
}

/// Reads the pipe's table of `valves.toml`. An error names the line but never its content, which
/// may be a secret.
fn read_table(file: &Path, pipe: &str) -> Result<Values, ValveError> {
    let fault = |rule: String| ValveError::new("valves.toml", rule);
    let text = match regular_file::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Values::new()),
        Err(error) => return Err(fault(format!("cannot be read: {error}"))),
    };
    let tables: BTreeMap<String, Value> = toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        fault(format!("line {} is not understood", before.lines().count().max(1)))
    })?;
    Ok(tables.get(pipe).and_then(Value::as_object).cloned().unwrap_or_default())
}

/// Returns JSON as text: figment would merge the objects of two layers, where the later one is
/// meant to replace the other.
fn to_layer_value(property: &ValveProperty, value: Value) -> Value {
    match (&property.kind, &value) {
        (ValveKind::Json, Value::Object(_) | Value::Array(_)) => value.to_string().into(),
        _ => value,
    }
}

fn extract_value(
    figment: &Figment,
    property: &ValveProperty,
) -> ((String, Value), (String, ValveSource)) {
    let name = &property.name;
    let value: Value = figment.extract_inner(name).unwrap_or_default();
    let value = match (&property.kind, value) {
        (ValveKind::Json, Value::String(text)) => serde_json::from_str(&text).unwrap_or_default(),
        (_, value) => value,
    };
    let source = figment
        .find_metadata(name)
        .map_or(ValveSource::BuiltIn, |metadata| ValveSource::parse(&metadata.name));
    ((name.to_owned(), value), (name.to_owned(), source))
}

impl Layer {
    /// Returns the layer with every value parsed for its valve.
    fn parse_values(&self, spec: &ValvesSpec, faults: &mut Vec<ValveError>) -> Self {
        let mut values = Values::new();
        for (name, value) in &self.values {
            let Some(property) = spec.property(name) else {
                if self.source == ValveSource::File {
                    let nearest = suggest(name, spec.properties().map(|one| one.name.as_str()));
                    let rule = format!("is no valve of this pipe{nearest} (valves.toml)");
                    faults.push(ValveError::new(name, rule));
                }
                continue;
            };
            if self.source == ValveSource::BuiltIn {
                values.insert(name.clone(), to_layer_value(property, value.clone()));
                continue;
            }
            match property.parse_value(value.clone()) {
                Ok(ParsedValue::Value(value)) => {
                    // A wrong value in a lower layer does not matter any more.
                    faults.retain(|fault| fault.valve != *name);
                    values.insert(name.clone(), to_layer_value(property, value));
                }
                Ok(ParsedValue::Reset) => {}
                Err(rule) => {
                    faults.push(ValveError::new(name, format!("{rule} ({})", self.source.name())));
                }
            }
        }
        Self { source: self.source.clone(), values }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.name().to_owned())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let values = figment::value::Value::serialize(&self.values)?;
        let dict = values.into_dict().unwrap_or_default();
        Ok(Map::from([(Profile::Default, dict)]))
    }
}
