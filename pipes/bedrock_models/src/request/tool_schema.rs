//! Adapts the schema of a tool's arguments to the model's family: unchanged if the family takes it,
//! else as close as possible.

mod keywords;
mod plain;
mod repair;

use super::{body::Json, json_validity::is_valid_json};
use crate::family::{Family, ToolSchema};
use keywords::type_named;
use plain::{Inside, Plain, plain};
use repair::{CHOICES, merge_choices, repair};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};
use std::{borrow::Cow, fmt};

/// The members of a JSON object in their order, each in its original bytes.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((Cow::Owned(member.0), member.1));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

const RULE: &str = "the parameters of a tool must be a JSON Schema of the type `object`";

/// The adapted schema of a tool's arguments, with a note in words.
#[derive(Debug)]
pub struct Parameters<'a> {
    /// The schema.
    pub json: Json<'a>,
    /// A note for the tool's description. Mostly empty.
    pub note: String,
}

/// Adapts a schema in JSON. Bedrock requires `"type": "object"`; clients leave it out if there are
/// no parameters. `$schema` is dropped. Apart from that, a valid schema that the family takes is
/// sent byte for byte, because prompt caches depend on it.
pub fn from_raw<'a>(
    given: Option<&'a RawValue>,
    family: &Family,
) -> Result<Parameters<'a>, &'static str> {
    let Some(schema) = given.filter(|given| given.get() != "null") else {
        return Ok(without_note(Json::EmptySchema));
    };
    if !is_valid_json(schema.get()) {
        return Err(
            "the parameters of a tool must be JSON without half characters or endless numbers, nested 100 deep at most",
        );
    }
    let read: Value = serde_json::from_str(schema.get()).map_err(|_| RULE)?;
    let made = match adapt(&read, family)? {
        Adapted::Empty => return Ok(without_note(Json::EmptySchema)),
        Adapted::Rewritten(made) => return Ok(made),
        Adapted::Unchanged => read,
    };
    if made.get("type").is_some_and(Value::is_string) && made.get("$schema").is_none() {
        return Ok(without_note(Json::Raw(schema)));
    }
    let Members(mut members) = serde_json::from_str(schema.get()).map_err(|_| RULE)?;
    members.retain(|(name, _)| name != "$schema" && name != "type");
    Ok(without_note(Json::WithType(members)))
}

/// Adapts a schema that is parsed already.
pub fn from_value<'a>(
    given: Option<&Value>,
    family: &Family,
) -> Result<Parameters<'a>, &'static str> {
    let Some(read) = given.filter(|given| !given.is_null()) else {
        return Ok(without_note(Json::EmptySchema));
    };
    match (adapt(read, family)?, read) {
        (Adapted::Rewritten(made), _) => Ok(made),
        (Adapted::Unchanged, Value::Object(schema)) => {
            Ok(without_note(Json::Value(with_type(schema.clone()))))
        }
        (Adapted::Unchanged | Adapted::Empty, _) => Ok(without_note(Json::EmptySchema)),
    }
}

/// Returns the schema of an object, adapted to this family.
pub fn rewrite_object<'a>(schema: &Map<String, Value>, family: &Family) -> Parameters<'a> {
    rewrite(schema, family).unwrap_or_else(|| without_note(Json::Value(with_type(schema.clone()))))
}

fn without_note(json: Json<'_>) -> Parameters<'_> {
    Parameters { json, note: String::new() }
}

/// The result of adapting a schema.
enum Adapted<'a> {
    /// It is empty.
    Empty,
    /// It is unchanged, but for its `type` and its `$schema`.
    Unchanged,
    /// It was rewritten.
    Rewritten(Parameters<'a>),
}

fn adapt<'a>(given: &Value, family: &Family) -> Result<Adapted<'a>, &'static str> {
    let schema = match given {
        Value::Object(schema) => schema,
        // As JSON Schema writes "anything".
        Value::Bool(true) => return Ok(Adapted::Empty),
        _ => return Err(RULE),
    };
    if schema.is_empty() {
        return Ok(Adapted::Empty);
    }
    if !is_of_object(schema) {
        return Err(RULE);
    }
    Ok(rewrite(schema, family).map_or(Adapted::Unchanged, Adapted::Rewritten))
}

/// Returns whether a root may be an object: its type is or includes `object`, or is missing.
fn is_of_object(schema: &Map<String, Value>) -> bool {
    let is_object = |word: &Value| word.as_str().and_then(type_named) == Some("object");
    match schema.get("type") {
        None | Some(Value::Null) => true,
        Some(Value::String(word)) if word.trim().is_empty() => true,
        Some(Value::Array(words)) => words.iter().any(is_object),
        Some(word) => is_object(word) || schema.get("properties").is_some_and(Value::is_object),
    }
}

