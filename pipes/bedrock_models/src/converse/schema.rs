//! The schema of a tool's arguments: as it came, as far as Bedrock takes it so.

use super::body::Json;
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

/// Bedrock demands that a schema says `"type": "object"`; clients leave it out where there are no parameters. Where the schema says which
/// dialect it is in, that is left out.
pub fn of(given: Option<&RawValue>, either: bool) -> Result<Json<'_>, &'static str> {
    let Some(schema) = given else { return Ok(Json::EmptySchema) };
    if schema.get() == "null" {
        return Ok(Json::EmptySchema);
    }
    let rule = "the parameters of a tool must be a JSON Schema of the type `object`";
    let Members(mut members) = serde_json::from_str(schema.get()).map_err(|_| rule)?;
    if members.is_empty() {
        return Ok(Json::EmptySchema);
    }
    let is_typed = match members.iter().find(|(name, _)| name == "type") {
        Some((_, kind)) if kind.get() == "\"object\"" => true,
        Some((_, kind)) if kind.get() == "null" => false,
        Some(_) => return Err(rule),
        None => false,
    };
    let is_choice = members.iter().any(|(name, _)| CHOICES.contains(&name.as_ref()));
    if is_choice && !either {
        let mut members: Map<String, Value> =
            serde_json::from_str(schema.get()).map_err(|_| rule)?;
        members.shift_remove("$schema");
        members.insert("type".into(), "object".into());
        return Ok(Json::Made(united(members).into()));
    }
    if is_typed && members.iter().all(|(name, _)| name != "$schema") {
        return Ok(Json::AsItCame(schema));
    }
    members.retain(|(name, _)| name != "$schema" && name != "type");
    Ok(Json::Typed(members))
}

/// The same of a schema that has been read already. What is no schema says nothing.
pub fn of_value(given: Option<&Value>, either: bool) -> Json<'_> {
    let Some(Value::Object(schema)) = given.filter(|given| **given != Value::Object(Map::new()))
    else {
        return Json::EmptySchema;
    };
    let mut schema = schema.clone();
    schema.shift_remove("$schema");
    if schema.get("type").is_none_or(Value::is_null) {
        schema.insert("type".into(), "object".into());
    }
    Json::Made(if either { schema } else { united(schema) }.into())
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
            let schema = of(Some(&raw), true).unwrap();
            assert_eq!(serde_json::to_string(&schema).unwrap(), sent);
        }
    }

    #[test]
    fn a_schema_of_something_else_is_refused() {
        for given in [r#""text""#, "[]", r#"{"type":"array"}"#, r#"{"type":["object","null"]}"#] {
            let raw: Box<RawValue> = serde_json::from_str(given).unwrap();
            assert!(of(Some(&raw), true).is_err(), "{given}");
        }
    }

    #[test]
    fn a_choice_becomes_one_object_where_the_family_takes_no_choice() {
        let given =
            r#"{"description":"d","anyOf":[{"properties":{"a":{}}},{"properties":{"b":{}}}]}"#;
        let raw: Box<RawValue> = serde_json::from_str(given).unwrap();
        let schema = of(Some(&raw), false).unwrap();
        assert_eq!(
            serde_json::to_string(&schema).unwrap(),
            r#"{"description":"d anyOf: [{\"properties\":{\"a\":{}}},{\"properties\":{\"b\":{}}}]","type":"object","properties":{"a":{},"b":{}}}"#
        );
    }
}
