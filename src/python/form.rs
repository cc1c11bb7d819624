//! The valves of a Python file: its pydantic schema by the rules of our form, and the valves that
//! the host adds.
//!
//! Python files mark few of their secrets, so a text valve whose name says that it holds one is a
//! secret too, and so is one whose default holds credentials. Every secret is bound to all
//! addresses among the valves: it must be entered again when one of them moves to another host.

use crate::valves::{Values, ValveKind, ValveProperty, ValvesSpec, holds_credentials};
use pipe_sdk::Secret;
use python_worker::Description;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use url::Url;

/// The valve with the number of calls that run beside each other.
pub const THREADS: &str = "pipewright_threads";
/// The valve with the memory of the process.
pub const MEMORY: &str = "pipewright_memory_mib";
/// The valve with the longest time without a sign of an answer.
pub const TIMEOUT: &str = "pipewright_timeout";

/// Words in names of valves that hold secrets.
const SECRET_WORDS: [&str; 18] = [
    "key",
    "apikey",
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "credential",
    "credentials",
    "dsn",
    "pat",
    "conn",
    "connstr",
    "connstring",
    "authorization",
    "bearer",
    "cookie",
];

/// Pairs of words in names of valves that hold secrets only together.
const SECRET_PAIRS: [[&str; 2]; 6] = [
    ["auth", "header"],
    ["auth", "headers"],
    ["auth", "value"],
    ["basic", "auth"],
    ["connection", "string"],
    ["connection", "str"],
];

/// Words in names of valves that hold addresses.
const ADDRESS_WORDS: [&str; 10] =
    ["url", "uri", "host", "hostname", "endpoint", "base", "server", "address", "domain", "proxy"];

/// The depth to which references in a schema are followed.
const MAX_DEPTH: usize = 8;

/// Returns the specification of the valves of a file.
pub fn build_spec(description: &Description) -> ValvesSpec {
    let schema = &description.schema;
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let resolved: Vec<(String, Value)> = properties
        .into_iter()
        .map(|(name, property)| (name, resolve(&property, schema, MAX_DEPTH)))
        .collect();
    let is_address = |name: &str, property: &Value| {
        is_text(property) && !is_secret(name, property) && has_word(name, &ADDRESS_WORDS)
    };
    let addresses: Vec<&str> = resolved
        .iter()
        .filter(|(name, property)| is_address(name, property))
        .map(|(name, _)| name.as_str())
        .collect();
    let valve = |(name, property): &(String, Value)| {
        let default = description.valves.get(name).or_else(|| property.get("default"));
        let default = default.cloned().unwrap_or_default();
        let mut property = property.clone();
        if is_secret(name, &property) || (is_text(&property) && holds_credentials(&default)) {
            property["writeOnly"] = true.into();
            property["x-origin"] = json!(addresses);
        }
        ValveProperty::new(name.clone(), &property, default)
    };
    ValvesSpec::from_properties(resolved.iter().map(valve).chain(host_valves()).collect())
}

/// Returns the valves that the host adds to those of every file.
fn host_valves() -> impl Iterator<Item = ValveProperty> {
    let valves = [
        (
            THREADS,
            "Process · Threads",
            "Calls that run beside each other; further ones are refused.",
            1,
            1024,
            256,
        ),
        (
            MEMORY,
            "Process · Memory (MiB)",
            "Memory of the file's process in MiB; 0 for no limit.",
            0,
            1 << 20,
            2048,
        ),
        (
            TIMEOUT,
            "Process · Time-out (seconds)",
            "Seconds without a sign of an answer after which a call fails.",
            1,
            3600,
            120,
        ),
    ];
    valves.into_iter().map(|(name, title, description, minimum, maximum, default)| {
        let schema = json!({
            "type": "integer", "title": title, "description": description, "minimum": minimum,
            "maximum": maximum,
        });
        ValveProperty::new(name.to_owned(), &schema, default.into())
    })
}

