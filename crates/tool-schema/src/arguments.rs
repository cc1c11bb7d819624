//! Arguments of tools whose schema was changed in form: wrapped into an object, or with properties
//! of other names.

use crate::{
    description::append_description,
    references::{move_pointer, move_references},
};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The differences between the arguments of a tool as the service sends them and as the client
/// knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArgumentShape {
    /// True if the client's arguments are no object, and are in the property [`WRAPPED`].
    is_wrapped: bool,
    /// The client's names of properties, by the names that are sent instead.
    originals: HashMap<String, String>,
}

/// The property that holds arguments that are no object.
const WRAPPED: &str = "value";

/// The longest name of a property.
const MAX_NAME_LENGTH: usize = 64;

impl ArgumentShape {
    /// Returns whether arguments are sent as the client knows them.
    pub fn is_unchanged(&self) -> bool {
        !self.is_wrapped && self.originals.is_empty()
    }

    /// Wraps a schema whose root is no object.
    pub fn wrap(&mut self, schema: &mut Map<String, Value>) {
        let mut inner = std::mem::take(schema);
        // References point into the root, and their targets move with it.
        let root = format!("#/properties/{WRAPPED}");
        move_references(&mut inner, &|pointer| move_pointer(pointer, "#", &root));
        for name in ["$defs", "definitions"] {
            let (from, to) = (format!("{root}/{name}"), format!("#/{name}"));
            move_references(&mut inner, &|pointer| move_pointer(pointer, &from, &to));
        }
        for name in ["$schema", "$defs", "definitions"] {
            schema.extend(inner.shift_remove(name).map(|value| (name.to_owned(), value)));
        }
        schema.insert("type".into(), "object".into());
        schema.insert("properties".into(), json!({WRAPPED: inner}));
        schema.insert("required".into(), json!([WRAPPED]));
        self.is_wrapped = true;
    }

    /// Returns whether a property of this schema has a name that [`Self::rename_properties`]
    /// renames.
    pub fn has_unaccepted_names(schema: &Map<String, Value>) -> bool {
        let properties = schema.get("properties").and_then(Value::as_object);
        properties.is_some_and(|properties| !properties.keys().all(|name| is_accepted(name)))
    }

    /// Renames the properties whose names have other characters than letters, digits, `_`, `.` and
    /// `-`, or more than 64 of them. Returns whether there were any. Claude refuses a tool for one
    /// such name.
    pub fn rename_properties(&mut self, schema: &mut Map<String, Value>) -> bool {
        if !Self::has_unaccepted_names(schema) {
            return false;
        }
        let Some(Value::Object(properties)) = schema.get_mut("properties") else { return false };
        let mut sent: HashMap<String, String> = HashMap::new();
        let (mut renamed, mut moved) = (Map::new(), HashMap::new());
        for (name, mut property) in std::mem::take(properties) {
            if is_accepted(&name) {
                renamed.insert(name, property);
                continue;
            }
            if let Value::Object(property) = &mut property {
                append_description(property, &format!("The parameter `{name}`."));
            }
            let replacement = replacement_of(&name);
            moved.insert(pointer_token(&name), replacement.clone());
            sent.insert(name.clone(), replacement.clone());
            self.originals.insert(replacement.clone(), name);
            renamed.insert(replacement, property);
        }
        *properties = renamed;
        // Once for all names: a client may send thousands of them.
        move_references(schema, &|pointer| {
            let below = pointer.strip_prefix("#/properties/")?;
            let name = below.split('/').next()?;
            move_pointer(below, name, moved.get(name)?).map(|below| format!("#/properties/{below}"))
        });
        for name in schema.get_mut("required").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(replacement) = name.as_str().and_then(|name| sent.get(name)) {
                *name = replacement.as_str().into();
            }
        }
        true
    }

    /// Returns the arguments that the service expects, for those of the client.
    pub fn to_service(&self, arguments: &str) -> String {
        self.rewrite(arguments, |value| match value {
            value if self.is_wrapped => json!({WRAPPED: value}),
            Value::Object(fields) => {
                let sent = self.originals.iter().map(|(sent, original)| (original, sent));
                let sent: HashMap<_, _> = sent.collect();
                let sent = |name: String| sent.get(&name).map_or(name, |sent| (*sent).clone());
                fields.into_iter().map(|(name, value)| (sent(name), value)).collect()
            }
            value => value,
        })
    }

    /// Returns the client's arguments, for those that the service has sent. Text that is no JSON
    /// stays as it is.
    pub fn to_client(&self, arguments: &str) -> String {
        self.rewrite(arguments, |value| match value {
            Value::Object(mut fields) if self.is_wrapped => match fields.shift_remove(WRAPPED) {
                Some(value) => value,
                // The model has left out the wrapping property.
                None => fields.into(),
            },
            Value::Object(fields) => {
                let original = |name: String| self.originals.get(&name).cloned().unwrap_or(name);
                fields.into_iter().map(|(name, value)| (original(name), value)).collect()
            }
            value => value,
        })
    }

    /// Parses arguments and returns them changed; text that is no JSON stays as it is.
    fn rewrite(&self, arguments: &str, to_other: impl FnOnce(Value) -> Value) -> String {
        if self.is_unchanged() {
            return arguments.to_owned();
        }
        let parsed = serde_json::from_str(arguments);
        parsed.map_or_else(|_| arguments.to_owned(), |value| to_other(value).to_string())
    }
}