/// Returns the rewritten schema, if this family does not take it unchanged.
fn rewrite<'a>(schema: &Map<String, Value>, family: &Family) -> Option<Parameters<'a>> {
    let inside = match family.tool_schema {
        ToolSchema::Any => None,
        ToolSchema::PlainRoot => Some(Inside::Most),
        ToolSchema::Plain => Some(Inside::Few),
    };
    let mut repaired = schema.clone();
    let is_object = |kind: &Value| kind.is_null() || kind == "object";
    let mut changed = schema.get("type").is_some_and(|kind| !is_object(kind));
    repaired.shift_remove("type");
    changed |= repair(&mut repaired);
    if let Some(inside) = inside {
        let Plain { schema, note } = plain(&repaired, inside);
        return Some(Parameters { json: Json::Value(schema), note });
    }
    let is_choice = CHOICES.iter().any(|keyword| repaired.contains_key(*keyword));
    if is_choice && !family.schema_unions {
        if !schema.contains_key("type") {
            repaired.insert("type".into(), "object".into());
        }
        repaired = merge_choices(repaired);
        changed = true;
    }
    if !changed {
        return None;
    }
    let typed = match schema.contains_key("type") {
        true => {
            let first = std::iter::once(("type".to_owned(), Value::from("object")));
            first.chain(repaired).collect()
        }
        false => repaired,
    };
    Some(without_note(Json::Value(self::with_type(typed))))
}

/// Returns the schema with a type, and without the name of its dialect.
fn with_type(mut schema: Map<String, Value>) -> Value {
    schema.shift_remove("$schema");
    if schema.get("type").is_none_or(Value::is_null) {
        schema.insert("type".into(), "object".into());
    }
    schema.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_without_a_type_gets_one_and_is_else_left_as_it_came() {
        for (given, sent) in [
            (
                r#"{ "z": 1.0, "type": "object", "a": 1e3 }"#,
                r#"{ "z": 1.0, "type": "object", "a": 1e3 }"#,
            ),
            ("{ }", r#"{"type":"object","properties":{}}"#),
            ("null", r#"{"type":"object","properties":{}}"#),
            (
                r#"{"properties":{"b":{},"a":{}}}"#,
                r#"{"type":"object","properties":{"b":{},"a":{}}}"#,
            ),
            (
                r#"{"$schema":"x","b":1e3,"type":"object","a":{ "$schema":1}}"#,
                r#"{"type":"object","b":1e3,"a":{ "$schema":1}}"#,
            ),
        ] {
            let raw: Box<RawValue> = serde_json::from_str(given).unwrap();
            let schema = from_raw(Some(&raw), &Family::of("x")).unwrap();
            assert_eq!(serde_json::to_string(&schema.json).unwrap(), sent);
        }
    }

    #[test]
    fn a_schema_of_something_else_is_refused() {
        for given in [r#""text""#, "[]", r#"{"type":"array"}"#, r#"{"type":["string","null"]}"#] {
            let raw: Box<RawValue> = serde_json::from_str(given).unwrap();
            assert!(from_raw(Some(&raw), &Family::of("x")).is_err(), "{given}");
        }
    }

    #[test]
    fn a_choice_becomes_one_object_where_the_family_takes_no_choice() {
        let given =
            r#"{"description":"d","anyOf":[{"properties":{"a":{}}},{"properties":{"b":{}}}]}"#;
        let raw: Box<RawValue> = serde_json::from_str(given).unwrap();
        let schema = from_raw(Some(&raw), &Family::of("anthropic.claude-3")).unwrap();
        assert_eq!(
            serde_json::to_string(&schema.json).unwrap(),
            r#"{"description":"d anyOf: [{\"properties\":{\"a\":{}}},{\"properties\":{\"b\":{}}}]","type":"object","properties":{"a":{},"b":{}}}"#
        );
    }

    #[test]
    fn constraints_that_a_family_does_not_take_are_told_in_words() {
        let given = r#"{"type":"object","properties":{"a":{"type":"string","pattern":"^(?!a)"},"b":{"pattern":"^b"}}}"#;
        let raw: Box<RawValue> = serde_json::from_str(given).unwrap();
        let schema = from_raw(Some(&raw), &Family::of("amazon.nova-lite-v1:0")).unwrap();
        assert_eq!(
            serde_json::to_string(&schema.json).unwrap(),
            r#"{"type":"object","properties":{"a":{"type":"string","description":"Pattern: ^(?!a)."},"b":{"type":"string","description":"Pattern: ^b."}}}"#
        );
    }
}
