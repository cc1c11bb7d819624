//! Summarizes a schema in a few words, for a note: `array of object with name: string`.

use super::Simplifier;
use crate::{
    composition::COMPOSITION_KEYWORDS,
    keywords::{enum_values, infer_type},
    references::resolve_reference,
};
use serde_json::{Map, Value};

/// The largest depth of the schemas that a summary describes.
const MAX_SUMMARY_DEPTH: usize = 3;

const ANY_VALUE: &str = "any value";

impl Simplifier<'_> {
    /// Summarizes a schema at this depth of the summary.
    pub fn summarize(&self, schema: &Value, depth: usize) -> String {
        match schema {
            Value::Object(keywords) => self.summarize_keywords(keywords, depth),
            // A client has written the name of a type alone.
            Value::String(name) if depth == 0 => name.clone(),
            _ => ANY_VALUE.into(),
        }
    }

    /// Summarizes the schema of these keywords.
    pub fn summarize_keywords(&self, keywords: &Map<String, Value>, depth: usize) -> String {
        if depth > MAX_SUMMARY_DEPTH {
            return ANY_VALUE.into();
        }
        let summarize_inner = |schema: &Value| self.summarize(schema, depth + 1);
        if let Some(reference) = keywords.get("$ref").and_then(Value::as_str) {
            let target = resolve_reference(self.root, reference);
            return target.map_or_else(|| ANY_VALUE.into(), summarize_inner);
        }
        if let Some(values) = enum_values(keywords) {
            return values.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ");
        }
        for keyword in COMPOSITION_KEYWORDS {
            if let Some(branches) = keywords.get(keyword).and_then(Value::as_array) {
                return branches.iter().map(summarize_inner).collect::<Vec<_>>().join(" or ");
            }
        }
        let names = match keywords.get("type") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(name)) => vec![name.as_str()],
            _ => infer_type(keywords).into_iter().collect(),
        };
        let summary = match names[..] {
            [] => ANY_VALUE.into(),
            ["array"] => match keywords.get("items") {
                Some(items) => format!("array of {}", summarize_inner(items)),
                None => "array".into(),
            },
            ["object"] => match keywords.get("properties").and_then(Value::as_object) {
                Some(properties) if !properties.is_empty() => {
                    let summarize_property = |(name, property): (&String, &Value)| {
                        format!("{name}: {}", summarize_inner(property))
                    };
                    let properties: Vec<_> = properties.iter().map(summarize_property).collect();
                    format!("object with {}", properties.join(", "))
                }
                _ => "object".into(),
            },
            _ => names.join(" or "),
        };
        match keywords.get("format").and_then(Value::as_str) {
            Some(format) => format!("{summary} ({format})"),
            None => summary,
        }
    }
}
