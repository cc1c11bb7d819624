//! A value that fits a JSON schema and suits what the user said.

use serde_json::{Map, Value, json};

pub(super) fn value(schema: &Value, said: &str) -> Value {
    named("", schema, said)
}

fn named(name: &str, schema: &Value, said: &str) -> Value {
    if let Some(first) = schema["enum"].get(0).or(schema.get("const")).or(schema.get("default")) {
        return first.clone();
    }
    match kind(schema) {
        "object" => object(schema, said).into(),
        "array" => json!([named(name, &schema["items"], said)]),
        "integer" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "number" => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => text(name, said).into(),
    }
}

/// The type, or the first of several.
fn kind(schema: &Value) -> &str {
    let kind = schema["type"].get(0).unwrap_or(&schema["type"]);
    kind.as_str().unwrap_or(if schema["properties"].is_object() { "object" } else { "string" })
}

/// Its required properties, or all if none is.
fn object(schema: &Value, said: &str) -> Map<String, Value> {
    let required: Vec<_> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let wanted =
        properties.filter(|(name, _)| required.is_empty() || required.contains(&name.as_str()));
    wanted.map(|(name, property)| (name.clone(), named(name, property, said))).collect()
}

fn text(name: &str, said: &str) -> String {
    let name = name.to_lowercase();
    let about = |topics: &[&str]| topics.iter().any(|topic| name.contains(topic));
    if about(&["city", "location", "place"]) {
        return place(said).unwrap_or("Paris").to_owned();
    }
    if about(&["zone"]) {
        return "UTC".to_owned();
    }
    if about(&["unit"]) { "celsius".to_owned() } else { said.to_owned() }
}

/// The capitalised word after an “in”.
fn place(said: &str) -> Option<&str> {
    let mut words = said.split_whitespace().skip_while(|word| *word != "in").skip(1);
    let place = words.next()?.trim_matches(|letter: char| !letter.is_alphanumeric());
    place.starts_with(char::is_uppercase).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_value() {
        for (schema, wanted) in [
            (json!({ "type": "string", "enum": ["a", "b"] }), json!("a")),
            (json!({ "type": ["integer", "null"] }), json!(1)),
            (json!({ "type": "array", "items": { "type": "boolean" } }), json!([true])),
            (json!({ "properties": { "city": { "type": "string" } } }), json!({ "city": "Rome" })),
            (
                json!({ "type": "object", "properties": { "a": {}, "b": {} }, "required": ["b"] }),
                json!({ "b": "it rains in Rome?" }),
            ),
            (json!({}), json!("it rains in Rome?")),
        ] {
            assert_eq!(value(&schema, "it rains in Rome?"), wanted, "{schema}");
        }
    }
}
