//! Checks a request against the schema of the service.

use crate::exception::BedrockException;
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::LocationSegment;
use jsonschema::{ValidationError, Validator};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// The request bodies that have a schema.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Converse,
    ConverseStream,
    CountTokens,
    ApplyGuardrail,
}

/// The operations whose bodies have a schema.
const SHAPES: [Shape; 4] =
    [Shape::Converse, Shape::ConverseStream, Shape::CountTokens, Shape::ApplyGuardrail];

/// The validator of each of them.
#[expect(clippy::expect_used, reason = "the file is compiled in, and every test reads it")]
static VALIDATORS: LazyLock<[Validator; 4]> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(include_str!("../../schema/runtime.json"))
        .expect("runtime.json is JSON");
    SHAPES.map(|shape| {
        let body = json!({ "$ref": format!("#/$defs/{shape:?}Request"), "$defs": schema["$defs"] });
        jsonschema::validator_for(&body).expect("runtime.json is a schema")
    })
});

/// Checks a body against its schema.
pub(super) fn check(shape: Shape, body: &Value) -> Result<(), BedrockException> {
    let errors: Vec<_> = VALIDATORS[shape as usize].iter_errors(body).collect();
    if let Some(malformed) = errors.iter().find_map(malformed) {
        return Err(BedrockException::malformed(malformed));
    }
    let broken: Vec<_> =
        errors.iter().filter(|error| !is_repeated(error, &errors)).map(broken_constraint).collect();
    let plural = if broken.len() == 1 { "" } else { "s" };
    match broken.len() {
        0 => Ok(()),
        count => Err(BedrockException::validation(format!(
            "{count} validation error{plural} detected: {}",
            broken.join("; ")
        ))),
    }
}

/// Describes an error for which Bedrock calls the request malformed: an unknown member or a wrong
/// type.
fn malformed(error: &ValidationError<'_>) -> Option<String> {
    let place = format!("#{}", error.instance_path());
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            Some(format!("{place}: extraneous key [{}] is not permitted", unexpected.join(", ")))
        }
        Kind::Type { .. } => {
            Some(format!("{place}: unexpected type: {}", type_name(error.instance())))
        }
        _ => None,
    }
}

/// Returns whether a text is both too short and does not match its pattern, where AWS reports only
/// the pattern.
fn is_repeated(error: &ValidationError<'_>, errors: &[ValidationError<'_>]) -> bool {
    let unfit = |other: &ValidationError<'_>| {
        matches!(other.kind(), Kind::Pattern { .. })
            && other.instance_path() == error.instance_path()
    };
    matches!(error.kind(), Kind::MinLength { .. }) && errors.iter().any(unfit)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "Null",
        Value::Bool(_) => "Boolean",
        Value::Number(_) => "Number",
        Value::String(_) => "String",
        Value::Array(_) => "JSONArray",
        Value::Object(_) => "JSONObject",
    }
}

/// Describes a violated constraint, with the text that all AWS services use.
fn broken_constraint(error: &ValidationError<'_>) -> String {
    let (mut place, mut value) = (place(error), excerpt(error.instance()));
    if let Kind::Required { property } = error.kind() {
        let missing = property.as_str().unwrap_or_default();
        place = if place.is_empty() { missing.to_owned() } else { format!("{place}.{missing}") };
        value = "null".to_owned();
    }
    format!("Value {value} at '{place}' failed to satisfy constraint: {}", constraint(error))
}

/// Returns the path, with list members counted from 1: `toolConfig.tools.1.member.toolSpec.name`.
fn place(error: &ValidationError<'_>) -> String {
    let step = |segment: LocationSegment<'_>| match segment {
        LocationSegment::Property(name) => name.to_string(),
        LocationSegment::Index(index) => format!("{}.member", index + 1),
    };
    error.instance_path().into_iter().map(step).collect::<Vec<_>>().join(".")
}

