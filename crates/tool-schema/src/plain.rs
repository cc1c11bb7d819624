//! Rewrites a schema in the few keywords that a family takes; the rest becomes a note in words.
//!
//! Nova refuses a tool whose schema has more than `type`, `properties` and `required` at its root
//! (<https://docs.aws.amazon.com/nova/latest/userguide/tool-use-definition.html>), which is every
//! schema that Pydantic and Zod write. References are replaced by what they refer to, choices are
//! united, and every other keyword becomes a sentence of the description.

use crate::{
    keywords::{append_new, implied_type, referenced, type_named, type_of},
    repair::{LOOKAROUNDS, describe},
};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// The keywords that are kept below the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// `type`, `description`, `enum` of texts, `properties`, `required` and `items`.
    Few,
    /// Limits, formats, defaults and choices too.
    Most,
}

/// A schema of few keywords.
#[derive(Debug)]
pub struct Plain {
    /// It has `type`, `properties` and `required` at its root.
    pub schema: Value,
    /// A note about the root, for the description of the tool.
    pub note: String,
}

/// The largest depth of nested objects and lists.
const DEEPEST: usize = 10;

/// The approximate largest size of a schema, in bytes: references can multiply their targets.
const LARGEST: usize = 192 << 10;

/// The largest number of nested references.
const LONGEST_TRAIL: usize = 64;

/// The largest number of characters that describe one keyword.
const LONGEST_WORDS: usize = 240;

/// The largest number of characters in the note about a root.
const LONGEST_NOTE: usize = 4000;

/// The keywords that say a limit, and stand below the root where most do.
const LIMITS: &[&str] = &[
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "default",
];

/// Returns this schema of an object in the allowed keywords.
pub fn plain(schema: &Map<String, Value>, inside: Inside) -> Plain {
    let root = Value::Object(schema.clone());
    let mut walk = Walk { root: &root, inside, left: LARGEST, context: Vec::new() };
    let mut node = walk.node(&root, 0, true);
    let note = node.shift_remove("description");
    let note = note.as_ref().and_then(Value::as_str).unwrap_or_default();
    let mut plain = Map::new();
    plain.insert("type".into(), "object".into());
    let properties = node.shift_remove("properties").unwrap_or_else(|| json!({}));
    plain.insert("properties".into(), properties);
    if let Some(required) = node.shift_remove("required") {
        plain.insert("required".into(), required);
    }
    Plain { schema: plain.into(), note: cut(note, LONGEST_NOTE) }
}

struct Walk<'a> {
    root: &'a Value,
    inside: Inside,
    /// The number of bytes that may still be written.
    left: usize,
    /// The references that lead here.
    context: Vec<String>,
}

