//! The format of the answer: JSON, by a schema, a tool or instructions, as the family supports it
//! (`docs/reference/bedrock.md`, "Converse request").

use super::{
    body::{InputSchema, JsonSchema, OutputConfig, Structure, TextFormat, ToolSpec},
    extra_fields::ExtraFields,
    parameters::{self, Parameters},
    tools::describe,
};
use crate::family::{Family, JsonSchemaSupport, ToolSupport};
use pipe_sdk::{Body, PipeError, Result};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use tool_schema::sanitize_name;

/// The means by which the answer gets its format.
#[derive(Debug)]
pub enum AnswerFormat<'a> {
    /// The answer has no required format.
    Any,
    /// Bedrock enforces the schema.
    Native(OutputConfig),
    /// The model must call a tool whose arguments are the answer.
    Tool(ToolSpec<'a>),
    /// The prompt asks for the format. The model may write the answer in a code fence.
    Instructions(Cow<'a, str>),
}

/// The tool whose arguments are the answer.
pub const ANSWER_TOOL: &str = "json_tool_call";

const JSON_INSTRUCTIONS: &str = "Answer with one valid JSON object and nothing else: no words before or after it, no code fence.";

const SCHEMA_INSTRUCTIONS: &str = "Answer with valid JSON that follows this JSON Schema, and nothing else: no words before or after it, no code fence.";

impl<'a> AnswerFormat<'a> {
    /// Returns the shape that this chat wants of a model of this family. `thinking` models cannot
    /// be made to call a tool.
    pub fn new(body: &'a Body, family: &Family, is_reasoning: bool) -> Result<Self> {
        let field = "response_format";
        let Some(format) = ExtraFields::from_body(body).object(field)? else {
            return Ok(Self::Any);
        };
        match format.get("type").and_then(Value::as_str) {
            Some("text") => Ok(Self::Any),
            Some("json_object") => Ok(Self::Instructions(JSON_INSTRUCTIONS.into())),
            Some("json_schema") => {
                let field = "response_format.json_schema";
                let wanted = format.get("json_schema").and_then(Value::as_object);
                let wanted = wanted.ok_or_else(|| {
                    PipeError::bad_field(field, format!("{field}: must be an object"))
                })?;
                let schema = match wanted.get("schema") {
                    Some(Value::Object(schema)) => schema,
                    None | Some(Value::Null) => {
                        return Ok(Self::Instructions(JSON_INSTRUCTIONS.into()));
                    }
                    Some(_) => {
                        let field = "response_format.json_schema.schema";
                        let rule = format!("{field}: must be a JSON Schema");
                        return Err(PipeError::bad_field(field, rule));
                    }
                };
                Ok(Self::with_schema(wanted, schema, family, is_reasoning))
            }
            _ => Err(PipeError::bad_field(
                "response_format.type",
                "response_format.type must be text, json_object or json_schema",
            )),
        }
    }

    fn with_schema(
        wanted: &'a Map<String, Value>,
        schema: &'a Map<String, Value>,
        family: &Family,
        is_reasoning: bool,
    ) -> Self {
        let text = |name: &str| wanted.get(name).and_then(Value::as_str);
        let description = text("description").filter(|text| !text.trim().is_empty());
        let is_object = schema.get("type").is_some_and(|kind| kind == "object");
        if family.json_schema != JsonSchemaSupport::Unsupported && is_object && is_closable(schema)
        {
            let name = sanitize_name(text("name").unwrap_or("answer"));
            let schema =
                close_objects(schema, family.json_schema == JsonSchemaSupport::WithoutLimits)
                    .to_string();
            let json_schema =
                JsonSchema { schema, name, description: description.map(String::from) };
            let text_format =
                TextFormat { r#type: "json_schema", structure: Structure { json_schema } };
            return Self::Native(OutputConfig { text_format });
        }
        if family.tools != ToolSupport::Unsupported
            && family.tool_choice
            && !is_reasoning
            && is_object
        {
            let Parameters { json, note, .. } = parameters::rewrite_object(schema, family);
            let description =
                description.unwrap_or("Gives the answer in the shape that was asked for.");
            return Self::Tool(ToolSpec {
                name: ANSWER_TOOL.into(),
                description: describe(Some(description), note),
                input_schema: InputSchema { json },
                strict: None,
            });
        }
        let schema = Value::Object(schema.clone());
        Self::Instructions(format!("{SCHEMA_INSTRUCTIONS}\n{schema}").into())
    }
}

/// Returns whether this is the schema of an object, or of an object or nothing.
fn is_of_object(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(kind) => kind == "object",
        None => schema.contains_key("properties"),
    }
}

/// Returns whether every object of the schema can have `additionalProperties: false`.
fn is_closable(schema: &Map<String, Value>) -> bool {
    let is_open = schema.get("additionalProperties").is_some_and(|more| *more != false);
    let keywords = ["properties", "$ref", "anyOf", "allOf", "oneOf"];
    let is_bare = is_of_object(schema) && !keywords.iter().any(|key| schema.contains_key(*key));
    !is_open
        && !is_bare
        && schema.iter().all(|(key, value)| match value {
            Value::Object(inner) if has_named_members(key) => {
                inner.values().all(|value| value.as_object().is_none_or(is_closable))
            }
            Value::Object(inner) => is_data(key) || is_closable(inner),
            Value::Array(items) => {
                is_data(key) || items.iter().all(|item| item.as_object().is_none_or(is_closable))
            }
            _ => true,
        })
}

/// Returns the schema with every object closed; `plain` leaves out what Claude does not know.
fn close_objects(schema: &Map<String, Value>, plain: bool) -> Value {
    let mut members = Map::new();
    for (key, value) in schema {
        if plain && UNSUPPORTED_KEYWORDS.contains(&key.as_str()) {
            continue;
        }
        let value = match value {
            Value::Object(inner) if has_named_members(key) => {
                let inner =
                    inner.iter().map(|(name, value)| (name.clone(), close_inner(value, plain)));
                Value::Object(inner.collect())
            }
            value if is_data(key) => value.clone(),
            Value::Array(items) => items.iter().map(|item| close_inner(item, plain)).collect(),
            value => close_inner(value, plain),
        };
        members.insert(key.clone(), value);
    }
    if is_of_object(&members) {
        members.insert("additionalProperties".into(), json!(false));
    }
    Value::Object(members)
}

/// Closes the objects of a subschema to properties that it does not name.
fn close_inner(value: &Value, plain: bool) -> Value {
    value.as_object().map_or_else(|| value.clone(), |schema| close_objects(schema, plain))
}

/// Returns whether the members of this keyword have names of the client's own.
fn has_named_members(key: &str) -> bool {
    matches!(key, "properties" | "$defs" | "definitions" | "patternProperties")
}

/// Returns whether this keyword holds data rather than schemas.
fn is_data(key: &str) -> bool {
    matches!(key, "enum" | "const" | "default" | "examples" | "required" | "type")
}

/// The keywords that Claude's structured outputs do not support (`docs/reference/bedrock.md`,
/// "Model families").
const UNSUPPORTED_KEYWORDS: &[&str] = &[
    "$schema",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "patternProperties",
    "uniqueItems",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn format(model: &str, schema: &Value) -> String {
        let body: Body = serde_json::from_value(json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": schema}}})).unwrap();
        match AnswerFormat::new(&body, &Family::from_model_id(model), false).unwrap() {
            AnswerFormat::Native(config) => config.text_format.structure.json_schema.schema,
            AnswerFormat::Tool(_) => "tool".into(),
            AnswerFormat::Instructions(_) => "told".into(),
            AnswerFormat::Any => "free".into(),
        }
    }

    #[test]
    fn a_schema_is_closed_and_loses_what_claude_does_not_know() {
        let schema = json!({"type": "object", "properties": {"minimum": {"type": "integer", "minimum": 1}, "b": {"type": "object", "properties": {"c": {"enum": [{"type": "object"}]}}}}});
        assert_eq!(
            format("anthropic.claude-sonnet-4-5", &schema),
            r#"{"type":"object","properties":{"minimum":{"type":"integer"},"b":{"type":"object","properties":{"c":{"enum":[{"type":"object"}]}},"additionalProperties":false}},"additionalProperties":false}"#
        );
    }

    #[test]
    fn families_are_brought_to_a_schema_in_their_own_ways() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        for (model, expected) in [
            ("anthropic.claude-3-haiku", "tool"),
            ("anthropic.claude-opus-4-7", "tool"),
            ("amazon.nova-pro-v1:0", "tool"),
            ("meta.llama4-scout", "told"),
            ("amazon.titan-text-lite-v1", "told"),
        ] {
            assert_eq!(format(model, &schema), expected, "{model}");
        }
        let open = json!({"type": "object", "additionalProperties": {"type": "integer"}});
        assert_eq!(format("anthropic.claude-sonnet-4-5", &open), "tool");
        assert_eq!(format("anthropic.claude-sonnet-4-5", &json!({"type": "array"})), "told");
    }
}
