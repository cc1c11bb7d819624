//! Lists without a schema for their items.

use crate::keywords::{KeywordValue, classify_keyword};
use serde_json::{Map, Value, json};

/// Adds `items` to each list that has none. Returns whether there was one. OpenAI refuses such a
/// list with "array schema missing items".
pub fn add_missing_items(schema: &mut Map<String, Value>) -> bool {
    let is_list = match schema.get("type") {
        Some(Value::String(kind)) => kind == "array",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "array"),
        _ => false,
    };
    let mut changed = is_list && !schema.contains_key("items");
    if changed {
        schema.insert("items".into(), json!({}));
    }
    for (keyword, value) in schema.iter_mut() {
        changed |= match (classify_keyword(keyword), value) {
            (KeywordValue::NamedSchemas, Value::Object(named)) => add_to_each(named.values_mut()),
            (KeywordValue::Schemas | KeywordValue::Schema, Value::Array(list)) => {
                add_to_each(list.iter_mut())
            }
            (KeywordValue::Schema, Value::Object(one)) => add_missing_items(one),
            _ => false,
        };
    }
    changed
}

fn add_to_each<'a>(schemas: impl Iterator<Item = &'a mut Value>) -> bool {
    schemas
        .filter_map(Value::as_object_mut)
        .fold(false, |changed, one| add_missing_items(one) | changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_has_items() {
        let schema = json!({"properties": {
            "a": {"type": "array"}, "b": {"anyOf": [{"type": ["array", "null"]}]},
            "c": {"type": "array", "items": {"type": "array"}}, "items": {"type": "string"},
        }});
        let Value::Object(mut schema) = schema else { panic!("an object") };
        assert!(add_missing_items(&mut schema));
        let properties = &schema["properties"];
        assert_eq!(properties["a"]["items"], json!({}));
        assert_eq!(properties["b"]["anyOf"][0]["items"], json!({}));
        assert_eq!(properties["c"]["items"], json!({"type": "array", "items": {}}));
        assert_eq!(properties["items"], json!({"type": "string"}));
        assert!(!add_missing_items(&mut schema));
    }
}