impl Walk<'_> {
    /// Returns the schema at this depth. Facts that its keywords cannot express stand at the end of
    /// its description.
    fn node(&mut self, schema: &Value, depth: usize, is_root: bool) -> Map<String, Value> {
        let outside = self.context.len();
        let mut flat = self.flattened(schema, outside, outside);
        let mut notes = Vec::new();
        let mut nullable = flat.get("nullable").is_some_and(|nullable| *nullable == true);
        let mut branches = Vec::new();
        for keyword in ["anyOf", "oneOf"] {
            let choice = flat.shift_remove(keyword);
            let choice = choice.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            branches = self.chosen(
                choice,
                outside,
                &mut flat,
                &mut nullable,
                is_root,
                &mut notes,
                branches,
            );
        }
        let cost = 48 + flat.get("description").and_then(Value::as_str).map_or(0, str::len);
        self.left = self.left.saturating_sub(cost);

        let kind = kind(&flat, &mut nullable, &mut notes);
        let values = values(&mut flat, &mut nullable);
        let kind = values.as_deref().map_or(kind, |values| kind_of_values(values, kind));
        let mut out = Map::new();
        if let Some(kind) = kind {
            out.insert("type".into(), kind.into());
        }
        if let Some(values) = values {
            Self::enumerated(values, &mut out, &mut notes);
        }
        let ends = depth >= DEEPEST || self.left == 0;
        match kind {
            Some("object") if ends => notes.push(format!("Inside: {}.", compact(&flat))),
            Some("object") => self.object(&flat, depth, is_root, &mut out, &mut notes),
            Some("array") if ends => {
                out.insert("items".into(), json!({"type": "string"}));
                notes.push(format!("Items: {}.", compact(&flat)));
            }
            Some("array") => self.array(&flat, depth, &mut out, &mut notes),
            Some(_) => {}
            None if !branches.is_empty() => {
                let branches = branches.iter().map(|branch| self.node(branch, depth + 1, false));
                out.insert("anyOf".into(), branches.map(Value::from).collect());
            }
            None if self.inside == Inside::Few => {
                out.insert("type".into(), "string".into());
                notes.push("Any JSON value.".into());
            }
            None => {}
        }
        self.limited(&flat, &mut out, &mut notes);
        if nullable && !is_root {
            notes.push("May be null.".into());
        }
        let mut said = Map::new();
        let own = flat.get("description").and_then(Value::as_str).map(str::trim);
        let own = own.filter(|own| !own.is_empty()).or_else(|| title(&flat, is_root));
        describe(&mut said, own.unwrap_or_default());
        notes.iter().for_each(|note| describe(&mut said, note));
        if let Some(description) = said.shift_remove("description") {
            let words = description.as_str().map_or(0, str::len);
            self.left = self.left.saturating_sub(words);
            out.insert("description".into(), description);
        }
        self.context.truncate(outside);
        out
    }

    /// Returns the schema with references and `allOf` resolved.
    ///
    /// `outside` is the number of references that lead to this node, `before` the number that leads
    /// to this branch of it.
    fn flattened(&mut self, schema: &Value, outside: usize, before: usize) -> Map<String, Value> {
        let Value::Object(schema) = schema else {
            let kind = schema.as_str().and_then(type_named);
            return kind.map(|kind| ("type".to_owned(), kind.into())).into_iter().collect();
        };
        self.left = self.left.saturating_sub(schema.len() * 8);
        let mut flat = schema.clone();
        if let Some(Value::String(reference)) = flat.shift_remove("$ref") {
            let name = reference.rsplit('/').next().unwrap_or_default();
            let known = self.context.iter().position(|known| *known == reference);
            match referenced(self.root, &reference) {
                _ if known.is_some_and(|place| place >= before) => {}
                None => describe(&mut flat, &format!("A `{name}`, whose schema is not given.")),
                Some(target) => {
                    let again = known.is_some_and(|place| place < outside) || reference == "#";
                    if again || self.context.len() >= LONGEST_TRAIL || self.left == 0 {
                        let kind = target["type"].as_str().unwrap_or("object").to_owned();
                        flat.entry("type").or_insert_with(|| kind.into());
                        let name = if name == "#" { "the whole" } else { name };
                        describe(&mut flat, &format!("Shaped as `{name}` again, and so on."));
                    } else {
                        self.context.push(reference);
                        let target = target.clone();
                        let target = self.flattened(&target, outside, before);
                        merge(&mut flat, target);
                    }
                }
            }
        }
        if let Some(Value::Array(all)) = flat.shift_remove("allOf") {
            for part in &all {
                let part = self.flattened(part, outside, before);
                merge(&mut flat, part);
            }
        }
        flat
    }

    /// Merges a choice into the schema, as far as its keywords can express it. Returns the branches
    /// that are left.
    #[expect(
        clippy::too_many_arguments,
        reason = "a choice touches all that is known of its schema"
    )]
    fn chosen(
        &mut self,
        choice: &[Value],
        outside: usize,
        flat: &mut Map<String, Value>,
        nullable: &mut bool,
        is_root: bool,
        notes: &mut Vec<String>,
        known: Vec<Value>,
    ) -> Vec<Value> {
        let mut branches = Vec::new();
        for branch in choice {
            let before = self.context.len();
            let mut branch = self.flattened(branch, outside, before);
            // A choice within a choice is one choice.
            let inner =
                ["anyOf", "oneOf"].into_iter().find_map(|keyword| branch.shift_remove(keyword));
            match inner {
                Some(Value::Array(inner)) if branch.keys().all(|key| is_said(key)) => {
                    for branch in &inner {
                        let before = self.context.len();
                        branches.push(self.flattened(branch, outside, before));
                    }
                }
                _ => branches.push(branch),
            }
        }
        let is_null = |branch: &Map<String, Value>| {
            branch.get("type").is_some_and(|kind| kind == "null")
                || branch.get("const").is_some_and(Value::is_null)
        };
        *nullable |= branches.iter().any(is_null);
        branches.retain(|branch| !is_null(branch));
        branches.dedup();
        if branches.is_empty() {
            return known;
        }
        if let [_] = branches[..] {
            branches.into_iter().for_each(|branch| merge(flat, branch));
            return known;
        }
        let listed: Option<Vec<Vec<Value>>> = branches.iter().map(values_of).collect();
        if let Some(listed) = listed {
            let mut values = Vec::new();
            append_new(&mut values, listed.into_iter().flatten());
            let told = branches.iter().filter_map(told_value).collect::<Vec<_>>();
            if !told.is_empty() {
                notes.push(cut(&format!("{}.", told.join("; ")), LONGEST_WORDS));
            }
            flat.insert("enum".into(), values.into());
            return known;
        }
        let is_object = |branch: &Map<String, Value>| {
            let kind = branch.get("type").and_then(Value::as_str).and_then(type_named);
            kind.or_else(|| implied_type(branch)) == Some("object")
        };
        // At a root nothing but an object can stand, and a branch may tell no more than what is
        // required.
        let objects = branches.iter().all(is_object)
            || is_root
            || flat.contains_key("properties") && branches.iter().all(|b| !b.contains_key("type"));
        if objects {
            notes.push(cut(&format!("One of these: {}.", shapes(&branches)), 2 * LONGEST_WORDS));
            unite(flat, branches);
            return known;
        }
        if self.inside == Inside::Most && !flat.contains_key("type") {
            return branches.into_iter().map(Value::from).collect();
        }
        let others: Vec<_> = branches.iter().skip(1).map(|branch| self.words(branch, 0)).collect();
        notes.push(cut(&format!("Or instead: {}.", others.join("; ")), LONGEST_WORDS));
        let first = branches.into_iter().next().unwrap_or_default();
        merge(flat, first);
        known
    }

    fn object(
        &mut self,
        flat: &Map<String, Value>,
        depth: usize,
        is_root: bool,
        out: &mut Map<String, Value>,
        notes: &mut Vec<String>,
    ) {
        let mut properties = Map::new();
        let given = flat.get("properties").and_then(Value::as_object);
        for (name, property) in given.into_iter().flatten() {
            // A value that is never valid is not offered.
            if *property == false {
                continue;
            }
            self.left = self.left.saturating_sub(name.len());
            let property = self.node(property, depth + 1, false);
            properties.insert(name.clone(), property.into());
        }
        let is_known =
            |name: &&Value| name.as_str().is_some_and(|name| properties.contains_key(name));
        let names = flat.get("required").and_then(Value::as_array).into_iter().flatten();
        let mut required = Vec::new();
        append_new(&mut required, names.filter(is_known).cloned());
        if is_root || !properties.is_empty() || given.is_some() {
            out.insert("properties".into(), properties.into());
        }
        if !required.is_empty() {
            out.insert("required".into(), required.into());
        }
        match flat.get("additionalProperties") {
            Some(Value::Object(each)) if !each.is_empty() => {
                let each = self.words(each, 0);
                notes.push(cut(
                    &format!("Further keys are free; each value: {each}."),
                    LONGEST_WORDS,
                ));
            }
            Some(Value::Bool(false)) if is_root => notes.push("No other parameters.".into()),
            _ => {}
        }
        for (keyword, words) in [
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
        ] {
            tell(flat, keyword, words, notes);
        }
    }

    fn array(
        &mut self,
        flat: &Map<String, Value>,
        depth: usize,
        out: &mut Map<String, Value>,
        notes: &mut Vec<String>,
    ) {
        let tuple = flat.get("prefixItems").or_else(|| flat.get("items")).and_then(Value::as_array);
        let items = match tuple {
            Some(tuple) => {
                let words: Vec<_> = tuple.iter().map(|item| self.words_of(item)).collect();
                notes.push(cut(&format!("In this order: {}.", words.join(", ")), LONGEST_WORDS));
                let mut kinds = Vec::new();
                append_new(&mut kinds, tuple.iter().cloned());
                json!({"anyOf": kinds})
            }
            None => flat.get("items").cloned().unwrap_or_else(|| json!({})),
        };
        let items = match &items {
            Value::Object(items) => self.node(&Value::Object(items.clone()), depth + 1, false),
            Value::Bool(_) | Value::String(_) => self.node(&items, depth + 1, false),
            _ => Map::from_iter([("type".into(), "string".into())]),
        };
        out.insert("items".into(), items.into());
        if flat.get("uniqueItems").is_some_and(|unique| *unique == true) {
            notes.push("No item twice.".into());
        }
        tell(flat, "contains", "Contains", notes);
    }

    /// Writes a choice of values: as `enum` where that is allowed, else in words.
    fn enumerated(values: Vec<Value>, out: &mut Map<String, Value>, notes: &mut Vec<String>) {
        if values.iter().all(Value::is_string) {
            out.insert("enum".into(), values.into());
            return;
        }
        let words: Vec<_> = values.iter().map(Value::to_string).collect();
        let words = if let [only] = &words[..] {
            format!("Always: {only}.")
        } else {
            format!("One of: {}.", words.join(", "))
        };
        notes.push(cut(&words, 4 * LONGEST_WORDS));
    }

    /// Writes the limits where they are allowed, else in words.
    fn limited(
        &self,
        flat: &Map<String, Value>,
        out: &mut Map<String, Value>,
        notes: &mut Vec<String>,
    ) {
        for name in LIMITS {
            let Some(value) = flat.get(*name).filter(|value| !value.is_null()) else { continue };
            let looks = *name == "pattern"
                && value.as_str().is_some_and(|p| LOOKAROUNDS.iter().any(|look| p.contains(look)));
            if self.inside == Inside::Most && !looks && out.contains_key("type") {
                out.insert((*name).into(), value.clone());
                continue;
            }
            let words = match *name {
                "format" => "Format",
                "pattern" => "Pattern",
                "minLength" => "Fewest characters",
                "maxLength" => "Most characters",
                "minimum" => "At least",
                "maximum" => "At most",
                "exclusiveMinimum" => "More than",
                "exclusiveMaximum" => "Less than",
                "multipleOf" => "A multiple of",
                "minItems" => "Fewest items",
                "maxItems" => "Most items",
                _ => "Default",
            };
            tell(flat, name, words, notes);
        }
        if let Some(Value::Array(examples)) = flat.get("examples").or_else(|| flat.get("example")) {
            let words: Vec<_> = examples.iter().take(3).map(Value::to_string).collect();
            if !words.is_empty() {
                notes.push(cut(&format!("For example: {}.", words.join(", ")), LONGEST_WORDS));
            }
        }
        tell(flat, "contentEncoding", "Encoding", notes);
        if !out.get("type").is_some_and(|kind| kind == "object") {
            tell(flat, "not", "Not", notes);
        }
    }

    fn words_of(&self, schema: &Value) -> String {
        match schema {
            Value::Object(schema) => self.words(schema, 0),
            Value::String(word) => word.clone(),
            _ => "any value".into(),
        }
    }

    /// Describes a schema in a few words.
    fn words(&self, schema: &Map<String, Value>, depth: usize) -> String {
        if depth > 3 {
            return "any value".into();
        }
        let inner = |value: &Value| match value {
            Value::Object(schema) => self.words(schema, depth + 1),
            _ => "any value".into(),
        };
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = referenced(self.root, reference);
            return target.map_or_else(|| "any value".into(), inner);
        }
        if let Some(values) = values_of(schema) {
            let words: Vec<_> = values.iter().map(Value::to_string).collect();
            return words.join(" or ");
        }
        for keyword in ["anyOf", "oneOf", "allOf"] {
            if let Some(branches) = schema.get(keyword).and_then(Value::as_array) {
                return branches.iter().map(inner).collect::<Vec<_>>().join(" or ");
            }
        }
        let kinds = match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(kind)) => vec![kind.as_str()],
            _ => implied_type(schema).into_iter().collect(),
        };
        let words = match kinds[..] {
            [] => "any value".into(),
            ["array"] => match schema.get("items") {
                Some(items) => format!("array of {}", inner(items)),
                None => "array".into(),
            },
            ["object"] => match schema.get("properties").and_then(Value::as_object) {
                Some(properties) if !properties.is_empty() => {
                    let names: Vec<_> = properties
                        .iter()
                        .map(|(name, value)| format!("{name}: {}", inner(value)))
                        .collect();
                    format!("object with {}", names.join(", "))
                }
                _ => "object".into(),
            },
            _ => kinds.join(" or "),
        };
        let format = schema.get("format").and_then(Value::as_str);
        format.map_or_else(|| words.clone(), |format| format!("{words} ({format})"))
    }
}

