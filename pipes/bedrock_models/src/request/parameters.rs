//! Adapts the schema of a tool's arguments to the model's family: unchanged if the family takes it,
//! else as close as possible.

use super::{
    body::Json,
    json_validity::{MAX_DEPTH, is_valid_json},
};
use crate::family::{Family, ToolSchema};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};
use std::{borrow::Cow, fmt};
use tool_schema::{
    ArgumentShape, COMPOSITION_KEYWORDS, KeywordSet, SimplifiedSchema, allows_object,
    limit_nesting, merge_composition, repair_schema, simplify_schema,
};

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

/// The rule for parameters that are no object.
const RULE: &str = "the parameters of a tool must be a JSON Schema of the type `object`";
/// The rule for parameters that the service cannot parse.
const JSON_RULE: &str =
    "the parameters of a tool must be JSON without half characters or endless numbers";

/// The adapted schema of a tool's arguments, with a note in words.
#[derive(Debug)]
pub struct Parameters<'a> {
    /// The schema.
    pub json: Json<'a>,
    /// A note for the tool's description. Mostly empty.
    pub note: String,
    /// The differences between the arguments and those that the client knows.
    pub shape: ArgumentShape,
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
    if let Cow::Owned(limited) = limit_nesting(schema.get(), MAX_DEPTH) {
        let read: Value = serde_json::from_str(&limited).map_err(|_| JSON_RULE)?;
        return from_value(Some(&read), family);
    }
    if !is_valid_json(schema.get()) {
        return Err(JSON_RULE);
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

/// Returns parameters without a note, whose arguments are sent as they are.
fn without_note(json: Json<'_>) -> Parameters<'_> {
    Parameters { json, note: String::new(), shape: ArgumentShape::default() }
}

/// The result of adapting a schema.
enum Adapted<'a> {
    /// The schema is empty.
    Empty,
    /// The schema is unchanged, but for its `type` and its `$schema`.
    Unchanged,
    /// The schema was rewritten.
    Rewritten(Parameters<'a>),
}

/// Adapts the schema of a tool to what a model family accepts.
fn adapt<'a>(given: &Value, family: &Family) -> Result<Adapted<'a>, &'static str> {
    let mut schema = match given {
        Value::Object(schema) => Cow::Borrowed(schema),
        // As JSON Schema writes "anything".
        Value::Bool(true) => return Ok(Adapted::Empty),
        // As PHP writes an object without members.
        Value::Array(members) if members.is_empty() => return Ok(Adapted::Empty),
        _ => return Err(RULE),
    };
    if schema.is_empty() {
        return Ok(Adapted::Empty);
    }
    let mut shape = ArgumentShape::default();
    if !allows_object(&schema) {
        shape.wrap(schema.to_mut());
    }
    let mut parameters = rewrite(&schema, family);
    let has_unaccepted_names =
        !family.any_property_names && ArgumentShape::has_unaccepted_names(&schema);
    if parameters.is_none() && (has_unaccepted_names || !shape.is_unchanged()) {
        parameters = Some(without_note(Json::Value(with_type(schema.into_owned()))));
    }
    let Some(mut parameters) = parameters else { return Ok(Adapted::Unchanged) };
    if !family.any_property_names
        && let Json::Value(Value::Object(schema)) = &mut parameters.json
    {
        shape.rename_properties(schema);
    }
    Ok(Adapted::Rewritten(Parameters { shape, ..parameters }))
}

/// Returns the rewritten schema, if this family does not take it unchanged.
fn rewrite<'a>(schema: &Map<String, Value>, family: &Family) -> Option<Parameters<'a>> {
    let allowed = match family.tool_schema {
        ToolSchema::Any => None,
        ToolSchema::SimpleRoot => Some(KeywordSet::Extended),
        ToolSchema::Simple => Some(KeywordSet::Minimal),
    };
    let mut repaired = schema.clone();
    let is_object = |kind: &Value| kind.is_null() || kind == "object";
    let mut changed = schema.get("type").is_some_and(|kind| !is_object(kind));
    repaired.shift_remove("type");
    changed |= repair_schema(&mut repaired);
    if let Some(allowed) = allowed {
        let SimplifiedSchema { schema, note } = simplify_schema(&repaired, allowed);
        let shape = ArgumentShape::default();
        return Some(Parameters { json: Json::Value(schema), note, shape });
    }
    let is_choice = COMPOSITION_KEYWORDS.iter().any(|keyword| repaired.contains_key(*keyword));
    if is_choice && !family.schema_unions {
        if !schema.contains_key("type") {
            repaired.insert("type".into(), "object".into());
        }
        repaired = merge_composition(repaired);
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
            let schema = from_raw(Some(&raw), &Family::from_model_id("x")).unwrap();
            assert_eq!(serde_json::to_string(&schema.json).unwrap(), sent);
        }
    }

    #[test]
    fn what_is_no_schema_is_refused_and_a_schema_of_something_else_wrapped() {
        for given in [r#""text""#, "[1]", "7"] {
            let raw: Box<RawValue> = serde_json::from_str(given).unwrap();
            assert!(from_raw(Some(&raw), &Family::from_model_id("x")).is_err(), "{given}");
        }
        for given in [r#"{"type":"array"}"#, r#"{"type":["string","null"]}"#] {
            let raw: Box<RawValue> = serde_json::from_str(given).unwrap();
            let Parameters { json, shape, .. } =
                from_raw(Some(&raw), &Family::from_model_id("x")).unwrap();
            let sent = serde_json::to_value(&json).unwrap();
            assert_eq!(sent["properties"]["value"], serde_json::from_str::<Value>(given).unwrap());
            assert_eq!(shape.to_client(r#"{"value":[1]}"#), "[1]");
        }
    }

    #[test]
    fn a_schema_is_cut_where_it_is_nested_too_deep() {
        let deep = r#"{"type":"object","properties":{"a":"#.repeat(90) + "{}" + &"}}".repeat(90);
        let raw: Box<RawValue> = serde_json::from_str(&deep).unwrap();
        let schema = from_raw(Some(&raw), &Family::from_model_id("x")).unwrap();
        assert!(serde_json::to_string(&schema.json).unwrap().len() < deep.len());
    }

    #[test]
    fn a_choice_becomes_one_object_where_the_family_takes_no_choice() {
        let given =
            r#"{"description":"d","anyOf":[{"properties":{"a":{}}},{"properties":{"b":{}}}]}"#;
        let raw: Box<RawValue> = serde_json::from_str(given).unwrap();
        let schema = from_raw(Some(&raw), &Family::from_model_id("anthropic.claude-3")).unwrap();
        assert_eq!(
            serde_json::to_string(&schema.json).unwrap(),
            r#"{"description":"d anyOf: [{\"properties\":{\"a\":{}}},{\"properties\":{\"b\":{}}}]","type":"object","properties":{"a":{},"b":{}}}"#
        );
    }

    #[test]
    fn constraints_that_a_family_does_not_accept_become_words() {
        let given = r#"{"type":"object","properties":{"a":{"type":"string","pattern":"^(?!a)"},"b":{"pattern":"^b"}}}"#;
        let raw: Box<RawValue> = serde_json::from_str(given).unwrap();
        let schema = from_raw(Some(&raw), &Family::from_model_id("amazon.nova-lite-v1:0")).unwrap();
        assert_eq!(
            serde_json::to_string(&schema.json).unwrap(),
            r#"{"type":"object","properties":{"a":{"type":"string","description":"Pattern: ^(?!a)."},"b":{"type":"string","description":"Pattern: ^b."}}}"#
        );
    }
}
