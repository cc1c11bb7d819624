//! The model list in the shape of Anthropic's API, in pages.

use pipe_sdk::{PipeError, Result};
use serde_json::{Value, json};

/// Returns the page of these entries that this query asks for; all of them, without parameters.
pub fn list_page(entries: &[Value], query: &str) -> Result<Value> {
    let query: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let parameter = |name: &str| {
        query.iter().find(|(field, _)| field == name).map(|(_, parameter)| &**parameter)
    };
    let limit = match parameter("limit") {
        None => usize::MAX,
        Some(limit) => {
            limit.parse().ok().filter(|limit| (1..=1000).contains(limit)).ok_or_else(|| {
                PipeError::bad_field("limit", "limit: must be a whole number from 1 to 1000")
            })?
        }
    };
    let place = |name: &'static str| -> Result<Option<usize>> {
        let Some(id) = parameter(name) else { return Ok(None) };
        let unknown = || PipeError::bad_field(name, format!("{name}: there is no such model"));
        entries.iter().position(|entry| entry["id"] == id).map(Some).ok_or_else(unknown)
    };
    let start = place("after_id")?.map_or(0, |place| place + 1);
    let end = place("before_id")?.unwrap_or(entries.len());
    let within = entries.get(start..end).unwrap_or_default();
    let data: Vec<_> = within.iter().take(limit).map(model_object).collect();
    let id = |model: Option<&Value>| model.map(|model| model["id"].clone());
    Ok(json!({
        "first_id": id(data.first()), "last_id": id(data.last()), "has_more": data.len() < within.len(), "data": data,
    }))
}

/// The release date of a model whose age is unknown, by Anthropic's own rule.
const UNKNOWN_DATE: &str = "1970-01-01T00:00:00Z";

/// Returns one model, from its entry in the list.
pub fn model_object(entry: &Value) -> Value {
    json!({
        "type": "model",
        "id": entry["id"],
        "display_name": entry["name"],
        "created_at": UNKNOWN_DATE,
        "lifecycle": "active",
        "max_input_tokens": entry["context_length"],
        "max_tokens": entry["max_output_tokens"],
    })
}
