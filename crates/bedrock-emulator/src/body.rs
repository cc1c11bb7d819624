//! The parts of a `Converse` body that everyone reads.

use serde_json::Value;

/// The turns of the conversation.
pub(crate) fn messages(body: &Value) -> &[Value] {
    list(&body["messages"])
}

/// The items of an array; none if it is not there.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