/// Returns whether a valve is the host's, not the file's.
pub fn is_host_valve(name: &str) -> bool {
    [THREADS, MEMORY, TIMEOUT].contains(&name)
}

/// Returns a number of the host's valves.
pub fn host_valve(values: &Values, name: &str) -> u64 {
    let default = || host_valves().find(|valve| valve.name == name)?.default.as_u64();
    values.get(name).and_then(Value::as_u64).or_else(default).unwrap_or_default()
}

/// Returns the values for the file. A missing value of a valve that cannot be `None` is an empty
/// text if it is a secret; any other is left out, so that the file's own default is used.
pub fn file_values(spec: &ValvesSpec, values: &Values) -> Values {
    let wanted = spec.properties().filter(|valve| !is_host_valve(&valve.name));
    let value = |valve: &ValveProperty| {
        let value = match values.get(&valve.name)? {
            Value::Null if valve.accepts_null => Value::Null,
            Value::Null if valve.kind == ValveKind::Secret => "".into(),
            Value::Null => return None,
            value => value.clone(),
        };
        Some((valve.name.clone(), value))
    };
    wanted.filter_map(value).collect()
}

/// Returns the secrets among the values.
pub fn secrets(spec: &ValvesSpec, values: &Values) -> BTreeSet<String> {
    let masked = spec.mask_values(values);
    let is_masked = |name: &str| masked.get(name).is_some_and(|value| value == Secret::MASK);
    let mut texts = BTreeSet::new();
    for (_, value) in values.iter().filter(|(name, _)| is_masked(name)) {
        add_texts(value, &mut texts);
    }
    texts
}

