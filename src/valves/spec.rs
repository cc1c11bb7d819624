//! The specification of valves: the pipe's schema, reduced to what Open WebUI's form understands.
//!
//! The form reads each property's own `title`, `description`, `type` and `enum`, and nothing behind
//! a `$ref` or `anyOf` (`docs/reference/open-webui.md`, "Valves form"). So every property is made
//! plain here, once, and the reading of values goes by the same properties.

use super::{
    ModelReference, PathKind, Values, credentials::holds_credentials,
    model_reference::parse_references,
};
use pipe_sdk::{Secret, Valves};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The valve of long forms that shows the advanced valves. The host adds it.
pub const SHOW_ADVANCED: &str = "show_advanced";

/// All valves of one pipe, in the order of its struct.
#[derive(Debug)]
pub struct ValvesSpec {
    properties: Vec<ValveProperty>,
}

/// One valve.
#[derive(Debug)]
pub struct ValveProperty {
    /// The field's name.
    pub name: String,
    /// The kind of values.
    pub kind: ValveKind,
    /// `true` if the form may leave it empty, as it may any secret.
    pub nullable: bool,
    /// `true` if its schema accepts `null`.
    pub accepts_null: bool,
    /// The default.
    pub default: Value,
    /// The valves that may hold the address to which the secret is sent; empty if the valve is no
    /// secret.
    pub origins: Vec<String>,
    /// The type of JSON that it takes, if it is neither a text, a number nor a list of texts.
    pub json_type: Option<String>,
    /// `true` if such a secret is not sent anywhere while there is no address.
    pub is_unbound: bool,
    /// `true` if it is the URL of a database with its credentials.
    pub is_database: bool,
    /// `true` if only the operator can set it, in `valves.toml` or the environment: with it, one
    /// could do what admins must not, such as run programs.
    pub is_operators: bool,
    /// The variables of other programs that set its default, the first before the others.
    pub default_variables: Vec<String>,
    /// True if short forms have it, too.
    pub is_everyday: bool,
    /// `true` if it names models of this host.
    pub names_models: bool,
    /// The purpose of the path, if it is one. It is relative to the data folder.
    pub path_kind: Option<PathKind>,
    /// The property in the form's schema.
    pub form: Map<String, Value>,
}

/// The kind of values that a valve takes.
#[derive(Debug, PartialEq)]
pub enum ValveKind {
    /// Any text.
    Text,
    /// A text that is never shown.
    Secret,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A boolean.
    Boolean,
    /// One of these.
    Choice(Vec<Value>),
    /// Any number of texts.
    List,
    /// Any JSON, which the form shows as text.
    Json,
}

impl ValvesSpec {
    /// Returns the specification of these valves.
    pub fn for_valves<V: Valves>() -> Self {
        let settings =
            SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        let schema = settings.into_generator().into_root_schema_for::<V>().to_value();
        let defaults = serde_json::to_value(V::default()).unwrap_or_default();
        let properties =
            schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let property = |(name, schema): (String, Value)| {
            let default = defaults.get(&name).cloned().unwrap_or_default();
            ValveProperty::new(name, &schema, default)
        };
        let mut properties: Vec<_> = properties.into_iter().map(property).collect();
        if properties.iter().any(|property| property.is_everyday) {
            properties.insert(0, show_advanced());
        }
        Self { properties }
    }

    /// Returns the specification of these valves, which need not be a struct's.
    pub fn from_properties(properties: Vec<ValveProperty>) -> Self {
        Self { properties }
    }

    /// Returns the valves in order.
    pub fn properties(&self) -> impl Iterator<Item = &ValveProperty> {
        self.properties.iter()
    }

    /// Returns the valve with this name.
    pub fn property(&self, name: &str) -> Option<&ValveProperty> {
        self.properties.iter().find(|property| property.name == name)
    }

