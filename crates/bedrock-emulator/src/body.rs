//! Accessors for parts of a `Converse` body.

use serde_json::Value;

/// Returns the messages of the conversation.
pub(crate) fn messages(body: &Value) -> &[Value] {
    list(&body["messages"])
}

/// Returns the items of an array, or none if the value is not an array.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
