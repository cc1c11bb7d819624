//! Composition of schemas by `anyOf`, `oneOf` and `allOf`.

use crate::{
    keywords::{append_new, enum_values, type_of_value},
    references::{remove_dangling_references, resolve_reference},
};
use serde_json::{Map, Value, json};

/// The keywords that compose a schema of several.
pub const COMPOSITION_KEYWORDS: [&str; 3] = ["anyOf", "oneOf", "allOf"];

/// Merges the branches of [`COMPOSITION_KEYWORDS`] into one object schema, whose description has
/// the branches as JSON.
pub fn merge_composition(mut schema: Map<String, Value>) -> Map<String, Value> {
    let root = Value::Object(schema.clone());
    for keyword in COMPOSITION_KEYWORDS {
        let Some(branches) = schema.shift_remove(keyword) else { continue };
        let mut properties = match schema.shift_remove("properties") {
            Some(Value::Object(properties)) => properties,
            _ => Map::new(),
        };
        let mut required = match schema.get("required") {
            Some(Value::Array(names)) => names.clone(),
            _ => Vec::new(),
        };
        for branch in branches.as_array().into_iter().flatten() {
            let reference = branch["$ref"].as_str();
            let target = reference.and_then(|reference| resolve_reference(&root, reference));
            let branch = target.unwrap_or(branch);
            for (name, property) in branch["properties"].as_object().into_iter().flatten() {
                match properties.get_mut(name) {
                    None => _ = properties.insert(name.clone(), property.clone()),
                    Some(known) => allow_alternative(known, property),
                }
            }
            // A property that one branch of `anyOf` requires may be absent in another branch.
            if keyword == "allOf" {
                let names = branch["required"].as_array().into_iter().flatten();
                append_new(&mut required, names.cloned());
            }
        }
        schema.insert("properties".into(), properties.into());
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let description = format!("{description} {keyword}: {branches}").trim().to_owned();
        schema.insert("description".into(), description.into());
    }
    // References into the branches have lost their targets.
    remove_dangling_references(&mut schema);
    schema
}

/// Lets a property match another schema too. Values that tell branches apart become one `enum`.
fn allow_alternative(property: &mut Value, other: &Value) {
    if property == other {
        return;
    }
    let values = |schema: &Value| schema.as_object().and_then(enum_values);
    if let (Some(mut values), Some(more)) = (values(property), values(other)) {
        append_new(&mut values, more);
        let mut merged = Map::new();
        let first = values.first().map(type_of_value);
        let types = values.iter().map(type_of_value);
        if let Some(name) = first.filter(|first| types.into_iter().all(|name| name == *first)) {
            merged.insert("type".into(), name.into());
        }
        merged.insert("enum".into(), values.into());
        *property = merged.into();
        return;
    }
    match property.get_mut("anyOf").and_then(Value::as_array_mut) {
        Some(branches) if branches.contains(other) => {}
        Some(branches) => branches.push(other.clone()),
        None => *property = json!({"anyOf": [property.take(), other]}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_into_merged_branches_are_removed() {
        let schema = json!({"anyOf": [
            {"properties": {"a": {"type": "object", "properties": {}}}},
            {"properties": {"b": {"$ref": "#/anyOf/0/properties/a"}}},
        ]});
        let Value::Object(schema) = schema else { panic!("an object") };
        let merged = merge_composition(schema);
        assert!(merged["properties"]["b"].get("$ref").is_none(), "{merged:?}");
        assert!(merged["properties"]["b"]["description"].is_string());
    }
}
