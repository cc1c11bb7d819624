//! The shape of the answer: JSON, by whichever way the family can be brought to it (`docs/reference/bedrock.md`, "Converse request").

use super::{
    body::{InputSchema, JsonSchema, OutputConfig, Structure, TextFormat, ToolSpec},
    extras::Extras,
    tool_schema::{self, Parameters},
    tools::described,
};
use crate::{
    family::{Family, Schema, Tools},
    names,
};
use pipe_sdk::{Body, PipeError, Result};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// How the answer is brought into its shape.
#[derive(Debug)]
pub enum Format<'a> {
    /// It has none.
    Free,
    /// The model is bound to the schema.
    Native(OutputConfig),
    /// The model has to call a tool whose arguments are the answer.
    Tool(ToolSpec<'a>),
    /// The model is asked for it. It may put a fence around what it writes.
    Told(Cow<'a, str>),
}

/// The tool whose arguments are the answer.
pub const ANSWER: &str = "json_tool_call";

const ANY_JSON: &str = "Answer with one valid JSON object and nothing else: no words before or after it, no code fence.";

const THIS_JSON: &str = "Answer with valid JSON that follows this JSON Schema, and nothing else: no words before or after it, no code fence.";

impl<'a> Format<'a> {
    /// The shape that this chat wants of a model of this family. `thinking` models cannot be made to call a tool.
    pub fn of(body: &'a Body, family: &Family, thinking: bool) -> Result<Self> {
        let field = "response_format";
        let Some(format) = Extras::of(body).object(field)? else { return Ok(Self::Free) };
        match format.get("type").and_then(Value::as_str) {
            Some("text") => Ok(Self::Free),
            Some("json_object") => Ok(Self::Told(ANY_JSON.into())),
            Some("json_schema") => {
                let field = "response_format.json_schema";
                let wanted = format.get("json_schema").and_then(Value::as_object);
                let wanted = wanted.ok_or_else(|| {
                    PipeError::bad_field(field, format!("{field}: must be an object"))
                })?;
                let schema = match wanted.get("schema") {
                    Some(Value::Object(schema)) => schema,
                    None | Some(Value::Null) => return Ok(Self::Told(ANY_JSON.into())),
                    Some(_) => {
                        let field = "response_format.json_schema.schema";
                        let rule = format!("{field}: must be a JSON Schema");
                        return Err(PipeError::bad_field(field, rule));
                    }
                };
                Ok(Self::bound(wanted, schema, family, thinking))
            }
            _ => Err(PipeError::bad_field(
                "response_format.type",
                "response_format.type must be text, json_object or json_schema",
            )),
        }
    }

    fn bound(
        wanted: &'a Map<String, Value>,
        schema: &'a Map<String, Value>,
        family: &Family,
        thinking: bool,
    ) -> Self {
        let text = |name: &str| wanted.get(name).and_then(Value::as_str);
        let description = text("description").filter(|text| !text.trim().is_empty());
        let is_object = schema.get("type").is_some_and(|kind| kind == "object");
        if family.schema != Schema::No && is_object && is_closable(schema) {
            let name = names::fitted_name(text("name").unwrap_or("answer"));
            let schema = closed(schema, family.schema == Schema::Plain).to_string();
            let json_schema =
                JsonSchema { schema, name, description: description.map(String::from) };
            let text_format =
                TextFormat { r#type: "json_schema", structure: Structure { json_schema } };
            return Self::Native(OutputConfig { text_format });
        }
        if family.tools != Tools::No && family.tool_choice && !thinking && is_object {
            let Parameters { json, note } = tool_schema::of_object(schema, family);
            let description =
                description.unwrap_or("Gives the answer in the shape that was asked for.");
            return Self::Tool(ToolSpec {
                name: ANSWER.into(),
                description: described(Some(description), note),
                input_schema: InputSchema { json },
                strict: None,
            });
        }
        let schema = Value::Object(schema.clone());
        Self::Told(format!("{THIS_JSON}\n{schema}").into())
    }
}

/// Whether this is the schema of an object, or of an object or nothing.
fn is_of_object(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(kind) => kind == "object",
        None => schema.contains_key("properties"),
    }
}

/// Whether every object of the schema can be told to have no members but its own.
fn is_closable(schema: &Map<String, Value>) -> bool {
    let open = schema.get("additionalProperties").is_some_and(|more| *more != false);
    let tells = ["properties", "$ref", "anyOf", "allOf", "oneOf"];
    let bare = is_of_object(schema) && !tells.iter().any(|key| schema.contains_key(*key));
    !open
        && !bare
        && schema.iter().all(|(key, value)| match value {
            Value::Object(inner) if is_named(key) => {
                inner.values().all(|value| value.as_object().is_none_or(is_closable))
            }
            Value::Object(inner) => is_data(key) || is_closable(inner),
            Value::Array(items) => {
                is_data(key) || items.iter().all(|item| item.as_object().is_none_or(is_closable))
            }
            _ => true,
        })
}

/// The schema with every object closed; `plain` leaves out what Claude does not know.
fn closed(schema: &Map<String, Value>, plain: bool) -> Value {
    let mut members = Map::new();
    for (key, value) in schema {
        if plain && LIMITS.contains(&key.as_str()) {
            continue;
        }
        let value = match value {
            Value::Object(inner) if is_named(key) => {
                let inner = inner.iter().map(|(name, value)| (name.clone(), within(value, plain)));
                Value::Object(inner.collect())
            }
            value if is_data(key) => value.clone(),
            Value::Array(items) => items.iter().map(|item| within(item, plain)).collect(),
            value => within(value, plain),
        };
        members.insert(key.clone(), value);
    }
    if is_of_object(&members) {
        members.insert("additionalProperties".into(), json!(false));
    }
    Value::Object(members)
}

fn within(value: &Value, plain: bool) -> Value {
    value.as_object().map_or_else(|| value.clone(), |schema| closed(schema, plain))
}

/// Whether the members of this keyword have names of the client's own.
fn is_named(key: &str) -> bool {
    matches!(key, "properties" | "$defs" | "definitions" | "patternProperties")
}

/// Whether this keyword holds data rather than schemas.
fn is_data(key: &str) -> bool {
    matches!(key, "enum" | "const" | "default" | "examples" | "required" | "type")
}

/// What structured answers of Claude do not know (`docs/reference/bedrock.md`, "Model families").
const LIMITS: &[&str] = &[
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
        match Format::of(&body, &Family::of(model), false).unwrap() {
            Format::Native(config) => config.text_format.structure.json_schema.schema,
            Format::Tool(_) => "tool".into(),
            Format::Told(_) => "told".into(),
            Format::Free => "free".into(),
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
        for (model, way) in [
            ("anthropic.claude-3-haiku", "tool"),
            ("anthropic.claude-opus-4-7", "tool"),
            ("amazon.nova-pro-v1:0", "tool"),
            ("meta.llama4-scout", "told"),
            ("amazon.titan-text-lite-v1", "told"),
        ] {
            assert_eq!(format(model, &schema), way, "{model}");
        }
        let open = json!({"type": "object", "additionalProperties": {"type": "integer"}});
        assert_eq!(format("anthropic.claude-sonnet-4-5", &open), "tool");
        assert_eq!(format("anthropic.claude-sonnet-4-5", &json!({"type": "array"})), "told");
    }
}
