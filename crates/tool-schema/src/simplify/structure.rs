//! Writes the keywords of a simplified subschema: its type, its values, what it contains, its
//! limits.

use super::{
    KeywordSet, MAX_DEPTH, MAX_NOTE_CHARS, Simplifier, Subschema, find_type, find_type_of_values,
    list_values, note_keyword, truncate,
};
use crate::{keywords::append_new, pattern::has_lookaround};
use serde_json::{Map, Value, json};

/// The keywords that are kept in [`KeywordSet::Extended`], and their labels in a note.
const LIMITS: [(&str, &str); 12] = [
    ("format", "Format"),
    ("pattern", "Pattern"),
    ("minLength", "Fewest characters"),
    ("maxLength", "Most characters"),
    ("minimum", "At least"),
    ("maximum", "At most"),
    ("exclusiveMinimum", "More than"),
    ("exclusiveMaximum", "Less than"),
    ("multipleOf", "A multiple of"),
    ("minItems", "Fewest items"),
    ("maxItems", "Most items"),
    ("default", "Default"),
];

/// The keywords about objects that are never kept, and their labels in a note.
const UNSUPPORTED_OBJECT_KEYWORDS: [(&str, &str); 11] = [
    ("patternProperties", "Keys by pattern"),
    ("propertyNames", "Names of keys"),
    ("minProperties", "Fewest keys"),
    ("maxProperties", "Most keys"),
    ("dependentRequired", "Keys that need others"),
    ("dependentSchemas", "Keys that need others"),
    ("dependencies", "Keys that need others"),
    ("if", "If"),
    ("then", "Then"),
    ("else", "Else"),
    ("not", "Not"),
];

