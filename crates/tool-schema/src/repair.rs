//! Turns schemas of clients' generators into valid JSON Schema 2020-12.
//!
//! Services validate schemas against that draft; Claude's does
//! (<https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use>).

use crate::keywords::{Holds, append_new, holds, referenced, type_named, type_of};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// Repairs this schema. Returns whether it changed.
pub fn repair(schema: &mut Map<String, Value>) -> bool {
    loosen_dangling(schema) | within(schema)
}

/// Replaces references that lead nowhere by descriptions. Returns whether there were any.
fn loosen_dangling(schema: &mut Map<String, Value>) -> bool {
    let references = dangling(schema);
    if !references.is_empty() {
        loosen(schema, &references);
    }
    !references.is_empty()
}

/// Returns the references of this document that lead nowhere.
fn dangling(schema: &Map<String, Value>) -> HashSet<String> {
    let mut references = HashSet::new();
    collect(schema, &mut references);
    if references.is_empty() {
        return references;
    }
    let root = Value::Object(schema.clone());
    references.retain(|reference| referenced(&root, reference).is_none());
    references
}

fn collect(schema: &Map<String, Value>, references: &mut HashSet<String>) {
    if let Some(Value::String(reference)) = schema.get("$ref") {
        references.insert(reference.clone());
    }
    for_each_inside(schema, &mut |inner| collect(inner, references));
}

fn for_each_inside(schema: &Map<String, Value>, each: &mut dyn FnMut(&Map<String, Value>)) {
    for (keyword, value) in schema {
        match (holds(keyword), value) {
            (Holds::Named, Value::Object(named)) => {
                named.values().filter_map(Value::as_object).for_each(&mut *each);
            }
            (Holds::List | Holds::One, Value::Array(list)) => {
                list.iter().filter_map(Value::as_object).for_each(&mut *each);
            }
            (Holds::One, Value::Object(one)) => each(one),
            _ => {}
        }
    }
}

/// Replaces dangling references by descriptions with their names.
fn loosen(schema: &mut Map<String, Value>, references: &HashSet<String>) {
    for_each_schema_mut(schema, &mut |schema| {
        let own = schema.get("$ref").and_then(Value::as_str);
        let Some(reference) = own.and_then(|own| references.get(own)) else { return };
        schema.shift_remove("$ref");
        let name = reference.rsplit('/').next().unwrap_or(reference);
        describe(schema, &format!("A `{name}`, whose schema is not given."));
    });
}

/// Replaces each reference by the one that this function returns for it: the schema there has
/// moved.
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

/// Calls this function with a schema and all schemas in it.
fn for_each_schema_mut(
    schema: &mut Map<String, Value>,
    each: &mut dyn FnMut(&mut Map<String, Value>),
) {
    each(schema);
    for (keyword, value) in schema.iter_mut() {
        let inner: Vec<&mut Value> = match (holds(keyword), value) {
            (Holds::Named, Value::Object(named)) => named.values_mut().collect(),
            (Holds::List | Holds::One, Value::Array(list)) => list.iter_mut().collect(),
            (Holds::One, one) => vec![one],
            _ => Vec::new(),
        };
        for schema in inner.into_iter().filter_map(Value::as_object_mut) {
            for_each_schema_mut(schema, each);
        }
    }
}

/// Appends to the description of a schema.
pub fn describe(schema: &mut Map<String, Value>, words: &str) {
    let said = schema.get("description").and_then(Value::as_str).unwrap_or_default().trim();
    if !words.is_empty() && !said.contains(words) {
        let said = if said.is_empty() { words.to_owned() } else { format!("{said} {words}") };
        schema.insert("description".into(), said.into());
    }
}

fn within(schema: &mut Map<String, Value>) -> bool {
    let mut changed = typed(schema) | limited(schema) | tupled(schema) | required(schema);
    let names: Vec<_> = schema.keys().cloned().collect();
    for name in names {
        changed |= member(schema, &name);
    }
    changed
}

