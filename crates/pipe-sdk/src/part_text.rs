//! The text of content parts whose type is unknown, or known only to another service.

use serde_json::Value;

/// The largest size of the text of one part, in bytes.
const MAX_BYTES: usize = 100_000;

/// The depth to which a part is searched.
const MAX_DEPTH: usize = 6;

/// Fields that hold no text for a model.
const IGNORED_FIELDS: [&str; 13] = [
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
    "signature",
    "cache_control",
    "page_age",
];

/// Returns the texts within this value, line by line; `None` if there are none. Images and
/// ciphertext are left out.
pub fn text_of_part(value: &Value) -> Option<String> {
    let mut words = Vec::new();
    collect_text(value, &mut words, 0);
    words.retain(|text| !text.trim().is_empty());
    (!words.is_empty()).then(|| words.join("\n"))
}

fn collect_text<'a>(value: &'a Value, words: &mut Vec<&'a str>, depth: usize) {
    let length: usize = words.iter().map(|text| text.len()).sum();
    if depth > MAX_DEPTH || length > MAX_BYTES {
        return;
    }
    match value {
        Value::String(text) if !text.starts_with("data:") => words.push(text),
        Value::Array(values) => {
            values.iter().for_each(|value| collect_text(value, words, depth + 1));
        }
        Value::Object(fields) => {
            // A text in that place is ciphertext or base64, unless the source is plain text.
            let is_plain_text = fields.get("type").is_some_and(|kind| kind == "text");
            let is_told = |name: &str, value: &Value| {
                let is_data = name == "data" && value.is_string();
                !IGNORED_FIELDS.contains(&name) && (!is_data || is_plain_text)
            };
            for (_, value) in fields.iter().filter(|(name, value)| is_told(name, value)) {
                collect_text(value, words, depth + 1);
            }
        }
        _ => {}
    }
}
