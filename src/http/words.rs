//! What is said by a part of a conversation whose type is not known, or is known only to another service.

use serde_json::Value;

/// The most bytes that are told of one part.
const MOST: usize = 100_000;

/// How deep a part is looked into.
const DEEPEST: usize = 6;

/// Fields that say nothing to a model.
const SILENT: [&str; 14] = [
    "type",
    "id",
    "call_id",
    "tool_use_id",
    "status",
    "role",
    "image_url",
    "encrypted_content",
    "encrypted_index",
    "file_id",
    "data",
    "signature",
    "cache_control",
    "page_age",
];

/// The words within this value, line by line; `None` if there are none. Pictures and ciphertext are left out.
pub fn words_of(value: &Value) -> Option<String> {
    let mut words = Vec::new();
    gather(value, &mut words, 0);
    words.retain(|text| !text.trim().is_empty());
    (!words.is_empty()).then(|| words.join("\n"))
}

fn gather<'a>(value: &'a Value, words: &mut Vec<&'a str>, depth: usize) {
    let told: usize = words.iter().map(|text| text.len()).sum();
    if depth > DEEPEST || told > MOST {
        return;
    }
    match value {
        Value::String(text) if !text.starts_with("data:") => words.push(text),
        Value::Array(values) => values.iter().for_each(|value| gather(value, words, depth + 1)),
        Value::Object(fields) => {
            for (_, value) in fields.iter().filter(|(name, _)| !SILENT.contains(&name.as_str())) {
                gather(value, words, depth + 1);
            }
        }
        _ => {}
    }
}
