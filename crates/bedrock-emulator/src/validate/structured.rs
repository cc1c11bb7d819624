//! Answers in a given JSON schema.

use super::family::is_claude;
use super::{by_model, unsupported};
use crate::catalogue::Model;
use crate::fault::Fault;
use serde_json::Value;

/// What Claude's grammar cannot hold to.
const UNSUPPORTED: [&str; 13] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

pub(super) fn output(model: &Model, body: &Value) -> Result<(), Fault> {
    let format = &body["outputConfig"]["textFormat"];
    if format.is_null() {
        return Ok(());
    }
    if !model.can('J') {
        return Err(unsupported("outputConfig.textFormat"));
    }
    let text = format["structure"]["jsonSchema"]["schema"].as_str().unwrap_or_default();
    let schema: Value = serde_json::from_str(text)
        .map_err(|error| by_model(format!("output_config.format.schema: not JSON: {error}")))?;
    if !every(&schema, &closed) {
        return Err(by_model(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
        ));
    }
    if is_claude(model) && !every(&schema, &supported) {
        let keywords = UNSUPPORTED.join(", ");
        return Err(by_model(format!(
            "output_config.format.schema: For the types in it, properties {keywords} are not supported"
        )));
    }
    Ok(())
}

/// Whether this holds of the schema and of all schemas in it.
pub(super) fn every(schema: &Value, holds: &dyn Fn(&Value) -> bool) -> bool {
    holds(schema) && inner(schema).all(|inner| every(inner, holds))
}

/// The schemas right inside. What is named like a keyword in `properties`, or stands in an `enum`, is none.
fn inner(schema: &Value) -> impl Iterator<Item = &Value> {
    let by_name = ["properties", "patternProperties", "$defs", "definitions"];
    let listed = ["anyOf", "allOf", "oneOf", "prefixItems"];
    let single = ["items", "additionalProperties", "not", "if", "then", "else", "contains"];
    let named = by_name.into_iter().filter_map(|name| schema[name].as_object());
    let listed = listed.into_iter().filter_map(|name| schema[name].as_array());
    let single = single.into_iter().filter_map(|name| schema.get(name));
    named.flat_map(|schemas| schemas.values()).chain(listed.flatten()).chain(single)
}

/// Whether an object takes no properties but its own.
fn closed(schema: &Value) -> bool {
    let kind = &schema["type"];
    let nullable = kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"));
    let is_object = kind == "object" || nullable || schema["properties"].is_object();
    !is_object || schema["additionalProperties"] == false
}

fn supported(schema: &Value) -> bool {
    UNSUPPORTED.iter().all(|keyword| schema.get(keyword).is_none())
}
