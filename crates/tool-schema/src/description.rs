//! Descriptions of schemas, which hold what no keyword expresses.

use serde_json::{Map, Value};

/// Appends a sentence to the description of a schema, unless it is there already.
pub fn append_description(schema: &mut Map<String, Value>, sentence: &str) {
    let description = schema.get("description").and_then(Value::as_str);
    let description = description.unwrap_or_default().trim();
    if !sentence.is_empty() && !description.contains(sentence) {
        let description = match description {
            "" => sentence.to_owned(),
            description => format!("{description} {sentence}"),
        };
        schema.insert("description".into(), description.into());
    }
}

/// Moves these keywords of a schema into its description. Returns whether there were any.
pub fn move_to_description(schema: &mut Map<String, Value>, keywords: &[&str]) -> bool {
    let mut changed = false;
    for keyword in keywords {
        if let Some(value) = schema.shift_remove(*keyword) {
            append_description(schema, &format!("{keyword}: {value}"));
            changed = true;
        }
    }
    changed
}