/// Returns whether a keyword is an annotation.
fn is_said(keyword: &str) -> bool {
    matches!(keyword, "title" | "description" | "default" | "discriminator" | "$comment")
}

/// Returns a title that says more than the name; the title of a root is dropped.
fn title(flat: &Map<String, Value>, is_root: bool) -> Option<&str> {
    flat.get("title").and_then(Value::as_str).filter(|title| !is_root && title.contains(' '))
}

/// Returns the type of a schema, by its word or by its keywords. Further types become a note.
fn kind(
    flat: &Map<String, Value>,
    nullable: &mut bool,
    notes: &mut Vec<String>,
) -> Option<&'static str> {
    let words = match flat.get("type") {
        Some(Value::String(word)) => vec![word.as_str()],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let mut kinds: Vec<_> = words.into_iter().filter_map(type_named).collect();
    if kinds.len() > 1 {
        *nullable |= kinds.contains(&"null");
        kinds.retain(|kind| *kind != "null");
    }
    if let [_, others @ ..] = &kinds[..]
        && !others.is_empty()
    {
        notes.push(format!("Or instead: {}.", others.join(", ")));
    }
    match kinds.first() {
        // There is no parameter whose only value is null.
        Some(&"null") => {
            *nullable = true;
            Some("string")
        }
        Some(kind) => Some(kind),
        None => implied_type(flat),
    }
}

