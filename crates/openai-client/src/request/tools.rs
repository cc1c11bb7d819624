//! The tools of a chat as OpenAI-compatible servers accept them.

use super::{ExtraFields, Vendor};
use crate::quirks::Quirks;
use pipe_sdk::{Body, FunctionTool, Tool};
use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};
use std::{borrow::Cow, collections::HashSet};
use tool_schema::{
    ArgumentShape, COMPOSITION_KEYWORDS, KeywordSet, SentTools, SimplifiedSchema,
    add_missing_items, allows_object, limit_nesting, merge_composition, move_to_description,
    repair_schema, simplify_schema,
};

/// The tools of a chat.
#[derive(Default)]
pub(super) struct RequestTools<'a> {
    pub tools: Vec<RequestTool<'a>>,
    /// The form in which they were sent.
    pub sent: SentTools,
    /// The types of those that the server does not have, and the names of those that are too many.
    pub left_out: Vec<String>,
    /// The names and descriptions of those whose description is too long.
    pub long_descriptions: Vec<(String, String)>,
}

/// A tool.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum RequestTool<'a> {
    Function {
        r#type: &'static str,
        function: RequestFunction<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Value>,
    },
    /// A tool of the server's own, whose fields only the server knows.
    Hosted {
        r#type: &'a str,
        #[serde(flatten)]
        fields: ExtraFields<'a>,
    },
}

/// A function that the model may call.
#[derive(Serialize)]
pub(super) struct RequestFunction<'a> {
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Cow<'a, str>>,
    parameters: Parameters<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// The schema of a function's arguments.
#[derive(Serialize)]
#[serde(untagged)]
enum Parameters<'a> {
    /// JSON in the client's own text.
    Raw(&'a RawValue),
    Value(Value),
}

impl Parameters<'_> {
    /// Returns whether arguments can be bound to the schema exactly: OpenAI refuses `strict` for a
    /// schema that leaves something open.
    fn is_strict(&self) -> bool {
        match self {
            Self::Raw(raw) => {
                serde_json::from_str(raw.get()).is_ok_and(|schema| is_closed(&schema))
            }
            Self::Value(schema) => is_closed(schema),
        }
    }
}

/// Returns whether each object of this schema has no other properties, and all of them are required
/// (<https://platform.openai.com/docs/guides/structured-outputs>).
pub(super) fn is_closed(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let is_object = match &schema["type"] {
                Value::Array(kinds) => kinds.iter().any(|kind| kind == "object"),
                kind => kind == "object",
            };
            let names = schema["properties"].as_object();
            let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
            let is_required = |name: &String| required.iter().any(|one| one == name.as_str());
            let has_all = names.into_iter().flatten().all(|(name, _)| is_required(name));
            (!is_object || schema["additionalProperties"] == false && has_all)
                && fields.values().all(is_closed)
        }
        Value::Array(items) => items.iter().all(is_closed),
        _ => true,
    }
}

/// The deepest nesting of a schema.
const MAX_DEPTH: usize = 100;

impl<'a> RequestTools<'a> {
    /// Returns the tools of this chat. What a server with these quirks does not have is left out.
    pub fn from_body(body: &'a Body, vendor: Vendor, quirks: Quirks) -> Self {
        let mut made = Self::default();
        let mut names = HashSet::new();
        let allowed = allowed_names(body);
        let chosen = choose_tools(body, quirks.max_tools(vendor));
        for (place, tool) in body.tools.iter().enumerate() {
            let name = tool.function.as_ref().map(|function| function.name.as_str());
            if allowed.as_ref().is_some_and(|allowed| name.is_none_or(|n| !allowed.contains(n))) {
                continue;
            }
            let is_left_out = chosen.as_ref().is_some_and(|chosen| !chosen.contains(&place));
            let Some(function) = &tool.function else {
                let is_foreign = vendor.is_strict() || quirks.no_hosted_tools;
                made.add_hosted(tool, is_foreign || is_left_out);
                continue;
            };
            if is_left_out {
                made.left_out.push(function.name.clone());
                continue;
            }
            // The first one of a name is meant.
            if names.insert(function.name.as_str()) {
                let is_cached = !vendor.is_strict() && !quirks.no_cache_control;
                let cache_control = tool.rest.get("cache_control").filter(|_| is_cached);
                let function = made.function(function, quirks);
                made.tools.push(RequestTool::Function {
                    r#type: "function",
                    function,
                    cache_control,
                });
            }
        }
        made
    }

