//! References between the schemas of one document: the keyword `$ref`.

use crate::{
    description::append_description,
    subschemas::{for_each_schema, for_each_schema_mut},
};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Returns the target of this `$ref`, if it is a schema of this document.
pub fn resolve_reference<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let fragment = percent_decode(reference.strip_prefix('#')?);
    if fragment.is_empty() || fragment.starts_with('/') {
        return root.pointer(&fragment);
    }
    let has_anchor =
        |schema: &&Value| schema["$anchor"] == fragment.as_str() || schema["$id"] == reference;
    let definitions = ["$defs", "definitions"];
    let definitions = definitions.into_iter().filter_map(|keyword| root[keyword].as_object());
    definitions.flat_map(Map::values).find(has_anchor)
}

/// Returns the last segment of a reference: `Address` of `#/$defs/Address`.
pub fn last_segment(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// Replaces references without a target by a sentence of the description. Returns whether there
/// were any.
pub fn remove_dangling_references(schema: &mut Map<String, Value>) -> bool {
    let dangling = find_dangling_references(schema);
    if dangling.is_empty() {
        return false;
    }
    for_each_schema_mut(schema, &mut |schema| {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let Some(reference) = reference.and_then(|own| dangling.get(own)) else { return };
        schema.shift_remove("$ref");
        let name = last_segment(reference);
        append_description(schema, &format!("A `{name}`, whose schema is not given."));
    });
    true
}

/// Returns the references of this document that have no target.
fn find_dangling_references(schema: &Map<String, Value>) -> HashSet<String> {
    let mut references = HashSet::new();
    for_each_schema(schema, &mut |schema| {
        if let Some(Value::String(reference)) = schema.get("$ref") {
            references.insert(reference.clone());
        }
    });
    if references.is_empty() {
        return references;
    }
    let root = Value::Object(schema.clone());
    references.retain(|reference| resolve_reference(&root, reference).is_none());
    references
}

/// Replaces each reference by the one that this function returns for it: its target has moved.
pub fn move_references(schema: &mut Map<String, Value>, moved: &dyn Fn(&str) -> Option<String>) {
    for_each_schema_mut(schema, &mut |schema| {
        let Some(Value::String(reference)) = schema.get_mut("$ref") else { return };
        if let Some(moved) = moved(reference) {
            *reference = moved;
        }
    });
}

/// Returns a pointer to the same place below another one; `None` if it does not point below the
/// first.
pub fn move_pointer(pointer: &str, from: &str, to: &str) -> Option<String> {
    let rest = pointer.strip_prefix(from)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| format!("{to}{rest}"))
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