/// Returns the values that a schema lists, without `null`.
fn values(flat: &mut Map<String, Value>, nullable: &mut bool) -> Option<Vec<Value>> {
    let values = values_of(flat)?;
    *nullable |= values.iter().any(Value::is_null);
    let values: Vec<_> = values.into_iter().filter(|value| !value.is_null()).collect();
    (!values.is_empty()).then_some(values)
}

fn values_of(schema: &Map<String, Value>) -> Option<Vec<Value>> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => Some(vec![value.clone()]),
        (None, Some(Value::Array(values))) if !values.is_empty() => Some(values.clone()),
        _ => None,
    }
}

/// Returns a value and its description.
fn told_value(branch: &Map<String, Value>) -> Option<String> {
    let meaning =
        ["description", "title"].into_iter().find_map(|name| branch.get(name)?.as_str())?;
    let [value] = &values_of(branch)?[..] else { return None };
    Some(format!("{value}: {meaning}"))
}

fn kind_of_values(values: &[Value], kind: Option<&'static str>) -> Option<&'static str> {
    let own = values.first().map(type_of);
    if values.iter().all(|value| Some(type_of(value)) == own) {
        return if own == Some("integer") && kind == Some("number") { kind } else { own };
    }
    if values.iter().all(Value::is_number) { Some("number") } else { Some("string") }
}

/// Merges a second schema into this one, whose own keywords win.
fn merge(flat: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        match (name.as_str(), flat.get_mut(&name), value) {
            (_, None, value) => _ = flat.insert(name, value),
            ("properties", Some(Value::Object(known)), Value::Object(more)) => {
                for (name, property) in more {
                    match known.get_mut(&name) {
                        None => _ = known.insert(name, property),
                        Some(same) if *same == property => {}
                        Some(same) => *same = json!({"allOf": [same.take(), property]}),
                    }
                }
            }
            ("required", Some(Value::Array(known)), Value::Array(more)) => {
                append_new(known, more);
            }
            ("enum", Some(Value::Array(known)), Value::Array(more)) => {
                let more: HashSet<_> = more.into_iter().collect();
                let both: Vec<_> =
                    known.iter().filter(|value| more.contains(value)).cloned().collect();
                if !both.is_empty() {
                    *known = both;
                }
            }
            _ => {}
        }
    }
}

