//! Rewrites a schema in the few keywords that a model family accepts. Every other keyword becomes a
//! sentence of a description.
//!
//! Nova refuses a tool whose schema has more than `type`, `properties` and `required` at its root
//! (<https://docs.aws.amazon.com/nova/latest/userguide/tool-use-definition.html>), which is every
//! schema that Pydantic and Zod write. A `$ref` is replaced by the schema that it refers to, and
//! the branches of a choice are merged into one schema.

mod alternatives;
mod references;
mod structure;
mod summary;
mod types;

use crate::description::append_description;
use serde_json::{Map, Value, json};
use types::{find_type, find_type_of_values, list_values};

/// The keywords that a simplified schema may have below its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeywordSet {
    /// `type`, `description`, `enum` of texts, `properties`, `required` and `items`.
    Minimal,
    /// The minimal keywords, limits, `format`, `default` and `anyOf`.
    Extended,
}

/// A schema of few keywords.
#[derive(Debug)]
pub struct SimplifiedSchema {
    /// The schema. Its root has `type`, `properties` and `required` alone.
    pub schema: Value,
    /// Notes about the root, for the description of the tool.
    pub note: String,
}

/// The largest depth of nested objects and lists.
const MAX_DEPTH: usize = 10;

/// The approximate largest size of a schema, in bytes: references can multiply their targets.
const MAX_SCHEMA_BYTES: usize = 192 << 10;

/// The largest number of characters that describe one keyword.
const MAX_NOTE_CHARS: usize = 240;

/// The largest number of characters in the note about a root.
const MAX_ROOT_NOTE_CHARS: usize = 4000;

/// Returns this schema of an object in the allowed keywords.
pub fn simplify_schema(schema: &Map<String, Value>, allowed: KeywordSet) -> SimplifiedSchema {
    let root = Value::Object(schema.clone());
    let mut simplifier = Simplifier {
        root: &root,
        allowed,
        remaining_bytes: MAX_SCHEMA_BYTES,
        reference_path: Vec::new(),
    };
    let mut keywords = simplifier.simplify_subschema(&root, 0, true);
    let note = keywords.shift_remove("description");
    let note = note.as_ref().and_then(Value::as_str).unwrap_or_default();
    let mut simplified = Map::new();
    simplified.insert("type".into(), "object".into());
    let properties = keywords.shift_remove("properties").unwrap_or_else(|| json!({}));
    simplified.insert("properties".into(), properties);
    if let Some(required) = keywords.shift_remove("required") {
        simplified.insert("required".into(), required);
    }
    SimplifiedSchema { schema: simplified.into(), note: truncate(note, MAX_ROOT_NOTE_CHARS) }
}

/// Simplifies the subschemas of one document.
struct Simplifier<'a> {
    root: &'a Value,
    allowed: KeywordSet,
    /// The number of bytes that may still be written.
    remaining_bytes: usize,
    /// The references that lead to the current subschema, outermost first.
    reference_path: Vec<String>,
}

/// A subschema that is being simplified.
struct Subschema {
    /// The keywords. References and `allOf` are resolved.
    keywords: Map<String, Value>,
    depth: usize,
    is_root: bool,
    is_nullable: bool,
    /// The branches of a choice that is written as `anyOf`.
    alternatives: Vec<Value>,
    /// Sentences for its description, about what the allowed keywords cannot express.
    notes: Vec<String>,
}

impl Simplifier<'_> {
    /// Returns the subschema at this depth in the allowed keywords. Sentences about the other
    /// keywords are at the end of its description.
    fn simplify_subschema(
        &mut self,
        schema: &Value,
        depth: usize,
        is_root: bool,
    ) -> Map<String, Value> {
        let path_length = self.reference_path.len();
        let keywords = self.resolve_references(schema, path_length, path_length);
        let is_nullable = keywords.get("nullable").is_some_and(|nullable| *nullable == true);
        let mut subschema = Subschema {
            keywords,
            depth,
            is_root,
            is_nullable,
            alternatives: Vec::new(),
            notes: Vec::new(),
        };
        for keyword in ["anyOf", "oneOf"] {
            let branches = subschema.keywords.shift_remove(keyword);
            let branches = branches.as_ref().and_then(Value::as_array);
            self.merge_alternatives(
                &mut subschema,
                path_length,
                branches.map_or(&[], Vec::as_slice),
            );
        }
        let description = subschema.keywords.get("description").and_then(Value::as_str);
        self.spend_bytes(48 + description.map_or(0, str::len));
        let mut simplified = self.write_structure(&mut subschema);
        self.write_limits(&mut subschema, &mut simplified);
        if subschema.is_nullable && !is_root {
            subschema.notes.push("May be null.".into());
        }
        if let Some(description) = describe(&subschema) {
            self.spend_bytes(description.len());
            simplified.insert("description".into(), description.into());
        }
        self.reference_path.truncate(path_length);
        simplified
    }

    fn spend_bytes(&mut self, bytes: usize) {
        self.remaining_bytes = self.remaining_bytes.saturating_sub(bytes);
    }
}

/// Returns the description of a subschema, or else its title, with the notes behind it.
fn describe(subschema: &Subschema) -> Option<String> {
    let keywords = &subschema.keywords;
    let description = keywords.get("description").and_then(Value::as_str).map(str::trim);
    let title = keywords.get("title").and_then(Value::as_str);
    // A title of one word is the name of the property again.
    let title = title.filter(|title| !subschema.is_root && title.contains(' '));
    let mut described = Map::new();
    let description = description.filter(|description| !description.is_empty()).or(title);
    append_description(&mut described, description.unwrap_or_default());
    subschema.notes.iter().for_each(|note| append_description(&mut described, note));
    described.get("description").and_then(Value::as_str).map(String::from)
}

/// Adds a note about the value of this keyword, if the schema has it.
fn note_keyword(
    keywords: &Map<String, Value>,
    keyword: &str,
    label: &str,
    notes: &mut Vec<String>,
) {
    let Some(value) = keywords.get(keyword).filter(|value| !value.is_null()) else { return };
    let value = value.as_str().map_or_else(|| value.to_string(), String::from);
    notes.push(truncate(&format!("{label}: {value}."), MAX_NOTE_CHARS));
}

/// Shortens a text to this many characters.
fn truncate(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
