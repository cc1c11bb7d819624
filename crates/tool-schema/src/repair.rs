//! Turns schemas of clients' generators into valid JSON Schema 2020-12.
//!
//! Services validate schemas against that draft; Claude's does
//! (<https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use>).

mod assertions;
mod values;

use crate::{
    keywords::{KeywordValue, classify_keyword, parse_type},
    references::remove_dangling_references,
};
use assertions::{repair_limits, repair_required, repair_tuple, repair_type};
use serde_json::{Map, Value, json};
use values::repair_value;

/// Repairs this schema. Returns whether it changed.
pub fn repair_schema(schema: &mut Map<String, Value>) -> bool {
    remove_dangling_references(schema) | repair_keywords(schema)
}

/// Repairs the keywords of a schema, and the schemas in it. Returns whether it changed.
fn repair_keywords(schema: &mut Map<String, Value>) -> bool {
    let mut changed = repair_type(schema)
        | repair_limits(schema)
        | repair_tuple(schema)
        | repair_required(schema);
    let keywords: Vec<_> = schema.keys().cloned().collect();
    for keyword in keywords {
        changed |= repair_keyword(schema, &keyword);
    }
    changed
}

/// Repairs the value of one keyword.
fn repair_keyword(schema: &mut Map<String, Value>, keyword: &str) -> bool {
    let Some(value) = schema.get_mut(keyword) else { return false };
    match classify_keyword(keyword) {
        KeywordValue::NamedSchemas => match value {
            Value::Object(named) => {
                let mut changed = false;
                for (_, inner) in named.iter_mut() {
                    changed |= repair_subschema(inner);
                }
                changed
            }
            _ if keyword == "properties" => {
                *value = json!({});
                true
            }
            _ => schema.shift_remove(keyword).is_some(),
        },
        KeywordValue::Schemas => match value {
            Value::Array(list) if !list.is_empty() => {
                let mut changed = false;
                for inner in list.iter_mut() {
                    changed |= repair_subschema(inner);
                }
                changed
            }
            Value::Object(_) if keyword != "prefixItems" => {
                *value = json!([value.take()]);
                repair_keyword(schema, keyword);
                true
            }
            _ => schema.shift_remove(keyword).is_some(),
        },
        KeywordValue::Schema => match value {
            Value::Bool(_) => false,
            Value::Object(inner) => repair_keywords(inner),
            _ => schema.shift_remove(keyword).is_some(),
        },
        KeywordValue::Other => repair_value(schema, keyword),
    }
}

/// Repairs a subschema. Some clients write the name of a type alone.
fn repair_subschema(schema: &mut Value) -> bool {
    match schema {
        Value::Object(inner) => repair_keywords(inner),
        Value::Bool(_) => false,
        Value::String(name) => {
            *schema = parse_type(name).map_or_else(|| json!({}), |name| json!({"type": name}));
            true
        }
        Value::Null | Value::Number(_) | Value::Array(_) => {
            *schema = json!({});
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(fields) = value else { panic!("an object") };
        fields
    }

    #[test]
    fn keywords_of_the_wrong_kind_are_removed_and_the_others_stay() {
        let mut schema = object(json!({
            "$recursiveAnchor": true, "$id": "#/x y",
            "dependencies": {"a": ["b"], "b": 3, "c": {"required": null}},
            "dependentRequired": {"a": ["b"], "b": 1},
            "properties": {
                "a": {"type": "string", "contentEncoding": {}, "$schema": 5, "$anchor": "1 2"},
                "b": {"type": "string", "pattern": "["},
                "c": {"type": "string", "pattern": "^(?!x)[a-z]+$", "$id": "http://a/b#"},
                "d": {"dependencies": 3, "minContains": -1},
            },
        }));
        assert!(repair_schema(&mut schema));
        assert_eq!(
            Value::from(schema.clone()),
            json!({
                "dependencies": {"a": ["b"], "c": {}},
                "dependentRequired": {"a": ["b"]},
                "properties": {
                    "a": {"type": "string"},
                    "b": {"type": "string", "description": "Pattern: [."},
                    "c": {"type": "string", "pattern": "^(?!x)[a-z]+$", "$id": "http://a/b#"},
                    "d": {},
                },
            })
        );
        assert!(!repair_schema(&mut schema));
    }
}