/// Repairs the type, which is one of seven words, or several of them.
fn typed(schema: &mut Map<String, Value>) -> bool {
    let known = |word: &Value| word.as_str().and_then(type_named);
    let fitted = match schema.get("type") {
        None => return false,
        Some(Value::String(word)) => match type_named(word) {
            Some(kind) if kind == word => return false,
            kind => kind.map(Value::from),
        },
        Some(Value::Array(words)) if !words.is_empty() => {
            let mut kinds: Vec<_> = words.iter().filter_map(known).collect();
            kinds.dedup();
            if kinds.len() == words.len()
                && words.iter().zip(&kinds).all(|(word, kind)| word == kind)
            {
                return false;
            }
            (!kinds.is_empty()).then(|| json!(kinds))
        }
        // As older clients write a choice: `"type": {"enum": […]}`, or schemas within.
        Some(_) => None,
    };
    match fitted {
        Some(kind) => _ = schema.insert("type".into(), kind),
        None => _ = schema.shift_remove("type"),
    }
    true
}

/// Repairs limits, which are numbers; draft 4 and `OpenAPI` 3.0 mark exclusive ones by a boolean.
fn limited(schema: &mut Map<String, Value>) -> bool {
    let mut changed = false;
    for (flag, limit) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        let Some(exclusive) = schema.get(flag).and_then(Value::as_bool) else { continue };
        changed = true;
        schema.shift_remove(flag);
        if exclusive && let Some(bound) = schema.shift_remove(limit) {
            schema.insert(flag.into(), bound);
        }
    }
    const NUMBERS: [&str; 5] =
        ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
    const COUNTS: [&str; 8] = [
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "minContains",
        "maxContains",
    ];
    for name in NUMBERS.into_iter().chain(COUNTS) {
        let Some(value) = schema.get(name) else { continue };
        let is_count = COUNTS.contains(&name);
        let is_fit = match value {
            Value::Number(number) if is_count => {
                number.as_f64().is_some_and(|count| count >= 0.0 && count.fract() == 0.0)
            }
            Value::Number(number) => {
                name != "multipleOf" || number.as_f64().is_some_and(|step| step > 0.0)
            }
            _ => false,
        };
        if is_fit {
            continue;
        }
        changed = true;
        let told = value.as_str().and_then(|text| text.trim().parse::<u64>().ok());
        match told {
            Some(number) if number > 0 || name != "multipleOf" => {
                schema.insert(name.into(), number.into());
            }
            _ => _ = schema.shift_remove(name),
        }
    }
    changed
}

/// Repairs tuples, whose items belong under `prefixItems`, and the items after them under `items`.
fn tupled(schema: &mut Map<String, Value>) -> bool {
    let mut changed = false;
    if let Some(Value::Array(_)) = schema.get("items") {
        let tuple = schema.shift_remove("items").unwrap_or_default();
        if tuple.as_array().is_some_and(|items| !items.is_empty()) {
            schema.insert("prefixItems".into(), tuple);
        }
        if let Some(rest) = schema.shift_remove("additionalItems") {
            schema.insert("items".into(), rest);
        }
        changed = true;
    }
    if schema.get("prefixItems").is_some_and(|items| items.as_array().is_none_or(Vec::is_empty)) {
        schema.shift_remove("prefixItems");
        changed = true;
    }
    changed
}