impl Simplifier<'_> {
    /// Returns the type of a subschema, its values, and what it contains.
    pub fn write_structure(&mut self, subschema: &mut Subschema) -> Map<String, Value> {
        let type_name = find_type(subschema);
        let values = list_values(subschema);
        let type_name =
            values.as_deref().map_or(type_name, |values| find_type_of_values(values, type_name));
        let mut simplified = Map::new();
        if let Some(name) = type_name {
            simplified.insert("type".into(), name.into());
        }
        if let Some(values) = values {
            write_enum(values, &mut simplified, &mut subschema.notes);
        }
        let is_last = subschema.depth >= MAX_DEPTH || self.remaining_bytes == 0;
        match type_name {
            Some("object") if is_last => {
                let note = format!("Inside: {}.", write_json(&subschema.keywords));
                subschema.notes.push(note);
            }
            Some("object") => self.write_object(subschema, &mut simplified),
            Some("array") if is_last => {
                simplified.insert("items".into(), json!({"type": "string"}));
                subschema.notes.push(format!("Items: {}.", write_json(&subschema.keywords)));
            }
            Some("array") => self.write_array(subschema, &mut simplified),
            Some(_) => {}
            None if !subschema.alternatives.is_empty() => {
                let depth = subschema.depth + 1;
                let branches = subschema.alternatives.iter();
                let branches = branches.map(|branch| self.simplify_subschema(branch, depth, false));
                simplified.insert("anyOf".into(), branches.map(Value::from).collect());
            }
            None if self.allowed == KeywordSet::Minimal => {
                simplified.insert("type".into(), "string".into());
                subschema.notes.push("Any JSON value.".into());
            }
            None => {}
        }
        simplified
    }

    fn write_object(&mut self, subschema: &mut Subschema, simplified: &mut Map<String, Value>) {
        let Subschema { keywords, depth, is_root, notes, .. } = subschema;
        let mut properties = Map::new();
        let given = keywords.get("properties").and_then(Value::as_object);
        for (name, property) in given.into_iter().flatten() {
            // No value of such a property is valid.
            if *property == false {
                continue;
            }
            self.spend_bytes(name.len());
            let property = self.simplify_subschema(property, *depth + 1, false);
            properties.insert(name.clone(), property.into());
        }
        let is_known =
            |name: &&Value| name.as_str().is_some_and(|name| properties.contains_key(name));
        let names = keywords.get("required").and_then(Value::as_array).into_iter().flatten();
        let mut required = Vec::new();
        append_new(&mut required, names.filter(is_known).cloned());
        if *is_root || !properties.is_empty() || given.is_some() {
            simplified.insert("properties".into(), properties.into());
        }
        if !required.is_empty() {
            simplified.insert("required".into(), required.into());
        }
        match keywords.get("additionalProperties") {
            Some(Value::Object(schema)) if !schema.is_empty() => {
                let summary = self.summarize_keywords(schema, 0);
                let note = format!("Further keys are free; each value: {summary}.");
                notes.push(truncate(&note, MAX_NOTE_CHARS));
            }
            Some(Value::Bool(false)) if *is_root => notes.push("No other parameters.".into()),
            _ => {}
        }
        for (keyword, label) in UNSUPPORTED_OBJECT_KEYWORDS {
            note_keyword(keywords, keyword, label, notes);
        }
    }

    fn write_array(&mut self, subschema: &mut Subschema, simplified: &mut Map<String, Value>) {
        let Subschema { keywords, depth, notes, .. } = subschema;
        let tuple = keywords.get("prefixItems").or_else(|| keywords.get("items"));
        let items = match tuple.and_then(Value::as_array) {
            Some(tuple) => {
                let summaries: Vec<_> = tuple.iter().map(|item| self.summarize(item, 0)).collect();
                let note = format!("In this order: {}.", summaries.join(", "));
                notes.push(truncate(&note, MAX_NOTE_CHARS));
                let mut branches = Vec::new();
                append_new(&mut branches, tuple.iter().cloned());
                json!({"anyOf": branches})
            }
            None => keywords.get("items").cloned().unwrap_or_else(|| json!({})),
        };
        let items = match &items {
            Value::Object(_) | Value::Bool(_) | Value::String(_) => {
                self.simplify_subschema(&items, *depth + 1, false)
            }
            _ => Map::from_iter([("type".into(), "string".into())]),
        };
        simplified.insert("items".into(), items.into());
        if keywords.get("uniqueItems").is_some_and(|unique| *unique == true) {
            notes.push("No item twice.".into());
        }
        note_keyword(keywords, "contains", "Contains", notes);
    }

    /// Writes limits as keywords where they are allowed, else as notes, and notes about examples.
    pub fn write_limits(&self, subschema: &mut Subschema, simplified: &mut Map<String, Value>) {
        let Subschema { keywords, notes, .. } = subschema;
        for (keyword, label) in LIMITS {
            let Some(value) = keywords.get(keyword).filter(|value| !value.is_null()) else {
                continue;
            };
            let is_unsupported = keyword == "pattern" && value.as_str().is_some_and(has_lookaround);
            let is_allowed = self.allowed == KeywordSet::Extended && !is_unsupported;
            if is_allowed && simplified.contains_key("type") {
                simplified.insert(keyword.into(), value.clone());
            } else {
                note_keyword(keywords, keyword, label, notes);
            }
        }
        let examples = keywords.get("examples").or_else(|| keywords.get("example"));
        if let Some(Value::Array(examples)) = examples {
            let examples: Vec<_> = examples.iter().take(3).map(Value::to_string).collect();
            if !examples.is_empty() {
                let note = format!("For example: {}.", examples.join(", "));
                notes.push(truncate(&note, MAX_NOTE_CHARS));
            }
        }
        note_keyword(keywords, "contentEncoding", "Encoding", notes);
        if !simplified.get("type").is_some_and(|name| name == "object") {
            note_keyword(keywords, "not", "Not", notes);
        }
    }
}

/// Writes the values of a subschema: texts as `enum`, others as a note.
fn write_enum(values: Vec<Value>, simplified: &mut Map<String, Value>, notes: &mut Vec<String>) {
    if values.iter().all(Value::is_string) {
        simplified.insert("enum".into(), values.into());
        return;
    }
    let values: Vec<_> = values.iter().map(Value::to_string).collect();
    let note = match &values[..] {
        [only] => format!("Always: {only}."),
        values => format!("One of: {}.", values.join(", ")),
    };
    notes.push(truncate(&note, 4 * MAX_NOTE_CHARS));
}

/// Returns the beginning of a schema as JSON.
fn write_json(keywords: &Map<String, Value>) -> String {
    truncate(&Value::Object(keywords.clone()).to_string(), MAX_NOTE_CHARS)
}
