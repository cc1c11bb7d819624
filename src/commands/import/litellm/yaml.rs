//! Converts YAML to JSON.

use anyhow::bail;
use serde_json::{Map, Value};
use yaml_rust2::{Yaml, YamlLoader};

/// Parses the first document, which must be a mapping. An error names the line and never its
/// content, which may be a secret.
///
/// # Errors
/// The line that is no YAML.
pub fn parse(text: &str) -> anyhow::Result<Map<String, Value>> {
    let documents = match YamlLoader::load_from_str(text) {
        Ok(documents) => documents,
        Err(error) => bail!("line {} is no YAML", error.marker().line()),
    };
    match documents.first().map(to_json) {
        Some(Value::Object(mapping)) => Ok(mapping),
        _ => bail!("line 1 is no mapping of settings"),
    }
}

fn to_json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Real(text) => text.parse::<f64>().map_or_else(|_| text.as_str().into(), Value::from),
        Yaml::Integer(number) => (*number).into(),
        Yaml::String(text) => text.as_str().into(),
        Yaml::Boolean(is_on) => (*is_on).into(),
        Yaml::Array(items) => items.iter().map(to_json).collect(),
        Yaml::Hash(mapping) => {
            let pair = |(key, value): (&Yaml, &Yaml)| {
                let key = match to_json(key) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                (key, to_json(value))
            };
            Value::Object(mapping.iter().map(pair).collect())
        }
        Yaml::Alias(_) | Yaml::Null | Yaml::BadValue => Value::Null,
    }
}
