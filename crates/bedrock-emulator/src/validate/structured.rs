//! Structured output: answers that match a JSON schema.

use super::family::is_claude;
use super::{model_error, unsupported};
use crate::catalogue::FoundationModel;
use crate::exception::BedrockException;
use serde_json::Value;

/// The keywords that Claude's structured output does not support.
const UNSUPPORTED_KEYWORDS: [&str; 13] = [
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

/// Checks the JSON schema of the answer.
pub(super) fn check_output_schema(
    model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    let format = &body["outputConfig"]["textFormat"];
    if format.is_null() {
        return Ok(());
    }
    if !model.has_capability('J') {
        return Err(unsupported("outputConfig.textFormat"));
    }
    let text = format["structure"]["jsonSchema"]["schema"].as_str().unwrap_or_default();
    let schema: Value = serde_json::from_str(text)
        .map_err(|error| model_error(format!("output_config.format.schema: not JSON: {error}")))?;
    if !all_schemas(&schema, &is_closed) {
        return Err(model_error(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
        ));
    }
    if is_claude(model) && !all_schemas(&schema, &has_supported_keywords) {
        let keywords = UNSUPPORTED_KEYWORDS.join(", ");
        return Err(model_error(format!(
            "output_config.format.schema: For the types in it, properties {keywords} are not supported"
        )));
    }
    Ok(())
}

/// Returns whether a predicate is true for the schema and all its subschemas.
pub(super) fn all_schemas(schema: &Value, holds: &dyn Fn(&Value) -> bool) -> bool {
    holds(schema) && subschemas(schema).all(|inner| all_schemas(inner, holds))
}

/// Returns the direct subschemas. A property with the name of a keyword and the values of an `enum`
/// are not subschemas.
fn subschemas(schema: &Value) -> impl Iterator<Item = &Value> {
    let by_name = ["properties", "patternProperties", "$defs", "definitions"];
    let listed = ["anyOf", "allOf", "oneOf", "prefixItems"];
    let single = ["items", "additionalProperties", "not", "if", "then", "else", "contains"];
    let named = by_name.into_iter().filter_map(|name| schema[name].as_object());
    let listed = listed.into_iter().filter_map(|name| schema[name].as_array());
    let single = single.into_iter().filter_map(|name| schema.get(name));
    named.flat_map(|schemas| schemas.values()).chain(listed.flatten()).chain(single)
}

/// Returns whether a schema for objects forbids additional properties.
fn is_closed(schema: &Value) -> bool {
    let kind = &schema["type"];
    let nullable = kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"));
    let is_object = kind == "object" || nullable || schema["properties"].is_object();
    !is_object || schema["additionalProperties"] == false
}

fn has_supported_keywords(schema: &Value) -> bool {
    UNSUPPORTED_KEYWORDS.iter().all(|keyword| schema.get(keyword).is_none())
}