/// Repairs `required`, which lists names. Draft 3 marks each property by a boolean.
fn required(schema: &mut Map<String, Value>) -> bool {
    let mut changed = false;
    let mut said = Vec::new();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for (name, property) in properties.iter_mut() {
            let Some(property) = property.as_object_mut() else { continue };
            if let Some(Value::Bool(is_required)) = property.get("required") {
                if *is_required {
                    said.push(Value::from(name.as_str()));
                }
                property.shift_remove("required");
                changed = true;
            }
        }
    }
    if said.is_empty() && schema.get("required").is_none_or(is_list_of_names) {
        return changed;
    }
    let given = schema.shift_remove("required");
    let given = match given {
        Some(Value::Array(names)) => names,
        // As one name, or names that are told to be required or not.
        Some(Value::String(name)) => vec![name.into()],
        Some(Value::Object(names)) => {
            let meant = names.into_iter().filter(|(_, is_required)| *is_required == true);
            meant.map(|(name, _)| Value::from(name)).collect()
        }
        _ => Vec::new(),
    };
    let mut names = Vec::new();
    append_new(&mut names, given.into_iter().chain(said).filter(Value::is_string));
    if !names.is_empty() {
        schema.insert("required".into(), names.into());
    }
    true
}

/// Repairs the value of one keyword.
fn member(schema: &mut Map<String, Value>, name: &str) -> bool {
    let Some(value) = schema.get_mut(name) else { return false };
    match holds(name) {
        Holds::Named => match value {
            Value::Object(named) => {
                let mut changed = false;
                for (_, inner) in named.iter_mut() {
                    changed |= one(inner);
                }
                changed
            }
            _ if name == "properties" => {
                *value = json!({});
                true
            }
            _ => schema.shift_remove(name).is_some(),
        },
        Holds::List => match value {
            Value::Array(list) if !list.is_empty() => {
                let mut changed = false;
                for inner in list.iter_mut() {
                    changed |= one(inner);
                }
                changed
            }
            Value::Object(_) if name != "prefixItems" => {
                let alone = value.take();
                *value = json!([alone]);
                member(schema, name);
                true
            }
            _ => schema.shift_remove(name).is_some(),
        },
        Holds::One => match value {
            Value::Bool(_) => false,
            Value::Object(inner) => within(inner),
            _ => schema.shift_remove(name).is_some(),
        },
        Holds::Data => data(schema, name),
    }
}

fn data(schema: &mut Map<String, Value>, name: &str) -> bool {
    let Some(value) = schema.get_mut(name) else { return false };
    let is_fit = match name {
        "title" | "description" | "$comment" | "format" | "$ref" | "$schema" | "$dynamicRef"
        | "$recursiveRef" | "contentEncoding" | "contentMediaType" => value.is_string(),
        "$anchor" | "$dynamicAnchor" | "$recursiveAnchor" => {
            value.as_str().is_some_and(is_valid_anchor)
        }
        // A fragment of its own names no resource.
        "$id" => value.as_str().is_some_and(|id| id.find('#').is_none_or(|at| at + 1 == id.len())),
        "pattern" => match value.as_str().map(|pattern| (is_valid_pattern(pattern), pattern)) {
            Some((false, pattern)) => {
                let words = format!("Pattern: {pattern}.");
                describe(schema, &words);
                false
            }
            valid => valid.is_some(),
        },
        "dependentRequired" => match value {
            Value::Object(names) => return keep(names, is_list_of_names),
            _ => false,
        },
        // Of draft 7: names, or a schema.
        "dependencies" => match value {
            Value::Object(named) => {
                let mut changed = keep(named, |value| {
                    is_list_of_names(value) || value.is_object() || value.is_boolean()
                });
                for schema in named.values_mut().filter_map(Value::as_object_mut) {
                    changed |= within(schema);
                }
                return changed;
            }
            _ => false,
        },
        "enum" => match value {
            Value::Array(values) => !values.is_empty(),
            // As names by values.
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
    !is_fit && schema.shift_remove(name).is_some()
}

/// Removes the members whose value does not pass this test. Returns whether there were any.
fn keep(members: &mut Map<String, Value>, is_fit: impl Fn(&Value) -> bool) -> bool {
    let before = members.len();
    members.retain(|_, value| is_fit(value));
    members.len() != before
}

/// Returns whether a value is a list of different texts.
fn is_list_of_names(value: &Value) -> bool {
    let Value::Array(names) = value else { return false };
    let mut known = HashSet::new();
    names.iter().all(|name| name.as_str().is_some_and(|name| known.insert(name)))
}

fn is_valid_anchor(name: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_inner = |c: char| is_start(c) || c.is_ascii_digit() || matches!(c, '-' | '.');
    name.starts_with(is_start) && name.chars().all(is_inner)
}

/// Returns whether a pattern can be one: its groups and classes are closed, it does not end within
/// an escape, and each quantifier has something before it. Services that validate schemas refuse
/// others.
fn is_valid_pattern(pattern: &str) -> bool {
    let (mut groups, mut is_in_class, mut has_atom) = (0_usize, false, false);
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                if chars.next().is_none() {
                    return false;
                }
                has_atom = true;
            }
            ']' if is_in_class => (is_in_class, has_atom) = (false, true),
            _ if is_in_class => {}
            '[' => {
                is_in_class = true;
            }
            '(' => {
                groups += 1;
                has_atom = false;
                if chars.next_if_eq(&'?').is_some() {
                    // What follows tells the kind of the group, and is no quantifier.
                    chars.next();
                }
            }
            ')' => {
                let Some(outer) = groups.checked_sub(1) else { return false };
                (groups, has_atom) = (outer, true);
            }
            '|' => has_atom = false,
            '*' | '+' | '?' if !has_atom => return false,
            // A second `?` or `+` only changes how much the quantifier takes.
            '*' | '+' | '?' => {}
            _ => has_atom = true,
        }
    }
    groups == 0 && !is_in_class
}

