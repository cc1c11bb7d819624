//! Accepts bodies with objects of unknown types, as in `{"type": "new_block", "data": …}`.
//!
//! An API gets new types of blocks and items while its clients are in use. Their fields may have
//! the names of known fields, and other schemas. Such a block must not end a session.

use super::{Shape, check};
use serde_json::{Map, Value};

/// The largest body that is relaxed, in bytes: it is built as a tree of values.
const MAX_BYTES: usize = 16 << 20;

/// Renames the fields that violate the schema because the type of their object is unknown: `data`
/// becomes `data_`, which nothing reads. Returns `None` if there are no such fields.
pub fn relax(json: &[u8], shape: &'static Shape) -> Option<Vec<u8>> {
    if json.len() > MAX_BYTES {
        return None;
    }
    let mut body = serde_json::from_slice(json).ok()?;
    relax_value(&mut body, shape).then(|| serde_json::to_vec(&body).ok()).flatten()
}

/// Renames the fields of a value that break its schema. Returns whether there were any.
fn relax_value(value: &mut Value, shape: &'static Shape) -> bool {
    match shape {
        Shape::AnyOf(all) => {
            let mut changed = false;
            for shape in *all {
                changed |= relax_value(value, shape);
            }
            changed
        }
        Shape::List(_, shape) => {
            let mut changed = false;
            for item in value.as_array_mut().into_iter().flatten() {
                changed |= relax_value(item, shape);
            }
            changed
        }
        Shape::Object(fields, _) => match value {
            Value::Object(object) => relax_object(object, fields),
            _ => false,
        },
        _ => false,
    }
}

fn relax_object(object: &mut Map<String, Value>, fields: &'static [super::Field]) -> bool {
    let mut changed = false;
    for (name, shape) in fields {
        if let Some(value) = object.get_mut(*name) {
            changed |= relax_value(value, shape);
        }
    }
    if !has_unknown_type(object, fields) {
        return changed;
    }
    for (name, shape) in fields {
        let violates_schema = |value: &Value| {
            !value.is_null()
                && serde_json::to_vec(value).is_ok_and(|json| check(&json, shape).is_err())
        };
        if object.get(*name).is_some_and(violates_schema)
            && let Some(value) = object.shift_remove(*name)
        {
            object.insert(format!("{name}_"), value);
            changed = true;
        }
    }
    changed
}

/// Returns whether an object has a type that its schema does not name.
fn has_unknown_type(object: &Map<String, Value>, fields: &'static [super::Field]) -> bool {
    let kinds = fields.iter().find_map(|(name, shape)| match shape {
        Shape::Kind(kinds) if *name == "type" => Some(*kinds),
        _ => None,
    });
    let kind = object.get("type").and_then(Value::as_str);
    kinds.zip(kind).is_some_and(|(kinds, kind)| !kinds.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::{super::messages::REQUEST, *};
    use serde_json::json;

    #[test]
    fn only_objects_of_unknown_types_are_relaxed() {
        let body = |block: Value| {
            let turn = json!({"role": "user", "content": [{"type": "text", "text": "hi"}, block]});
            json!({"model": "m", "max_tokens": 5, "messages": [turn]}).to_string()
        };
        let relaxed = |block: Value| {
            let relaxed = relax(body(block).as_bytes(), &REQUEST)?;
            assert_eq!(check(&relaxed, &REQUEST), Ok(()));
            let body: Value = serde_json::from_slice(&relaxed).unwrap();
            Some(body["messages"][0]["content"][1].clone())
        };
        assert_eq!(
            relaxed(json!({"type": "hologram", "data": {"a": 1}, "id": 5, "text": "t"})),
            Some(json!({"type": "hologram", "text": "t", "id_": 5, "data_": {"a": 1}}))
        );
        assert_eq!(
            relaxed(json!({"type": "hologram", "content": [{"type": "x", "data": []}]})),
            Some(json!({"type": "hologram", "content": [{"type": "x", "data_": []}]}))
        );
        assert_eq!(relaxed(json!({"type": "redacted_thinking", "data": {"a": 1}})), None);
        assert_eq!(relaxed(json!({"type": "hologram", "data": "d"})), None);
    }
}
