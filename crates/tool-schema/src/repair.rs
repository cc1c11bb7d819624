//! Turns schemas of clients' generators into valid JSON Schema 2020-12.
//!
//! Services validate schemas against that draft; Claude's does
//! (<https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use>).

use crate::keywords::{Holds, holds, referenced, type_named, type_of};
use serde_json::{Map, Value, json};

/// Repairs this schema. Returns whether it changed.
pub fn repair(schema: &mut Map<String, Value>) -> bool {
    let before = dangling(schema);
    let mut changed = !before.is_empty();
    for reference in before {
        loosen(schema, &reference);
    }
    changed |= within(schema);
    changed
}

/// Returns the references of this document that lead nowhere.
fn dangling(schema: &Map<String, Value>) -> Vec<String> {
    let mut references = Vec::new();
    collect(schema, &mut references);
    if references.is_empty() {
        return references;
    }
    let root = Value::Object(schema.clone());
    references.retain(|reference| referenced(&root, reference).is_none());
    references
}

fn collect(schema: &Map<String, Value>, references: &mut Vec<String>) {
    if let Some(Value::String(reference)) = schema.get("$ref")
        && !references.contains(reference)
    {
        references.push(reference.clone());
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

/// Replaces a dangling reference by a description with its name.
fn loosen(schema: &mut Map<String, Value>, reference: &str) {
    if schema.get("$ref").is_some_and(|own| own == reference) {
        schema.shift_remove("$ref");
        let name = reference.rsplit('/').next().unwrap_or(reference);
        describe(schema, &format!("A `{name}`, whose schema is not given."));
    }
    for (keyword, value) in schema.iter_mut() {
        match (holds(keyword), value) {
            (Holds::Named, Value::Object(named)) => {
                named
                    .values_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(|inner| loosen(inner, reference));
            }
            (Holds::List | Holds::One, Value::Array(list)) => {
                list.iter_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(|inner| loosen(inner, reference));
            }
            (Holds::One, Value::Object(one)) => loosen(one, reference),
            _ => {}
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
    const COUNTS: [&str; 6] =
        ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"];
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
    let is_list = |value: &Value| {
        value.as_array().is_some_and(|names| {
            let is_new = |(place, name): (usize, &Value)| {
                name.is_string() && names.iter().take(place).all(|before| before != name)
            };
            names.iter().enumerate().all(is_new)
        })
    };
    if said.is_empty() && schema.get("required").is_none_or(is_list) {
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
    let mut names: Vec<Value> = Vec::new();
    for name in given.into_iter().chain(said) {
        if name.is_string() && !names.contains(&name) {
            names.push(name);
        }
    }
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
        "title" | "description" | "$comment" | "pattern" | "format" | "$id" | "$ref"
        | "$anchor" => value.is_string(),
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
        "dependentRequired" | "$vocabulary" => value.is_object(),
        _ => true,
    };
    !is_fit && schema.shift_remove(name).is_some()
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
            // What one of them demands, all demand only if all must be.
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
    schema
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