/// Repairs a subschema. Some clients write the name of a type alone.
fn one(schema: &mut Value) -> bool {
    match schema {
        Value::Object(inner) => within(inner),
        Value::Bool(_) => false,
        Value::String(word) => {
            *schema = type_named(word).map_or_else(|| json!({}), |kind| json!({"type": kind}));
            true
        }
        Value::Null | Value::Number(_) | Value::Array(_) => {
            *schema = json!({});
            true
        }
    }
}

/// The keywords of choices between schemas.
pub const CHOICES: [&str; 3] = ["anyOf", "oneOf", "allOf"];

/// Merges the branches of choices into one object schema, whose description names the choice.
pub fn merge_choices(mut schema: Map<String, Value>) -> Map<String, Value> {
    let root = Value::Object(schema.clone());
    for keyword in CHOICES {
        let Some(choice) = schema.shift_remove(keyword) else { continue };
        let mut properties = match schema.shift_remove("properties") {
            Some(Value::Object(properties)) => properties,
            _ => Map::new(),
        };
        let mut names = match schema.get("required") {
            Some(Value::Array(names)) => names.clone(),
            _ => Vec::new(),
        };
        for branch in choice.as_array().into_iter().flatten() {
            let behind = branch["$ref"].as_str().and_then(|name| referenced(&root, name));
            let branch = behind.unwrap_or(branch);
            for (name, property) in branch["properties"].as_object().into_iter().flatten() {
                match properties.get_mut(name) {
                    None => _ = properties.insert(name.clone(), property.clone()),
                    Some(known) => either(known, property),
                }
            }
            // The properties that one branch requires are required only if all branches require
            // them.
            if keyword == "allOf" {
                for name in branch["required"].as_array().into_iter().flatten() {
                    if !names.contains(name) {
                        names.push(name.clone());
                    }
                }
            }
        }
        schema.insert("properties".into(), properties.into());
        if !names.is_empty() {
            schema.insert("required".into(), names.into());
        }
        let said = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let said = format!("{said} {keyword}: {choice}").trim().to_owned();
        schema.insert("description".into(), said.into());
    }
    // What referred to a branch leads nowhere now.
    loosen_dangling(&mut schema);
    schema
}

