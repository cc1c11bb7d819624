//! Repairs the values of keywords that have no schema.

use super::repair_keywords;
use crate::{description::append_description, pattern::is_valid_pattern};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Repairs the value of a keyword that has no schema, or removes the keyword. Returns whether the
/// schema changed.
pub fn repair_value(schema: &mut Map<String, Value>, keyword: &str) -> bool {
    let Some(value) = schema.get_mut(keyword) else { return false };
    let is_valid = match keyword {
        "title" | "description" | "$comment" | "format" | "$ref" | "$schema" | "$dynamicRef"
        | "$recursiveRef" | "contentEncoding" | "contentMediaType" => value.is_string(),
        "$anchor" | "$dynamicAnchor" | "$recursiveAnchor" => {
            value.as_str().is_some_and(is_valid_anchor)
        }
        // An identifier of a schema has no fragment.
        "$id" => value.as_str().is_some_and(|id| id.find('#').is_none_or(|at| at + 1 == id.len())),
        "pattern" => match value.as_str().map(|pattern| (is_valid_pattern(pattern), pattern)) {
            Some((false, pattern)) => {
                let sentence = format!("Pattern: {pattern}.");
                append_description(schema, &sentence);
                false
            }
            valid => valid.is_some(),
        },
        "dependentRequired" => match value {
            Value::Object(names) => return retain_members(names, is_list_of_names),
            _ => false,
        },
        // Draft 7: a list of names, or a schema, by property.
        "dependencies" => match value {
            Value::Object(named) => {
                let mut changed = retain_members(named, |value| {
                    is_list_of_names(value) || value.is_object() || value.is_boolean()
                });
                for schema in named.values_mut().filter_map(Value::as_object_mut) {
                    changed |= repair_keywords(schema);
                }
                return changed;
            }
            _ => false,
        },
        "enum" => match value {
            Value::Array(values) => !values.is_empty(),
            // A name for each value.
            Value::Object(values) if !values.is_empty() => {
                *value = values.values().cloned().collect();
                return true;
            }
            _ => false,
        },
        "examples" => value.is_array(),
        "uniqueItems" | "deprecated" | "readOnly" | "writeOnly" => value.is_boolean(),
        "$vocabulary" => value.is_object(),
        _ => true,
    };
    !is_valid && schema.shift_remove(keyword).is_some()
}

/// Removes the members whose value is not valid. Returns whether there were any.
fn retain_members(members: &mut Map<String, Value>, is_valid: impl Fn(&Value) -> bool) -> bool {
    let before = members.len();
    members.retain(|_, value| is_valid(value));
    members.len() != before
}

/// Returns whether a value is a list of different texts.
pub fn is_list_of_names(value: &Value) -> bool {
    let Value::Array(names) = value else { return false };
    let mut known = HashSet::new();
    names.iter().all(|name| name.as_str().is_some_and(|name| known.insert(name)))
}

fn is_valid_anchor(name: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_inner = |c: char| is_start(c) || c.is_ascii_digit() || matches!(c, '-' | '.');
    name.starts_with(is_start) && name.chars().all(is_inner)
}