/// Returns the beginning of a value, in quotes.
fn excerpt(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("'{}'", text.chars().take(100).collect::<String>())
}

/// Returns the constraint that a value breaks, in the words of the service.
fn constraint(error: &ValidationError<'_>) -> String {
    match error.kind() {
        Kind::Required { .. } => "Member must not be null".to_owned(),
        Kind::Pattern { pattern } => {
            let pattern = pattern.trim_start_matches("^(?:").trim_end_matches(")$");
            format!("Member must satisfy regular expression pattern: {pattern}")
        }
        Kind::Enum { options } => {
            format!("Member must satisfy enum value set: [{}]", names(options))
        }
        Kind::MinLength { limit } | Kind::MinItems { limit } => {
            format!("Member must have length greater than or equal to {limit}")
        }
        Kind::MaxLength { limit } | Kind::MaxItems { limit } => {
            format!("Member must have length less than or equal to {limit}")
        }
        Kind::Minimum { limit } => {
            format!("Member must have value greater than or equal to {limit}")
        }
        Kind::Maximum { limit } => format!("Member must have value less than or equal to {limit}"),
        Kind::MinProperties { .. } | Kind::MaxProperties { .. } => {
            "Member must have exactly one member set".to_owned()
        }
        _ => error.masked().to_string(),
    }
}

/// Returns the values of an enumeration, comma-separated.
fn names(options: &Value) -> String {
    options
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &Value) -> String {
        check(Shape::Converse, body).unwrap_err().message().to_owned()
    }

    fn asking(extra: &Value) -> Value {
        let mut body = json!({ "messages": [{ "role": "user", "content": [{ "text": "hi" }] }] });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    }

    #[test]
    fn a_broken_constraint_is_reported_in_the_words_of_aws() {
        let tool = |name: &str| json!({ "toolConfig": { "tools": [{ "toolSpec": { "name": name, "inputSchema": { "json": {} } } }] } });
        for (extra, message) in [
            (
                tool("a b"),
                "1 validation error detected: Value 'a b' at 'toolConfig.tools.1.member.toolSpec.name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+",
            ),
            (tool(&"x".repeat(65)), "Member must have length less than or equal to 64"),
            (
                tool(""),
                "1 validation error detected: Value '' at 'toolConfig.tools.1.member.toolSpec.name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+",
            ),
            (
                json!({ "messages": [{ "role": "user" }] }),
                "Value null at 'messages.1.member.content' failed to satisfy constraint: Member must not be null",
            ),
            (
                json!({ "messages": [{ "role": "tool", "content": [] }] }),
                "Member must satisfy enum value set: [user, assistant, system]",
            ),
            (
                json!({ "messages": [{ "role": "user", "content": [{}] }] }),
                "Member must have exactly one member set",
            ),
            (
                json!({ "inferenceConfig": { "temperature": 1.5 } }),
                "Value '1.5' at 'inferenceConfig.temperature' failed to satisfy constraint: Member must have value less than or equal to 1",
            ),
        ] {
            let refused = refused(&asking(&extra));
            assert!(refused.contains(message), "{refused}");
        }
    }

    #[test]
    fn what_is_no_request_at_all_is_malformed() {
        for (extra, message) in [
            (
                json!({ "stream": true }),
                "Malformed input request: #: extraneous key [stream] is not permitted, please reformat your input and try again.",
            ),
            (
                json!({ "inferenceConfig": { "maxTokens": "9" } }),
                "#/inferenceConfig/maxTokens: unexpected type: String",
            ),
        ] {
            let refused = refused(&asking(&extra));
            assert!(refused.contains(message), "{refused}");
        }
    }

    #[test]
    fn a_good_request_passes() {
        assert_eq!(check(Shape::Converse, &asking(&json!({}))), Ok(()));
        assert_eq!(
            check(Shape::CountTokens, &json!({ "input": { "converse": asking(&json!({})) } })),
            Ok(())
        );
    }
}
