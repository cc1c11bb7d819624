//! The values of JSON Schema's keywords, and the names of its types.

use serde_json::{Map, Value};
use std::collections::HashSet;

/// The value of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Schemas by names of the client's own.
    Named,
    /// A list of schemas.
    List,
    /// One schema.
    One,
    /// Something else.
    Data,
}

/// Appends the values that the list does not hold yet.
pub fn append_new(list: &mut Vec<Value>, more: impl IntoIterator<Item = Value>) {
    let mut known: HashSet<Value> = list.iter().cloned().collect();
    list.extend(more.into_iter().filter(|value| known.insert(value.clone())));
}

/// Returns the kind of this keyword's value.
pub fn holds(keyword: &str) -> Holds {
    match keyword {
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
            Holds::Named
        }
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => Holds::List,
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
        | "propertyNames" => Holds::One,
        _ => Holds::Data,
    }
}

/// Returns the type of this name, which may be that of another language; `None` if it is none.
pub fn type_named(word: &str) -> Option<&'static str> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
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

/// Returns whether a root may be an object: it says so, among others if need be, or says nothing.
pub fn is_of_object(schema: &Map<String, Value>) -> bool {
    let is_object = |word: &Value| word.as_str().and_then(type_named) == Some("object");
    match schema.get("type") {
        None | Some(Value::Null) => true,
        Some(Value::String(word)) if word.trim().is_empty() => true,
        Some(Value::Array(words)) => words.iter().any(is_object),
        Some(word) => is_object(word) || schema.get("properties").is_some_and(Value::is_object),
    }
}

/// Returns the type of this value. A whole number is an integer.
pub fn type_of(value: &Value) -> &'static str {
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

/// Returns the type that the keywords of a schema without `type` imply.
pub fn implied_type(schema: &Map<String, Value>) -> Option<&'static str> {
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

/// Returns the schema behind this `$ref`, if it is one within this document.
pub fn referenced<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    let decoded = percent_decoded(pointer);
    if decoded.is_empty() || decoded.starts_with('/') {
        return root.pointer(&decoded);
    }
    let anchored =
        |schema: &&Value| schema["$anchor"] == decoded.as_str() || schema["$id"] == reference;
    let lists = ["$defs", "definitions"].into_iter().filter_map(|name| root[name].as_object());
    lists.flat_map(Map::values).find(anchored)
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