/// Returns a name, escaped for a JSON pointer (RFC 6901).
fn pointer_token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn is_accepted(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=MAX_NAME_LENGTH).contains(&name.len()) && name.bytes().all(fits)
}

/// Returns a name that is accepted, with a checksum that keeps it apart from similar ones.
fn replacement_of(name: &str) -> String {
    let fits = |c: &char| c.is_ascii_alphanumeric() || "_.-".contains(*c);
    let letters: String = name.chars().filter(fits).take(MAX_NAME_LENGTH - 9).collect();
    format!("{letters}_{:08x}", crc32fast::hash(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(fields) = value else { panic!("an object") };
        fields
    }

    #[test]
    fn a_list_is_wrapped_and_its_references_keep_their_targets() {
        let mut schema = object(
            json!({"type": "array", "items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "string"}}}),
        );
        let mut shape = ArgumentShape::default();
        shape.wrap(&mut schema);
        assert_eq!(
            Value::from(schema),
            json!({
                "$defs": {"a": {"type": "string"}}, "type": "object",
                "properties": {"value": {"type": "array", "items": {"$ref": "#/$defs/a"}}},
                "required": ["value"],
            })
        );
        let mut tree = object(
            json!({"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#"}, {"$ref": "#/items/anyOf/0"}]}}),
        );
        ArgumentShape::default().wrap(&mut tree);
        let branches = &tree["properties"]["value"]["items"]["anyOf"];
        assert_eq!(branches[1]["$ref"], "#/properties/value");
        assert_eq!(branches[2]["$ref"], "#/properties/value/items/anyOf/0");
        assert_eq!(shape.to_client(r#"{"value":["x"]}"#), r#"["x"]"#);
        assert_eq!(shape.to_client(r#"["x"]"#), r#"["x"]"#);
        assert_eq!(shape.to_service(r#"["x"]"#), r#"{"value":["x"]}"#);
        assert_eq!(shape.to_client("[cut"), "[cut");
    }

    /// If each name took a walk through the schema, this would take hours.
    #[test]
    fn tens_of_thousands_of_unaccepted_names_are_renamed_at_once() {
        let property = |number: usize| {
            let next = format!("#/properties/$p{}", number + 1);
            (format!("$p{number}"), json!({"items": {"$ref": next}}))
        };
        let mut properties: Map<String, Value> = (0..20_000).map(property).collect();
        let required: Vec<_> = properties.keys().cloned().collect();
        properties.insert("$p20000".into(), json!({"$ref": "#/properties/$p0/items"}));
        let mut schema =
            object(json!({"type": "object", "properties": properties, "required": required}));
        let mut shape = ArgumentShape::default();
        assert!(shape.rename_properties(&mut schema));
        assert!(!crate::repair_schema(&mut schema), "every reference has a target");
        let arguments: Map<_, _> =
            properties.into_iter().map(|(name, _)| (name, 1.into())).collect();
        let arguments = Value::from(arguments).to_string();
        assert_eq!(shape.to_client(&shape.to_service(&arguments)), arguments);
    }

    #[test]
    fn tens_of_thousands_of_dangling_references_are_removed_at_once() {
        let property =
            |number: usize| (format!("p{number}"), json!({"$ref": format!("#/$defs/{number}")}));
        let properties: Map<String, Value> = (0..20_000).map(property).collect();
        let mut schema = object(json!({"type": "object", "properties": properties}));
        assert!(crate::repair_schema(&mut schema));
        assert!(!Value::from(schema).to_string().contains("$ref"));
    }

    #[test]
    fn unaccepted_names_of_properties_are_renamed_and_restored() {
        let mut schema = object(json!({
            "type": "object", "required": ["$filter", "plain.name-1"],
            "properties": {"$filter": {"type": "string"}, "plain.name-1": {"$ref": "#/properties/$filter"}, "größe": {}, "filter": {}},
        }));
        let mut shape = ArgumentShape::default();
        assert!(shape.rename_properties(&mut schema));
        let names: Vec<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        assert!(names.iter().all(|name| is_accepted(name)), "{names:?}");
        assert_eq!(schema["required"], json!([names[0], "plain.name-1"]));
        let reference = &schema["properties"]["plain.name-1"]["$ref"];
        assert_eq!(*reference, json!(format!("#/properties/{}", names[0])));
        let sent = shape.to_service(r#"{"$filter":"a","größe":1,"filter":2}"#);
        assert!(!sent.contains('$') && sent.contains(r#""filter":2"#), "{sent}");
        assert_eq!(shape.to_client(&sent), r#"{"$filter":"a","größe":1,"filter":2}"#);
        assert!(!ArgumentShape::default().rename_properties(&mut schema));
    }
}
