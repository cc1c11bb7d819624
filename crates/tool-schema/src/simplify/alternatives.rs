//! Merges the branches of `anyOf` and `oneOf`.

use super::{
    KeywordSet, MAX_NOTE_CHARS, Simplifier, Subschema, references::merge_keywords, truncate,
};
use crate::keywords::{append_new, enum_values, infer_type, parse_type};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

impl Simplifier<'_> {
    /// Merges the branches of a choice into a subschema, as far as its keywords can express it.
    /// `outer` is the number of references that lead to the subschema.
    pub fn merge_alternatives(
        &mut self,
        subschema: &mut Subschema,
        outer: usize,
        branches: &[Value],
    ) {
        let mut branches = self.resolve_branches(branches, outer);
        let branch_count = branches.len();
        branches.retain(|branch| !is_null(branch));
        subschema.is_nullable |= branches.len() < branch_count;
        branches.dedup();
        if branches.len() <= 1 {
            let only = branches.into_iter().next().unwrap_or_default();
            return merge_keywords(&mut subschema.keywords, only);
        }
        let lists: Option<Vec<Vec<Value>>> = branches.iter().map(enum_values).collect();
        if let Some(lists) = lists {
            let mut values = Vec::new();
            append_new(&mut values, lists.into_iter().flatten());
            let described: Vec<_> = branches.iter().filter_map(describe_value).collect();
            if !described.is_empty() {
                let note = format!("{}.", described.join("; "));
                subschema.notes.push(truncate(&note, MAX_NOTE_CHARS));
            }
            subschema.keywords.insert("enum".into(), values.into());
            return;
        }
        if are_objects(&branches, subschema) {
            let note = format!("One of these: {}.", list_properties(&branches));
            subschema.notes.push(truncate(&note, 2 * MAX_NOTE_CHARS));
            return unite_objects(&mut subschema.keywords, branches);
        }
        if self.allowed == KeywordSet::Extended && !subschema.keywords.contains_key("type") {
            subschema.alternatives = branches.into_iter().map(Value::from).collect();
            return;
        }
        let mut branches = branches.into_iter();
        let first = branches.next().unwrap_or_default();
        let others: Vec<_> = branches.map(|branch| self.summarize_keywords(&branch, 0)).collect();
        let note = format!("Or instead: {}.", others.join("; "));
        subschema.notes.push(truncate(&note, MAX_NOTE_CHARS));
        merge_keywords(&mut subschema.keywords, first);
    }

    /// Returns the branches with references resolved. A choice within a choice is one choice.
    fn resolve_branches(&mut self, branches: &[Value], outer: usize) -> Vec<Map<String, Value>> {
        let mut resolved = Vec::new();
        for branch in branches {
            let before = self.reference_path.len();
            let mut branch = self.resolve_references(branch, outer, before);
            let inner =
                ["anyOf", "oneOf"].into_iter().find_map(|keyword| branch.shift_remove(keyword));
            match inner {
                Some(Value::Array(inner)) if branch.keys().all(|key| is_annotation(key)) => {
                    for branch in &inner {
                        let before = self.reference_path.len();
                        resolved.push(self.resolve_references(branch, outer, before));
                    }
                }
                _ => resolved.push(branch),
            }
        }
        resolved
    }
}

/// Returns whether a keyword is an annotation, which changes nothing of what is valid.
fn is_annotation(keyword: &str) -> bool {
    matches!(keyword, "title" | "description" | "default" | "discriminator" | "$comment")
}

/// Returns whether a schema matches `null` alone.
fn is_null(schema: &Map<String, Value>) -> bool {
    schema.get("type").is_some_and(|name| name == "null")
        || schema.get("const").is_some_and(Value::is_null)
}

/// Returns whether all branches of a subschema are objects. A root is always one, and a branch may
/// have no more than the names of the properties that it requires.
fn are_objects(branches: &[Map<String, Value>], subschema: &Subschema) -> bool {
    let is_object = |branch: &Map<String, Value>| {
        let name = branch.get("type").and_then(Value::as_str).and_then(parse_type);
        name.or_else(|| infer_type(branch)) == Some("object")
    };
    branches.iter().all(is_object)
        || subschema.is_root
        || subschema.keywords.contains_key("properties")
            && branches.iter().all(|branch| !branch.contains_key("type"))
}

/// Returns the only value of a schema, with its description.
fn describe_value(schema: &Map<String, Value>) -> Option<String> {
    let description =
        ["description", "title"].into_iter().find_map(|name| schema.get(name)?.as_str())?;
    let [value] = &enum_values(schema)?[..] else { return None };
    Some(format!("{value}: {description}"))
}

/// Merges object schemas, of which any may match, into one schema.
fn unite_objects(keywords: &mut Map<String, Value>, branches: Vec<Map<String, Value>>) {
    let mut properties = match keywords.shift_remove("properties") {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    let required_names = |branch: &Map<String, Value>| match branch.get("required") {
        Some(Value::Array(names)) => names.clone(),
        _ => Vec::new(),
    };
    let mut common = branches.first().map(required_names).unwrap_or_default();
    for branch in branches {
        let required: HashSet<_> = required_names(&branch).into_iter().collect();
        common.retain(|name| required.contains(name));
        let Some(Value::Object(more)) = branch.get("properties").cloned() else { continue };
        for (name, property) in more {
            match properties.get_mut(&name) {
                None => _ = properties.insert(name, property),
                Some(known) if *known == property => {}
                Some(known) => match known.get_mut("anyOf").and_then(Value::as_array_mut) {
                    Some(branches) => branches.push(property),
                    None => *known = json!({"anyOf": [known.take(), property]}),
                },
            }
        }
    }
    keywords.insert("type".into(), "object".into());
    keywords.insert("properties".into(), properties.into());
    let required = keywords.entry("required").or_insert_with(|| json!([]));
    if let Value::Array(required) = required {
        append_new(required, common);
    }
}

/// Returns the names of each branch's properties, with the values that tell the branches apart:
/// `(kind = "circle", radius) or (kind = "square", side)`.
fn list_properties(branches: &[Map<String, Value>]) -> String {
    let list = |branch: &Map<String, Value>| {
        let properties = branch.get("properties").and_then(Value::as_object);
        let with_value = |(name, property): (&String, &Value)| match &property["const"] {
            Value::Null => match property["enum"].as_array().map(Vec::as_slice) {
                Some([only]) => format!("{name} = {only}"),
                _ => name.clone(),
            },
            value => format!("{name} = {value}"),
        };
        let mut names: Vec<String> = properties.into_iter().flatten().map(with_value).collect();
        if names.is_empty() {
            let required = branch.get("required").and_then(Value::as_array).into_iter().flatten();
            names = required.filter_map(Value::as_str).map(String::from).collect();
        }
        if names.is_empty() { "anything".into() } else { format!("({})", names.join(", ")) }
    };
    branches.iter().map(list).collect::<Vec<_>>().join(" or ")
}