    /// Adds a tool that runs at the server, or notes that it is left out.
    fn add_hosted(&mut self, tool: &'a Tool, is_left_out: bool) {
        if is_left_out {
            self.left_out.push(tool.kind.clone());
        } else {
            let fields = ExtraFields(tool.rest.iter().collect());
            self.tools.push(RequestTool::Hosted { r#type: &tool.kind, fields });
        }
    }

    /// Returns a function in a form that the server accepts.
    fn function(&mut self, function: &'a FunctionTool, quirks: Quirks) -> RequestFunction<'a> {
        let FunctionTool { name, description, parameters, strict } = function;
        let mut shape = ArgumentShape::default();
        let (parameters, note) = fit(parameters.as_deref(), quirks, &mut shape);
        self.sent.add_shape(name, shape);
        let description = description.as_deref().filter(|text| !text.trim().is_empty());
        let description = match (description, note.trim()) {
            (None, "") => None,
            (Some(text), "") => Some(Cow::Borrowed(text)),
            (text, note) => {
                Some(format!("{} {note}", text.unwrap_or_default()).trim().to_owned().into())
            }
        };
        let name = self.sent.to_service(name);
        let description = self.limit_description(&name, description, quirks.max_description());
        let strict = strict.filter(|strict| !strict || parameters.is_strict());
        RequestFunction { name, description, parameters, strict }
    }

    /// Returns the description within this length. The rest goes into a system message.
    fn limit_description(
        &mut self,
        name: &str,
        description: Option<Cow<'a, str>>,
        limit: usize,
    ) -> Option<Cow<'a, str>> {
        let text = description.as_deref().unwrap_or_default();
        if text.chars().nth(limit).is_none() {
            return description;
        }
        let short: String = text.chars().take(limit).collect();
        self.long_descriptions.push((name.to_owned(), text.to_owned()));
        Some(short.into())
    }

    /// Returns the choice of tools, under the names that are sent.
    pub fn choice(&mut self, body: &'a Body) -> Option<Cow<'a, Value>> {
        let choice = body.tool_choice.as_ref().filter(|choice| !choice.is_null())?;
        if self.tools.is_empty() {
            return None;
        }
        if choice == "any" {
            return Some(Cow::Owned("required".into()));
        }
        if let Some(allowed) = allowed_tools(body) {
            return Some(Cow::Borrowed(allowed.get("mode")?));
        }
        let Some(name) = choice["function"]["name"].as_str() else {
            return Some(Cow::Borrowed(choice));
        };
        Some(match self.sent.to_service(name) {
            Cow::Borrowed(_) => Cow::Borrowed(choice),
            Cow::Owned(name) => Cow::Owned(json!({"type": "function", "function": {"name": name}})),
        })
    }

    /// Returns whether the chat demands a call, and all its tools were left out.
    pub fn lacks_demanded_tool(&self, body: &Body) -> bool {
        let demands =
            |choice: &Value| choice == "required" || choice == "any" || choice.is_object();
        self.tools.is_empty()
            && !self.left_out.is_empty()
            && body.tool_choice.as_ref().is_some_and(demands)
    }
}

/// Returns the tools among which the model may choose, if the chat has more. Most servers know no
/// such choice, so the others are not sent.
fn allowed_tools(body: &Body) -> Option<&Value> {
    let choice = body.tool_choice.as_ref()?;
    choice.get("allowed_tools").filter(|_| choice["type"] == "allowed_tools")
}

fn allowed_names(body: &Body) -> Option<HashSet<&str>> {
    let tools = allowed_tools(body)?.get("tools")?.as_array()?;
    Some(tools.iter().filter_map(|tool| tool["function"]["name"].as_str()).collect())
}

/// Returns the places of the tools to send where a server accepts no more than these; `None` if all
/// are sent. What must be called and what was called before is kept, then the first ones.
fn choose_tools(body: &Body, limit: usize) -> Option<HashSet<usize>> {
    if body.tools.len() <= limit {
        return None;
    }
    let calls = body.messages.iter().flat_map(|message| &message.tool_calls);
    let allowed = allowed_names(body).into_iter().flatten();
    let demanded = body.tool_choice.as_ref().and_then(|choice| choice["function"]["name"].as_str());
    let wanted: HashSet<&str> =
        calls.map(|call| call.function.name.as_str()).chain(demanded).chain(allowed).collect();
    let is_demanded = |tool: &Tool| {
        let name = tool.function.as_ref().map(|function| function.name.as_str());
        (name != demanded || name.is_none(), !name.is_some_and(|name| wanted.contains(name)))
    };
    let mut places: Vec<usize> = (0..body.tools.len()).collect();
    places.sort_by_key(|place| body.tools.get(*place).map(is_demanded));
    places.truncate(limit);
    Some(places.into_iter().collect())
}

/// Returns the schema in a form that servers accept, and what it cannot say. One that is accepted
/// stays as it came, because upstreams cache by its text.
fn fit<'a>(
    given: Option<&'a RawValue>,
    quirks: Quirks,
    shape: &mut ArgumentShape,
) -> (Parameters<'a>, String) {
    let empty = || Parameters::Value(json!({"type": "object", "properties": {}}));
    let Some(given) = given else { return (empty(), String::new()) };
    let limited = limit_nesting(given.get(), MAX_DEPTH);
    let mut schema = match serde_json::from_str(&limited) {
        Ok(Value::Object(schema)) if !schema.is_empty() => schema,
        Ok(Value::Object(_) | Value::Bool(true) | Value::Null) => return (empty(), String::new()),
        // As PHP writes an object without members.
        Ok(Value::Array(members)) if members.is_empty() => return (empty(), String::new()),
        // The server says what is wrong.
        Ok(_) | Err(_) => return (Parameters::Raw(given), String::new()),
    };
    let mut changed = matches!(limited, Cow::Owned(_)) | adapt(&mut schema, shape);
    if quirks.plain_schemas {
        let SimplifiedSchema { schema, note } = simplify_schema(&schema, KeywordSet::Minimal);
        return (Parameters::Value(schema), note);
    }
    changed |= add_missing_items(&mut schema);
    let parameters =
        if changed { Parameters::Value(schema.into()) } else { Parameters::Raw(given) };
    (parameters, String::new())
}

/// Makes a schema one of JSON Schema whose root is an object; whether that changed it.
fn adapt(schema: &mut Map<String, Value>, shape: &mut ArgumentShape) -> bool {
    if !allows_object(schema) {
        shape.wrap(schema);
    }
    let mut changed = !shape.is_unchanged();
    if schema.get("type").is_none_or(|kind| kind != "object") {
        // In its place, if it has one.
        schema.insert("type".into(), "object".into());
        changed = true;
    }
    changed |= repair_schema(schema);
    if COMPOSITION_KEYWORDS.iter().any(|keyword| schema.contains_key(*keyword)) {
        *schema = merge_composition(std::mem::take(schema));
        changed = true;
    }
    // OpenAI refuses these, too, at the root.
    changed | move_to_description(schema, &["enum", "const", "not"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(schema: &Value) -> (Value, ArgumentShape) {
        let raw: Box<RawValue> = serde_json::from_str(&schema.to_string()).unwrap();
        let mut shape = ArgumentShape::default();
        let (parameters, _) = fit(Some(&raw), Quirks::default(), &mut shape);
        (serde_json::to_value(&parameters).unwrap(), shape)
    }

    #[test]
    fn schemas_of_the_wild_become_objects_that_openai_accepts() {
        let empty = json!({"type": "object", "properties": {}});
        for (given, sent) in [
            (json!({}), empty.clone()),
            (json!([]), empty.clone()),
            (json!(true), empty),
            (
                json!({"properties": [], "required": null, "type": "OBJECT"}),
                json!({"properties": {}, "type": "object"}),
            ),
            (
                json!({"type": ["object", "null"], "properties": {"a": {"type": "array"}}}),
                json!({"type": "object", "properties": {"a": {"type": "array", "items": {}}}}),
            ),
        ] {
            assert_eq!(fitted(&given).0, sent, "{given}");
        }
        let choice = json!({"anyOf": [{"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"b": {}}}]});
        let (sent, _) = fitted(&choice);
        assert_eq!(sent["type"], "object");
        assert!(sent.get("anyOf").is_none() && sent["properties"]["b"].is_object(), "{sent}");
        let (sent, shape) = fitted(&json!({"type": "array", "items": {"type": "string"}}));
        assert_eq!(sent["properties"]["value"]["type"], "array");
        assert_eq!(shape.to_client(r#"{"value":["a"]}"#), r#"["a"]"#);
    }

    #[test]
    fn strict_is_asked_for_where_a_schema_leaves_nothing_open() {
        let inner = json!({"type": "object", "properties": {"b": {}}, "required": ["b"], "additionalProperties": false});
        let closed = json!({"type": "object", "properties": {"a": inner, "type": {"type": "string"}}, "required": ["a", "type"], "additionalProperties": false});
        assert!(is_closed(&closed));
        for open in [
            json!({"type": "object", "properties": {}}),
            json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false}),
            json!({"type": "object", "properties": {"a": {"type": ["object", "null"]}}, "required": ["a"], "additionalProperties": false}),
        ] {
            assert!(!is_closed(&open), "{open}");
        }
    }

    #[test]
    fn a_schema_that_is_accepted_keeps_its_text() {
        let text = r#"{ "type":"object", "properties":{"z":{"type":"number","minimum":1.0}} }"#;
        let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
        let (parameters, _) = fit(Some(&raw), Quirks::default(), &mut ArgumentShape::default());
        assert!(matches!(parameters, Parameters::Raw(raw) if raw.get() == text));
    }
}
