//! Answers in a given JSON schema.

use super::by_model;
use crate::catalogue::Model;
use crate::fault::Fault;
use serde_json::Value;

pub(super) fn output(model: &Model, body: &Value) -> Result<(), Fault> {
    let format = &body["outputConfig"]["textFormat"];
    if format.is_null() {
        return Ok(());
    }
    if !model.can('J') {
        return Err(Fault::validation(
            "This model doesn't support the outputConfig.textFormat field. Remove outputConfig.textFormat and try again.",
        ));
    }
    let text = format["structure"]["jsonSchema"]["schema"].as_str().unwrap_or_default();
    let schema: Value = serde_json::from_str(text)
        .map_err(|error| by_model(format!("output_config.format.schema: not JSON: {error}")))?;
    if closed(&schema) {
        return Ok(());
    }
    Err(by_model(
        "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
    ))
}

/// Whether every object in the schema takes no properties but its own.
fn closed(schema: &Value) -> bool {
    let open = schema["type"] == "object" && schema["additionalProperties"] != false;
    !open
        && match schema {
            Value::Object(fields) => fields.values().all(closed),
            Value::Array(items) => items.iter().all(closed),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
}
