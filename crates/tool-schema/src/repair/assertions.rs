//! Repairs the keywords that older drafts write in another form.

use super::values::is_list_of_names;
use crate::keywords::{append_new, parse_type};
use serde_json::{Map, Value, json};

/// Repairs `type`, which is the name of a type, or a list of such names.
pub fn repair_type(schema: &mut Map<String, Value>) -> bool {
    let parse = |name: &Value| name.as_str().and_then(parse_type);
    let repaired = match schema.get("type") {
        None => return false,
        Some(Value::String(name)) => match parse_type(name) {
            Some(parsed) if parsed == name => return false,
            parsed => parsed.map(Value::from),
        },
        Some(Value::Array(names)) if !names.is_empty() => {
            let mut types: Vec<_> = names.iter().filter_map(parse).collect();
            types.dedup();
            if types.len() == names.len()
                && names.iter().zip(&types).all(|(name, parsed)| name == parsed)
            {
                return false;
            }
            (!types.is_empty()).then(|| json!(types))
        }
        // Clients of draft 3 write schemas there.
        Some(_) => None,
    };
    match repaired {
        Some(repaired) => _ = schema.insert("type".into(), repaired),
        None => _ = schema.shift_remove("type"),
    }
    true
}

/// Repairs limits, which are numbers. In draft 4 and `OpenAPI` 3.0 `exclusiveMinimum` is a boolean
/// beside `minimum`.
pub fn repair_limits(schema: &mut Map<String, Value>) -> bool {
    let mut changed = false;
    for (flag, limit) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        let Some(exclusive) = schema.get(flag).and_then(Value::as_bool) else { continue };
        changed = true;
        schema.shift_remove(flag);
        if exclusive && let Some(bound) = schema.shift_remove(limit) {
            schema.insert(flag.into(), bound);
        }
    }
    /// The keywords whose value is a number.
    const NUMBERS: [&str; 5] =
        ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
    /// The keywords whose value is a number of items.
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
        let is_valid = match value {
            Value::Number(number) if is_count => {
                number.as_f64().is_some_and(|count| count >= 0.0 && count.fract() == 0.0)
            }
            Value::Number(number) => {
                name != "multipleOf" || number.as_f64().is_some_and(|step| step > 0.0)
            }
            _ => false,
        };
        if is_valid {
            continue;
        }
        changed = true;
        let parsed = value.as_str().and_then(|text| text.trim().parse::<u64>().ok());
        match parsed {
            Some(number) if number > 0 || name != "multipleOf" => {
                schema.insert(name.into(), number.into());
            }
            _ => _ = schema.shift_remove(name),
        }
    }
    changed
}

/// Moves the `items` of a tuple to `prefixItems`, and its `additionalItems` to `items`, as drafts
/// before 2020-12 have them.
pub fn repair_tuple(schema: &mut Map<String, Value>) -> bool {
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

/// Repairs `required`, which is a list of names. In draft 3 it is a boolean in each property.
pub fn repair_required(schema: &mut Map<String, Value>) -> bool {
    let mut changed = false;
    let mut marked = Vec::new();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for (name, property) in properties.iter_mut() {
            let Some(property) = property.as_object_mut() else { continue };
            if let Some(Value::Bool(is_required)) = property.get("required") {
                if *is_required {
                    marked.push(Value::from(name.as_str()));
                }
                property.shift_remove("required");
                changed = true;
            }
        }
    }
    if marked.is_empty() && schema.get("required").is_none_or(is_list_of_names) {
        return changed;
    }
    let given = schema.shift_remove("required");
    let given = match given {
        Some(Value::Array(names)) => names,
        // One name, or a boolean for each name.
        Some(Value::String(name)) => vec![name.into()],
        Some(Value::Object(names)) => {
            let required = names.into_iter().filter(|(_, is_required)| *is_required == true);
            required.map(|(name, _)| Value::from(name)).collect()
        }
        _ => Vec::new(),
    };
    let mut names = Vec::new();
    append_new(&mut names, given.into_iter().chain(marked).filter(Value::is_string));
    if !names.is_empty() {
        schema.insert("required".into(), names.into());
    }
    true
}
