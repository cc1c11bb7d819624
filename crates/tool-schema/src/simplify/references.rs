//! Replaces `$ref` and `allOf` by the keywords of the schemas that they name.

use super::Simplifier;
use crate::{
    description::append_description,
    keywords::{append_new, parse_type},
    references::{last_segment, resolve_reference},
};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// The largest number of nested references.
const MAX_NESTED_REFERENCES: usize = 64;

impl Simplifier<'_> {
    /// Returns the keywords of a schema, with references and `allOf` resolved.
    ///
    /// `outer` is the number of references that lead to the subschema, `before` the number that
    /// leads to this branch of it.
    pub fn resolve_references(
        &mut self,
        schema: &Value,
        outer: usize,
        before: usize,
    ) -> Map<String, Value> {
        let Value::Object(schema) = schema else {
            let name = schema.as_str().and_then(parse_type);
            return name.map(|name| ("type".to_owned(), name.into())).into_iter().collect();
        };
        self.spend_bytes(schema.len() * 8);
        let mut keywords = schema.clone();
        if let Some(Value::String(reference)) = keywords.shift_remove("$ref") {
            self.resolve_reference(&mut keywords, reference, outer, before);
        }
        if let Some(Value::Array(branches)) = keywords.shift_remove("allOf") {
            for branch in &branches {
                let branch = self.resolve_references(branch, outer, before);
                merge_keywords(&mut keywords, branch);
            }
        }
        keywords
    }

    /// Merges the target of a reference into the keywords beside it. A reference to a schema that
    /// contains it becomes a note.
    fn resolve_reference(
        &mut self,
        keywords: &mut Map<String, Value>,
        reference: String,
        outer: usize,
        before: usize,
    ) {
        let position = self.reference_path.iter().position(|known| *known == reference);
        if position.is_some_and(|position| position >= before) {
            return;
        }
        let name = last_segment(&reference);
        let Some(target) = resolve_reference(self.root, &reference) else {
            let note = format!("A `{name}`, whose schema is not given.");
            return append_description(keywords, &note);
        };
        let is_recursive = position.is_some_and(|position| position < outer) || reference == "#";
        let is_too_deep = self.reference_path.len() >= MAX_NESTED_REFERENCES;
        if is_recursive || is_too_deep || self.remaining_bytes == 0 {
            let type_name = target["type"].as_str().unwrap_or("object").to_owned();
            keywords.entry("type").or_insert_with(|| type_name.into());
            let name = if name == "#" { "the whole" } else { name };
            return append_description(keywords, &format!("Shaped as `{name}` again, and so on."));
        }
        let target = target.clone();
        self.reference_path.push(reference);
        let target = self.resolve_references(&target, outer, before);
        merge_keywords(keywords, target);
    }
}

/// Merges the keywords of a second schema, which must match too. Where both have a keyword that
/// cannot be merged, the first one stays.
pub fn merge_keywords(keywords: &mut Map<String, Value>, more: Map<String, Value>) {
    for (keyword, value) in more {
        match (keyword.as_str(), keywords.get_mut(&keyword), value) {
            (_, None, value) => _ = keywords.insert(keyword, value),
            ("properties", Some(Value::Object(properties)), Value::Object(more)) => {
                for (name, property) in more {
                    match properties.get_mut(&name) {
                        None => _ = properties.insert(name, property),
                        Some(same) if *same == property => {}
                        Some(other) => *other = json!({"allOf": [other.take(), property]}),
                    }
                }
            }
            ("required", Some(Value::Array(names)), Value::Array(more)) => append_new(names, more),
            ("enum", Some(Value::Array(values)), Value::Array(more)) => {
                let more: HashSet<_> = more.into_iter().collect();
                let both: Vec<_> =
                    values.iter().filter(|value| more.contains(value)).cloned().collect();
                if !both.is_empty() {
                    *values = both;
                }
            }
            _ => {}
        }
    }
}