    /// Returns the models that these values name, of valves that `is_wanted` lets pass.
    pub fn references(
        &self,
        values: &Values,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Vec<ModelReference> {
        let wanted = self.properties().filter(|one| one.names_models && is_wanted(&one.name));
        let texts = wanted.filter_map(|one| Some((&one.name, values.get(&one.name)?.as_str()?)));
        texts.flat_map(|(name, text)| parse_references(name, text)).collect()
    }

    /// Returns the default of every valve.
    pub fn defaults(&self) -> Values {
        self.properties()
            .map(|property| (property.name.clone(), property.default.clone()))
            .collect()
    }

    /// Returns the specification as JSON, without what depends on values.
    pub fn to_json(&self) -> Value {
        let properties: Map<_, _> = self
            .properties()
            .map(|property| (property.name.clone(), property.form.clone().into()))
            .collect();
        json!({"title": "Valves", "type": "object", "properties": properties})
    }

    /// Returns the values in order, with secrets masked, also those within texts and JSON, and
    /// empty texts as `null` (the form cannot save an empty text).
    pub fn mask_values(&self, values: &Values) -> Values {
        let show = |property: &ValveProperty| {
            let value = values.get(&property.name).cloned().unwrap_or_default();
            let value = match (&property.kind, &value) {
                (ValveKind::Secret, Value::String(secret)) if !secret.is_empty() => {
                    Secret::MASK.into()
                }
                // The page joins the items of a list.
                (ValveKind::List, _) if property.hides(&value) => vec![Secret::MASK].into(),
                _ if property.hides(&value) => Secret::MASK.into(),
                (ValveKind::Json, Value::Object(_) | Value::Array(_)) => value.to_string().into(),
                (_, Value::String(text)) if text.is_empty() => Value::Null,
                _ => value,
            };
            (property.name.clone(), value)
        };
        self.properties().map(show).collect()
    }
}

impl ValveProperty {
    /// Returns the valve with this JSON schema, which refers to no other schema.
    pub fn new(name: String, schema: &Value, default: Value) -> Self {
        let (plain, accepts_null) = without_null(schema);
        let choices = enum_choices(plain);
        let secret = plain.get("writeOnly").and_then(Value::as_bool).unwrap_or_default();
        let kind = match (plain_type(plain), choices) {
            (_, Some(choices)) => ValveKind::Choice(choices),
            (Some("integer"), _) => ValveKind::Integer,
            (Some("number"), _) => ValveKind::Number,
            (Some("boolean"), _) => ValveKind::Boolean,
            (Some("array"), _) if has_plain_items(plain) => ValveKind::List,
            (Some("array" | "object"), _) => ValveKind::Json,
            _ if secret => ValveKind::Secret,
            _ => ValveKind::Text,
        };
        let origins = match schema.get("x-origin") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(name)) => vec![name.as_str()],
            _ => Vec::new(),
        };
        let origins = origins.into_iter().map(str::to_owned).collect();
        let json_type = plain_type(plain).filter(|_| kind == ValveKind::Json).map(str::to_owned);
        let form = form_property(&name, schema, plain, &kind, &default);
        let path_kind = schema.get("x-place").and_then(Value::as_str).and_then(PathKind::parse);
        let is = |keyword: &str| schema.get(keyword).and_then(Value::as_bool).unwrap_or_default();
        let (is_unbound, is_database) = (is("x-unbound"), is("x-database"));
        let (names_models, is_operators) = (is("x-models"), is("x-operator"));
        let default_variables = schema.get("x-default-variables").and_then(Value::as_array);
        let default_variables = default_variables.into_iter().flatten();
        let default_variables =
            default_variables.filter_map(|name| Some(name.as_str()?.to_owned())).collect();
        Self {
            name,
            kind,
            nullable: accepts_null || secret,
            accepts_null,
            default,
            origins,
            json_type,
            is_unbound,
            is_database,
            is_operators,
            default_variables,
            is_everyday: is("x-everyday"),
            names_models,
            path_kind,
            form,
        }
    }

    /// Returns whether a value is masked because it holds credentials, though the valve is no
    /// secret by its kind.
    pub fn hides(&self, value: &Value) -> bool {
        matches!(self.kind, ValveKind::Text | ValveKind::Json | ValveKind::List)
            && holds_credentials(value)
    }

    /// Returns a number of the schema, as in `bound("maximum")`.
    pub fn bound(&self, keyword: &str) -> Option<f64> {
        self.form.get(keyword).and_then(Value::as_f64)
    }
}

/// Returns the valve that shows the advanced ones.
fn show_advanced() -> ValveProperty {
    let schema = json!({
        "type": "boolean",
        "title": "Show advanced settings",
        "description": "Shows every setting of this pipe. While it is off, the form has the everyday \
                        ones and those that were changed here. Save to switch.",
    });
    ValveProperty::new(SHOW_ADVANCED.into(), &schema, false.into())
}