/// Adds the texts within a value, as those of a dictionary of headers.
fn add_texts(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            // Printed text may hold the password alone.
            let url = Url::parse(text).ok();
            texts.extend(url.and_then(|url| url.password().map(str::to_owned)));
            texts.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| add_texts(item, texts)),
        Value::Object(fields) => fields.values().for_each(|field| add_texts(field, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns a property without references: `$ref`, `allOf` with one schema, and `anyOf`.
fn resolve(property: &Value, root: &Value, depth: usize) -> Value {
    let mut merged = Map::new();
    let all_of = property["allOf"].as_array().filter(|all| all.len() == 1);
    let referred = match property["$ref"].as_str() {
        Some(name) => find_definition(root, name),
        None => all_of.and_then(|all| all.first()).cloned(),
    };
    if let (Some(referred), Some(depth)) = (referred, depth.checked_sub(1)) {
        let Value::Object(mut referred) = resolve(&referred, root, depth) else {
            return Value::Null;
        };
        // The title of a class is not the valve's.
        referred.remove("title");
        merged = referred;
    }
    let own = property.as_object().cloned().unwrap_or_default();
    merged.extend(own.into_iter().filter(|(key, _)| key != "$ref" && key != "allOf"));
    if let (Some(Value::Array(any)), Some(depth)) = (merged.get("anyOf"), depth.checked_sub(1)) {
        let any: Vec<Value> = any.iter().map(|one| resolve(one, root, depth)).collect();
        merged.insert("anyOf".into(), any.into());
    }
    if let Some(choice) = merged.remove("const") {
        merged.insert("enum".into(), vec![choice].into());
    }
    without_union(merged)
}

/// Returns a union of several types as text, which pydantic reads as the type that fits.
fn without_union(mut property: Map<String, Value>) -> Value {
    let any = property.get("anyOf").and_then(Value::as_array);
    let types = any.into_iter().flatten().filter(|one| one["type"] != "null");
    if types.count() > 1 {
        property.insert("anyOf".into(), json!([{"type": "string"}, {"type": "null"}]));
    }
    property.into()
}

fn find_definition(root: &Value, reference: &str) -> Option<Value> {
    root.pointer(reference.strip_prefix('#')?).cloned()
}

/// Returns the schema of a valve that is not null.
fn non_null_schema(property: &Value) -> &Value {
    let any = property["anyOf"].as_array().into_iter().flatten();
    any.into_iter().find(|one| one["type"] != "null").unwrap_or(property)
}

fn is_text(property: &Value) -> bool {
    let schema = non_null_schema(property);
    schema["enum"].is_null() && schema["type"].as_str().unwrap_or("string") == "string"
}

/// Returns whether a valve holds a secret: it says so, or its name does.
fn is_secret(name: &str, property: &Value) -> bool {
    let schema = non_null_schema(property);
    let says_so = [property, schema].iter().any(|schema| {
        schema["writeOnly"] == true
            || schema["format"] == "password"
            || schema["input"]["type"] == "password"
    });
    let is_public = has_word(name, &["public", "publishable"]);
    let is_pair = |pair: &[&str; 2]| pair.iter().all(|word| has_word(name, &[word]));
    let is_named = has_word(name, &SECRET_WORDS) || SECRET_PAIRS.iter().any(is_pair);
    is_text(property) && (says_so || (is_named && !is_public))
}

/// Returns whether a name contains one of the words: `apiKey`, `API_KEY` and `api-key` hold `key`.
fn has_word(name: &str, words: &[&str]) -> bool {
    let mut split = String::new();
    let mut was_lowercase = false;
    for char in name.chars() {
        if char.is_uppercase() && was_lowercase {
            split.push(' ');
        }
        split.push(if char.is_alphanumeric() { char.to_ascii_lowercase() } else { ' ' });
        was_lowercase = char.is_lowercase();
    }
    split
        .split(' ')
        .any(|word| words.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(properties: &Value, valves: &Value) -> Description {
        let schema = json!({
            "properties": properties,
            "$defs": {"Level": {"title": "Level", "type": "string", "enum": ["low", "high"]}},
        });
        serde_json::from_value(json!({"schema": schema, "valves": valves})).unwrap()
    }

    #[test]
    fn schemas_of_pydantic_become_valves_of_the_form() {
        let description = description(
            &json!({
                "OPENAI_API_KEY": {"type": "string"},
                "OPENAI_API_BASE_URL": {"type": "string"},
                "max_tokens": {"type": "integer"},
                "public_key": {"type": "string"},
                "level": {"$ref": "#/$defs/Level"},
                "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null},
                "headers": {"type": "object"},
                "names": {"type": "array", "items": {"type": "string"}},
                "rows": {"type": "array", "items": {"type": "object"}},
                "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            }),
            &json!({"OPENAI_API_KEY": "sk-1", "max_tokens": 5, "headers": {"a": "b"}}),
        );
        let spec = build_spec(&description);
        let kind = |name: &str| &spec.property(name).unwrap().kind;
        assert_eq!(kind("OPENAI_API_KEY"), &ValveKind::Secret);
        assert_eq!(spec.property("OPENAI_API_KEY").unwrap().origins, ["OPENAI_API_BASE_URL"]);
        assert_eq!(kind("public_key"), &ValveKind::Text);
        assert_eq!(kind("max_tokens"), &ValveKind::Integer);
        assert_eq!(kind("level"), &ValveKind::Choice(vec!["low".into(), "high".into()]));
        assert!(spec.property("maybe").unwrap().nullable);
        assert_eq!((kind("headers"), kind("rows")), (&ValveKind::Json, &ValveKind::Json));
        assert_eq!((kind("names"), kind("either")), (&ValveKind::List, &ValveKind::Text));
        let values = spec.defaults();
        assert_eq!(secrets(&spec, &values), ["sk-1".to_owned()].into());
        assert_eq!(file_values(&spec, &values)["headers"], json!({"a": "b"}));
        assert!(!file_values(&spec, &values).contains_key(THREADS));
        assert_eq!(host_valve(&values, THREADS), 256);
    }
}
