//! Walks through a schema and the schemas in it.

use crate::keywords::{KeywordValue, classify_keyword};
use serde_json::{Map, Value};

/// Calls a function with a schema and with each schema in it.
pub fn for_each_schema(schema: &Map<String, Value>, visit: &mut dyn FnMut(&Map<String, Value>)) {
    visit(schema);
    for (keyword, value) in schema {
        let inner: Vec<&Value> = match (classify_keyword(keyword), value) {
            (KeywordValue::NamedSchemas, Value::Object(named)) => named.values().collect(),
            (KeywordValue::Schemas | KeywordValue::Schema, Value::Array(list)) => {
                list.iter().collect()
            }
            (KeywordValue::Schema, schema) => vec![schema],
            _ => Vec::new(),
        };
        for schema in inner.into_iter().filter_map(Value::as_object) {
            for_each_schema(schema, visit);
        }
    }
}

/// Calls a function with a schema and with each schema in it, as it is after the call for the outer
/// schema.
pub fn for_each_schema_mut(
    schema: &mut Map<String, Value>,
    visit: &mut dyn FnMut(&mut Map<String, Value>),
) {
    visit(schema);
    for (keyword, value) in schema.iter_mut() {
        let inner: Vec<&mut Value> = match (classify_keyword(keyword), value) {
            (KeywordValue::NamedSchemas, Value::Object(named)) => named.values_mut().collect(),
            (KeywordValue::Schemas | KeywordValue::Schema, Value::Array(list)) => {
                list.iter_mut().collect()
            }
            (KeywordValue::Schema, schema) => vec![schema],
            _ => Vec::new(),
        };
        for schema in inner.into_iter().filter_map(Value::as_object_mut) {
            for_each_schema_mut(schema, visit);
        }
    }
}