/// Returns the schema without its `anyOf` with null, and whether it accepts null.
fn without_null(schema: &Value) -> (&Value, bool) {
    let is_null = |schema: &&Value| schema["type"] == "null";
    match schema.get("anyOf").and_then(Value::as_array) {
        Some(any) => {
            let plain = any.iter().find(|schema| !is_null(schema)).unwrap_or(schema);
            (plain, any.iter().any(|schema| is_null(&schema)))
        }
        None => {
            (schema, schema["type"].as_array().is_some_and(|types| types.contains(&"null".into())))
        }
    }
}

/// Returns the type that is not null.
fn plain_type(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        other => other.as_str(),
    }
}

/// Returns whether the items of an array are texts, numbers or booleans, which the form can join
/// with commas.
fn has_plain_items(schema: &Value) -> bool {
    !matches!(plain_type(&schema["items"]), Some("object" | "array"))
        && schema["items"].get("anyOf").is_none()
}

/// Returns the choices of an enum. Variants with a doc comment are in `oneOf` as a `const`, those
/// without as one `enum` among them.
fn enum_choices(schema: &Value) -> Option<Vec<Value>> {
    let listed = |schema: &Value| schema.get("enum").and_then(Value::as_array).cloned();
    let variant = |schema: &Value| {
        listed(schema).unwrap_or_else(|| schema.get("const").cloned().into_iter().collect())
    };
    let of_variants = |variants: &Vec<Value>| variants.iter().flat_map(variant).collect();
    let choices: Vec<Value> = listed(schema)
        .or_else(|| schema.get("oneOf").and_then(Value::as_array).map(of_variants))?;
    Some(choices.into_iter().filter(|choice| !choice.is_null()).collect())
}

/// Returns a property for the form: a title, a plain type, nothing nested, and no default for
/// secrets.
fn form_property(
    name: &str,
    schema: &Value,
    plain: &Value,
    kind: &ValveKind,
    default: &Value,
) -> Map<String, Value> {
    let mut form = Map::new();
    form.insert(
        "title".into(),
        schema.get("title").cloned().unwrap_or_else(|| title_from_name(name).into()),
    );
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let help = plain_help(description) + &range_help(plain);
    if !help.is_empty() {
        form.insert("description".into(), help.trim_start().into());
    }
    form.insert("type".into(), type_name(kind, plain).into());
    match kind {
        ValveKind::Choice(choices) => _ = form.insert("enum".into(), choices.clone().into()),
        ValveKind::List => _ = form.insert("items".into(), json!({"type": "string"})),
        ValveKind::Text
        | ValveKind::Secret
        | ValveKind::Integer
        | ValveKind::Number
        | ValveKind::Boolean
        | ValveKind::Json => {}
    }
    for keyword in
        ["minimum", "maximum", "minLength", "maxLength", "minItems", "writeOnly", "input"]
    {
        if let Some(value) = plain.get(keyword) {
            form.insert(keyword.into(), value.clone());
        }
    }
    match kind {
        ValveKind::Secret => _ = form.insert("format".into(), "password".into()),
        ValveKind::Text | ValveKind::Json | ValveKind::List if holds_credentials(default) => {}
        _ => _ = form.insert("default".into(), default.clone()),
    }
    form
}

/// Returns the range of a number in words: the form shows no others.
fn range_help(schema: &Value) -> String {
    match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
        (Some(least), Some(most)) => format!(" From {least} to {most}."),
        _ => String::new(),
    }
}

/// Returns a doc comment as one plain line for the form.
fn plain_help(description: &str) -> String {
    description.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn type_name(kind: &ValveKind, plain: &Value) -> &'static str {
    match kind {
        ValveKind::Text | ValveKind::Secret | ValveKind::Json => "string",
        ValveKind::Integer => "integer",
        ValveKind::Number => "number",
        ValveKind::Boolean => "boolean",
        ValveKind::List => "array",
        ValveKind::Choice(_) if plain_type(plain) == Some("integer") => "integer",
        ValveKind::Choice(_) => "string",
    }
}

/// Returns a title for a valve: `Idle timeout` for `idle_timeout`.
fn title_from_name(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
