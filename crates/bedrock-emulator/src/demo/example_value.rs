//! Generates values that match a JSON schema and use words of the user's message.

use serde_json::{Map, Value, json};

/// Returns an example value that a schema allows, made of words of the message.
pub(super) fn generate(schema: &Value, message: &str) -> Value {
    generate_named("", schema, message)
}

fn generate_named(name: &str, schema: &Value, message: &str) -> Value {
    if let Some(first) = schema["enum"].get(0).or(schema.get("const")).or(schema.get("default")) {
        return first.clone();
    }
    match schema_type(schema) {
        "object" => generate_object(schema, message).into(),
        "array" => json!([generate_named(name, &schema["items"], message)]),
        "integer" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "number" => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => generate_text(name, message).into(),
    }
}

/// Returns the type of a schema, or the first of several.
fn schema_type(schema: &Value) -> &str {
    let kind = schema["type"].get(0).unwrap_or(&schema["type"]);
    kind.as_str().unwrap_or(if schema["properties"].is_object() { "object" } else { "string" })
}

/// Returns the required properties, or all if none is required.
fn generate_object(schema: &Value, message: &str) -> Map<String, Value> {
    let required: Vec<_> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let wanted =
        properties.filter(|(name, _)| required.is_empty() || required.contains(&name.as_str()));
    wanted.map(|(name, property)| (name.clone(), generate_named(name, property, message))).collect()
}

fn generate_text(name: &str, message: &str) -> String {
    let name = name.to_lowercase();
    let about = |topics: &[&str]| topics.iter().any(|topic| name.contains(topic));
    if about(&["city", "location", "place"]) {
        return find_place(message).unwrap_or("Paris").to_owned();
    }
    if about(&["zone"]) {
        return "UTC".to_owned();
    }
    if about(&["unit"]) { "celsius".to_owned() } else { message.to_owned() }
}

/// Returns the capitalised word after “in”.
fn find_place(message: &str) -> Option<&str> {
    let mut words = message.split_whitespace().skip_while(|word| *word != "in").skip(1);
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
            assert_eq!(generate(&schema, "it rains in Rome?"), wanted, "{schema}");
        }
    }
}
