//! Finds the type and the values of a subschema.

use super::Subschema;
use crate::keywords::{enum_values, infer_type, parse_type, type_of_value};
use serde_json::Value;

/// Returns the type of a subschema, by `type` or by its other keywords. Of several types the first
/// is returned, and the others become a note.
pub fn find_type(subschema: &mut Subschema) -> Option<&'static str> {
    let names = match subschema.keywords.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let mut types: Vec<_> = names.into_iter().filter_map(parse_type).collect();
    if types.len() > 1 {
        subschema.is_nullable |= types.contains(&"null");
        types.retain(|name| *name != "null");
    }
    if let [_, others @ ..] = &types[..]
        && !others.is_empty()
    {
        subschema.notes.push(format!("Or instead: {}.", others.join(", ")));
    }
    match types.first() {
        // A parameter whose only value is null is written as a text that may be null.
        Some(&"null") => {
            subschema.is_nullable = true;
            Some("string")
        }
        Some(name) => Some(name),
        None => infer_type(&subschema.keywords),
    }
}

/// Returns the values that a subschema lists, without `null`; `None` if there is no other.
pub fn list_values(subschema: &mut Subschema) -> Option<Vec<Value>> {
    let values = enum_values(&subschema.keywords)?;
    subschema.is_nullable |= values.iter().any(Value::is_null);
    let values: Vec<_> = values.into_iter().filter(|value| !value.is_null()).collect();
    (!values.is_empty()).then_some(values)
}

/// Returns the common type of these values; a text can hold values of several types. `type_name` is
/// the type that the subschema gives.
pub fn find_type_of_values(
    values: &[Value],
    type_name: Option<&'static str>,
) -> Option<&'static str> {
    let first = values.first().map(type_of_value);
    if values.iter().all(|value| Some(type_of_value(value)) == first) {
        let is_number = first == Some("integer") && type_name == Some("number");
        return if is_number { type_name } else { first };
    }
    if values.iter().all(Value::is_number) { Some("number") } else { Some("string") }
}