/// Merges several object schemas, of which any may match, into one.
fn unite(flat: &mut Map<String, Value>, branches: Vec<Map<String, Value>>) {
    let mut properties = match flat.shift_remove("properties") {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    let lists = |branch: &Map<String, Value>| match branch.get("required") {
        Some(Value::Array(names)) => names.clone(),
        _ => Vec::new(),
    };
    let mut common = branches.first().map(lists).unwrap_or_default();
    for branch in branches {
        let required: HashSet<_> = lists(&branch).into_iter().collect();
        common.retain(|name| required.contains(name));
        let Some(Value::Object(more)) = branch.get("properties").cloned() else { continue };
        for (name, property) in more {
            match properties.get_mut(&name) {
                None => _ = properties.insert(name, property),
                Some(known) if *known == property => {}
                Some(known) => match known.get_mut("anyOf").and_then(Value::as_array_mut) {
                    Some(either) => either.push(property),
                    None => *known = json!({"anyOf": [known.take(), property]}),
                },
            }
        }
    }
    flat.insert("type".into(), "object".into());
    flat.insert("properties".into(), properties.into());
    let required = flat.entry("required").or_insert_with(|| json!([]));
    if let Value::Array(required) = required {
        append_new(required, common);
    }
}

/// Returns the branches of a choice by the names of what they hold, and by what tells them apart.
fn shapes(branches: &[Map<String, Value>]) -> String {
    let shape = |branch: &Map<String, Value>| {
        let properties = branch.get("properties").and_then(Value::as_object);
        let required = branch.get("required").and_then(Value::as_array);
        let mut names: Vec<String> = Vec::new();
        for (name, property) in properties.into_iter().flatten() {
            names.push(match &property["const"] {
                Value::Null => match property["enum"].as_array().map(Vec::as_slice) {
                    Some([only]) => format!("{name} = {only}"),
                    _ => name.clone(),
                },
                value => format!("{name} = {value}"),
            });
        }
        if names.is_empty() {
            names = required
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(String::from)
                .collect();
        }
        if names.is_empty() { "anything".into() } else { format!("({})", names.join(", ")) }
    };
    branches.iter().map(shape).collect::<Vec<_>>().join(" or ")
}

fn tell(flat: &Map<String, Value>, keyword: &str, words: &str, notes: &mut Vec<String>) {
    let Some(value) = flat.get(keyword).filter(|value| !value.is_null()) else { return };
    let value = value.as_str().map_or_else(|| value.to_string(), String::from);
    notes.push(cut(&format!("{words}: {value}."), LONGEST_WORDS));
}

/// Returns a schema as JSON, as far as a few words go.
fn compact(schema: &Map<String, Value>) -> String {
    cut(&Value::Object(schema.clone()).to_string(), LONGEST_WORDS)
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
