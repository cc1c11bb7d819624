//! The schema of a tool's arguments: as it came, as far as Bedrock takes it so.

use super::{body::Json, sound::is_sound};
use crate::family::Family;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};
use std::{borrow::Cow, fmt};

/// The members of a JSON object, in their order, each as it came.
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

/// Bedrock demands that a schema says `"type": "object"`; clients leave it out where there are no parameters. Where the schema says which
/// dialect it is in, that is left out.
pub fn of<'a>(given: Option<&'a RawValue>, family: &Family) -> Result<Json<'a>, &'static str> {
    let Some(schema) = given.filter(|given| given.get() != "null") else {
        return Ok(Json::EmptySchema);
    };
    if !is_sound(schema.get()) {
        return Err(
            "the parameters of a tool must be JSON without half characters or endless numbers, nested 100 deep at most",
        );
    }
    let Members(mut members) = serde_json::from_str(schema.get()).map_err(|_| RULE)?;
    if members.is_empty() {
        return Ok(Json::EmptySchema);
    }
    let is_typed = match members.iter().find(|(name, _)| name == "type") {
        Some((_, kind)) if kind.get() == "\"object\"" => true,
        Some((_, kind)) if kind.get() == "null" => false,
        Some(_) => return Err(RULE),
        None => false,
    };
    let is_choice = members.iter().any(|(name, _)| CHOICES.contains(&name.as_ref()));
    let looks_around = schema.get().contains(AROUND);
    if is_choice && !family.either_schema || looks_around && !family.looking_around {
        let schema: Map<String, Value> = serde_json::from_str(schema.get()).map_err(|_| RULE)?;
        return Ok(of_object(&schema, family));
    }
    if is_typed && members.iter().all(|(name, _)| name != "$schema") {
        return Ok(Json::AsItCame(schema));
    }
    members.retain(|(name, _)| name != "$schema" && name != "type");
    Ok(Json::Typed(members))
}

/// The same of a schema that has been read already.
pub fn of_value<'a>(given: Option<&Value>, family: &Family) -> Result<Json<'a>, &'static str> {
    match given {
        None | Some(Value::Null) => Ok(Json::EmptySchema),
        Some(Value::Object(schema)) if schema.is_empty() => Ok(Json::EmptySchema),
        Some(Value::Object(schema)) => match schema.get("type") {
            None | Some(Value::Null) => Ok(of_object(schema, family)),
            Some(kind) if kind == "object" => Ok(of_object(schema, family)),
            Some(_) => Err(RULE),
        },
        Some(_) => Err(RULE),
    }
}

/// The schema of an object, as far as this family takes it.
pub fn of_object<'a>(schema: &Map<String, Value>, family: &Family) -> Json<'a> {
    let mut schema = schema.clone();
    schema.shift_remove("$schema");
    if schema.get("type").is_none_or(Value::is_null) {
        schema.insert("type".into(), "object".into());
    }
    if !family.either_schema {
        schema = united(schema);
    }
    let mut schema = Value::Object(schema);
    if !family.looking_around {
        look_ahead(&mut schema);
    }
    Json::Made(schema)
}

/// How a pattern looks around, and how any such thing begins.
const LOOKS: [&str; 4] = ["(?=", "(?!", "(?<=", "(?<!"];
const AROUND: &str = "(?";

/// Takes away the patterns that look around.
fn look_ahead(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let pattern = members.get("pattern").and_then(Value::as_str).unwrap_or_default();
            if LOOKS.iter().any(|look| pattern.contains(look)) {
                members.shift_remove("pattern");
            }
            members.values_mut().for_each(look_ahead);
        }
        Value::Array(items) => items.iter_mut().for_each(look_ahead),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The keywords by which a schema is a choice between several.
const CHOICES: [&str; 3] = ["anyOf", "oneOf", "allOf"];

/// The schema of one object that may be any of those that were to choose from; its description says what the choice was.
fn united(mut schema: Map<String, Value>) -> Map<String, Value> {
    for keyword in CHOICES {
        let Some(choice) = schema.shift_remove(keyword) else { continue };
        let mut properties = match schema.shift_remove("properties") {
            Some(Value::Object(properties)) => properties,
            _ => Map::new(),
        };
        for branch in choice.as_array().into_iter().flatten() {
            for (name, property) in branch["properties"].as_object().into_iter().flatten() {
                properties.entry(name.clone()).or_insert_with(|| property.clone());
            }
        }
        schema.insert("properties".into(), properties.into());
        let said = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let said = format!("{said} {keyword}: {choice}").trim().to_owned();
        schema.insert("description".into(), said.into());
    }
    schema
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
            let schema = of(Some(&raw), &Family::of("x")).unwrap();
            assert_eq!(serde_json::to_string(&schema).unwrap(), sent);
        }
    }

    #[test]
    fn a_schema_of_something_else_is_refused() {
        for given in [r#""text""#, "[]", r#"{"type":"array"}"#, r#"{"type":["object","null"]}"#] {
            let raw: Box<RawValue> = serde_json::from_str(given).unwrap();
            assert!(of(Some(&raw), &Family::of("x")).is_err(), "{given}");
        }
    }

    #[test]
    fn a_choice_becomes_one_object_where_the_family_takes_no_choice() {
        let given =
            r#"{"description":"d","anyOf":[{"properties":{"a":{}}},{"properties":{"b":{}}}]}"#;
        let raw: Box<RawValue> = serde_json::from_str(given).unwrap();
        let schema = of(Some(&raw), &Family::of("anthropic.claude-3")).unwrap();
        assert_eq!(
            serde_json::to_string(&schema).unwrap(),
            r#"{"description":"d anyOf: [{\"properties\":{\"a\":{}}},{\"properties\":{\"b\":{}}}]","type":"object","properties":{"a":{},"b":{}}}"#
        );
    }

    #[test]
    fn patterns_that_look_around_are_left_out_where_the_family_knows_none() {
        let given = r#"{"type":"object","properties":{"a":{"type":"string","pattern":"^(?!a)"},"b":{"pattern":"^b"}}}"#;
        let raw: Box<RawValue> = serde_json::from_str(given).unwrap();
        let schema = of(Some(&raw), &Family::of("amazon.nova-lite-v1:0")).unwrap();
        assert_eq!(
            serde_json::to_string(&schema).unwrap(),
            r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"pattern":"^b"}}}"#
        );
    }
}
