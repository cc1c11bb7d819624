//! JSON Schema of the shapes that bodies are checked against.

use crate::http::shape::{MAX_INTEGER, Need, Shape};
use serde_json::{Map, Value, json};

/// Returns the JSON Schema of a shape. Where a shape holds itself, the inner one is not written
/// out.
pub fn to_json_schema(shape: &'static Shape) -> Value {
    write(shape, &mut Vec::new())
}

/// Writes the JSON Schema of a shape. `above` are the shapes that contain it.
fn write(shape: &'static Shape, above: &mut Vec<*const Shape>) -> Value {
    if above.contains(&std::ptr::from_ref(shape)) {
        return json!({"description": "As the one that holds it."});
    }
    above.push(std::ptr::from_ref(shape));
    let schema = match shape {
        Shape::Any => json!({}),
        Shape::Text => json!({"type": "string"}),
        Shape::Kind(kinds) => json!({"type": "string", "examples": kinds}),
        Shape::Word(words) => json!({"enum": words}),
        Shape::Flag => json!({"type": "boolean"}),
        Shape::Number(least, most) => number("number", *least, *most),
        Shape::Whole(least, most) => number("integer", *least, *most),
        Shape::NumberOrText(number) => {
            let spelled = json!({"type": "string", "description": "The number as text."});
            json!({"anyOf": [write(number, above), spelled]})
        }
        Shape::List(_, item) => json!({"type": "array", "items": write(item, above)}),
        Shape::Map(value) => json!({"type": "object", "additionalProperties": write(value, above)}),
        Shape::AnyOf(all) => {
            let all: Vec<_> = all.iter().map(|shape| write(shape, above)).collect();
            json!({"anyOf": all})
        }
        // It has a name, because generators of clients would else make up the same for several.
        Shape::Object([], []) => json!({"$ref": "#/components/schemas/JsonObject"}),
        Shape::Object(fields, needs) => {
            let properties: Map<_, _> = fields
                .iter()
                .map(|(name, shape)| ((*name).to_owned(), write(shape, above)))
                .collect();
            object(properties, needs)
        }
    };
    above.pop();
    schema
}

/// Writes the JSON Schema of an object with these properties.
fn object(properties: Map<String, Value>, needs: &[Need]) -> Value {
    let required: Vec<_> =
        needs.iter().filter(|(kind, _)| kind.is_empty()).map(|(_, name)| *name).collect();
    let by_kind: Vec<_> = needs
        .iter()
        .filter(|(kind, _)| !kind.is_empty())
        .map(|(kind, name)| format!("`{kind}` needs `{name}`"))
        .collect();
    let mut schema = json!({"type": "object"});
    if !properties.is_empty() {
        schema["properties"] = properties.into();
    }
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    if !by_kind.is_empty() {
        schema["description"] = format!("By its `type`: {}.", by_kind.join(", ")).into();
    }
    schema
}

/// Returns the schema of a number, without bounds that every number keeps.
fn number(kind: &str, least: f64, most: f64) -> Value {
    let mut schema = json!({"type": kind});
    if least.is_finite() {
        schema["minimum"] = whole_if_possible(least);
    }
    if most < MAX_INTEGER {
        schema["maximum"] = whole_if_possible(most);
    }
    schema
}

/// Returns a number without decimals, if it has none.
fn whole_if_possible(number: f64) -> Value {
    if number.fract() == 0.0 { (number as i64).into() } else { number.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::shape::{NO_MAXIMUM, NO_MINIMUM};

    static TREE: Shape = Shape::Object(
        &[
            ("type", &Shape::Kind(&["leaf"])),
            ("share", &Shape::Number(0.0, 0.5)),
            ("any", &Shape::Whole(NO_MINIMUM, NO_MAXIMUM)),
            ("branches", &Shape::List("branches", &TREE)),
        ],
        &[("", "type"), ("leaf", "share")],
    );

    #[test]
    fn a_shape_that_holds_itself_becomes_a_schema() {
        let schema = to_json_schema(&TREE);
        let expected = json!({
            "type": "object",
            "description": "By its `type`: `leaf` needs `share`.",
            "required": ["type"],
            "properties": {
                "type": {"type": "string", "examples": ["leaf"]},
                "share": {"type": "number", "minimum": 0, "maximum": 0.5},
                "any": {"type": "integer"},
                "branches": {"type": "array", "items": {"description": "As the one that holds it."}},
            },
        });
        assert_eq!(schema, expected);
    }
}