/// Moves these keywords of a root into its description. Returns whether there were any.
pub fn tell_keywords(schema: &mut Map<String, Value>, keywords: &[&str]) -> bool {
    let mut changed = false;
    for keyword in keywords {
        if let Some(value) = schema.shift_remove(*keyword) {
            describe(schema, &format!("{keyword}: {value}"));
            changed = true;
        }
    }
    changed
}

/// Lets a property also match another branch's schema. Values that tell branches apart become a
/// choice of values.
fn either(known: &mut Value, other: &Value) {
    if known == other {
        return;
    }
    let values = |schema: &Value| match (schema.get("const"), schema["enum"].as_array()) {
        (Some(value), _) => Some(vec![value.clone()]),
        (None, Some(values)) => Some(values.clone()),
        (None, None) => None,
    };
    if let (Some(mut all), Some(more)) = (values(known), values(other)) {
        for value in more {
            if !all.contains(&value) {
                all.push(value);
            }
        }
        let kinds: Vec<_> = all.iter().map(type_of).collect();
        let mut merged = Map::new();
        if let Some(kind) = kinds.first().filter(|kind| kinds.iter().all(|other| other == *kind)) {
            merged.insert("type".into(), (*kind).into());
        }
        merged.insert("enum".into(), all.into());
        *known = merged.into();
        return;
    }
    match known.get_mut("anyOf").and_then(Value::as_array_mut) {
        Some(branches) if branches.contains(other) => {}
        Some(branches) => branches.push(other.clone()),
        None => *known = json!({"anyOf": [known.take(), other]}),
    }
}

/// The look-around assertions of patterns.
pub const LOOKAROUNDS: [&str; 4] = ["(?=", "(?!", "(?<=", "(?<!"];

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(fields) = value else { panic!("an object") };
        fields
    }

    #[test]
    fn keywords_of_the_wrong_kind_are_removed_and_the_others_stay() {
        let mut schema = object(json!({
            "$recursiveAnchor": true, "$id": "#/x y",
            "dependencies": {"a": ["b"], "b": 3, "c": {"required": null}},
            "dependentRequired": {"a": ["b"], "b": 1},
            "properties": {
                "a": {"type": "string", "contentEncoding": {}, "$schema": 5, "$anchor": "1 2"},
                "b": {"type": "string", "pattern": "["},
                "c": {"type": "string", "pattern": "^(?!x)[a-z]+$", "$id": "http://a/b#"},
                "d": {"dependencies": 3, "minContains": -1},
            },
        }));
        assert!(repair(&mut schema));
        assert_eq!(
            Value::from(schema.clone()),
            json!({
                "dependencies": {"a": ["b"], "c": {}},
                "dependentRequired": {"a": ["b"]},
                "properties": {
                    "a": {"type": "string"},
                    "b": {"type": "string", "description": "Pattern: [."},
                    "c": {"type": "string", "pattern": "^(?!x)[a-z]+$", "$id": "http://a/b#"},
                    "d": {},
                },
            })
        );
        assert!(!repair(&mut schema));
    }

    #[test]
    fn patterns_are_valid_or_not() {
        for pattern in
            ["", "^a$", "[^\\]]*", "(?<name>a)?", "(?!a)b{2}", "a+?", "\\p{L}", "a|b", "{"]
        {
            assert!(is_valid_pattern(pattern), "{pattern}");
        }
        for pattern in ["[", "(", ")", "a(b", "*a", "a|*", "\\", "(+)", "[a"] {
            assert!(!is_valid_pattern(pattern), "{pattern}");
        }
    }

    #[test]
    fn references_into_branches_that_are_merged_do_not_stay() {
        let schema = object(json!({"anyOf": [
            {"properties": {"a": {"type": "object", "properties": {}}}},
            {"properties": {"b": {"$ref": "#/anyOf/0/properties/a"}}},
        ]}));
        let merged = merge_choices(schema);
        assert!(merged["properties"]["b"].get("$ref").is_none(), "{merged:?}");
        assert!(merged["properties"]["b"]["description"].is_string());
    }
}
