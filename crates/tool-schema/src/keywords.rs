//! The keywords of JSON Schema, and the names of its types.

use serde_json::{Map, Value};
use std::collections::HashSet;

/// The kind of value that a keyword has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeywordValue {
    /// Schemas by name, as in `properties`.
    NamedSchemas,
    /// A list of schemas, as in `anyOf`.
    Schemas,
    /// One schema, as in `items`.
    Schema,
    /// No schema, as in `title`.
    Other,
}

/// Appends the values that the list does not hold yet.
pub fn append_new(list: &mut Vec<Value>, more: impl IntoIterator<Item = Value>) {
    let mut known: HashSet<Value> = list.iter().cloned().collect();
    list.extend(more.into_iter().filter(|value| known.insert(value.clone())));
}

/// Returns the kind of value that this keyword has.
pub fn classify_keyword(keyword: &str) -> KeywordValue {
    match keyword {
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
            KeywordValue::NamedSchemas
        }
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => KeywordValue::Schemas,
        "items"
        | "additionalProperties"
        | "additionalItems"
        | "unevaluatedProperties"
        | "unevaluatedItems"
        | "not"
        | "if"
        | "then"
        | "else"
        | "contains"
        | "contentSchema"
        | "propertyNames" => KeywordValue::Schema,
        _ => KeywordValue::Other,
    }
}

/// Returns the type of this name, which may be that of another language, as in `dict`; `None` if
/// there is no such type.
pub fn parse_type(name: &str) -> Option<&'static str> {
    Some(match name.trim().to_ascii_lowercase().as_str() {
        "object" | "dict" | "dictionary" | "map" | "struct" | "record" => "object",
        "array" | "list" | "tuple" | "set" => "array",
        "string" | "str" | "text" | "date" | "datetime" | "file" => "string",
        "number" | "float" | "double" | "decimal" => "number",
        "integer" | "int" | "long" => "integer",
        "boolean" | "bool" => "boolean",
        "null" | "none" => "null",
        _ => return None,
    })
}

/// Returns whether a schema allows objects: `object` is its type or one of its types, or it has no
/// type.
pub fn allows_object(schema: &Map<String, Value>) -> bool {
    let is_object = |name: &Value| name.as_str().and_then(parse_type) == Some("object");
    match schema.get("type") {
        None | Some(Value::Null) => true,
        Some(Value::String(name)) if name.trim().is_empty() => true,
        Some(Value::Array(names)) => names.iter().any(is_object),
        Some(name) => is_object(name) || schema.get("properties").is_some_and(Value::is_object),
    }
}

/// Returns the JSON Schema type of this value. A whole number is an `integer`.
pub fn type_of_value(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Returns the type that the keywords of a schema without `type` belong to.
pub fn infer_type(schema: &Map<String, Value>) -> Option<&'static str> {
    let has = |keywords: &[&str]| keywords.iter().any(|keyword| schema.contains_key(*keyword));
    if has(&["properties", "additionalProperties", "patternProperties", "propertyNames"])
        || has(&["minProperties", "maxProperties"])
    {
        return Some("object");
    }
    if has(&["items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"]) {
        return Some("array");
    }
    if has(&["pattern", "format", "minLength", "maxLength", "contentEncoding"]) {
        return Some("string");
    }
    let limits = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
    has(&limits).then_some("number")
}

/// Returns the values that a schema allows, by `const` or `enum`.
pub fn enum_values(schema: &Map<String, Value>) -> Option<Vec<Value>> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => Some(vec![value.clone()]),
        (None, Some(Value::Array(values))) if !values.is_empty() => Some(values.clone()),
        _ => None,
    }
}
