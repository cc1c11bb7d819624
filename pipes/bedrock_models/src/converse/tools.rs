//! What the model may call, and what it must.

use super::{
    Target,
    body::{InputSchema, Json, Tool, ToolChoice, ToolConfig, ToolSpec},
};
use crate::{family::Tools, names::Names};
use pipe_sdk::{Body, FunctionTool, PipeError, Result};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::{borrow::Cow, collections::HashSet};

/// The tools of one chat.
pub struct Tooling<'a> {
    /// How they are called at Bedrock.
    pub names: Names,
    /// What must be called.
    pub choice: Choice<'a>,
    specs: Vec<ToolSpec<'a>>,
}

/// What must be called.
#[derive(Debug, PartialEq)]
pub enum Choice<'a> {
    /// The model decides.
    Free,
    /// Nothing: it was said, or there are no tools.
    Forbidden,
    /// Some tool.
    Any,
    /// This tool.
    Named(Cow<'a, str>),
}

impl<'a> Tooling<'a> {
    /// The tools that this chat brings.
    pub fn of(body: &'a Body, target: &Target) -> Result<Self> {
        if !body.tools.is_empty() {
            taken(target).map_err(|message| PipeError::bad_field("tools", message))?;
        }
        let mut names = Names::default();
        let specs = specs(body, &mut names)?;
        let choice = choice(body, &specs, &mut names)?;
        Ok(Self { names, choice, specs })
    }

    /// What Bedrock is to know of tools, for a conversation that has already called these.
    ///
    /// A conversation with calls must bring their tools, even where the client has left them out.
    pub fn config(&mut self, called: &[Cow<'a, str>], choosing: bool) -> Option<ToolConfig<'a>> {
        let unused = self.specs.is_empty() || self.choice == Choice::Forbidden;
        if unused && called.is_empty() {
            return None;
        }
        let mut specs = std::mem::take(&mut self.specs);
        if specs.is_empty() {
            specs.extend(called.iter().map(|name| remembered(name.clone())));
        }
        let tool_choice = match &self.choice {
            Choice::Any if choosing => Some(ToolChoice::Any {}),
            Choice::Named(name) if choosing => Some(ToolChoice::Tool { name: name.clone() }),
            _ => None,
        };
        Some(ToolConfig { tools: specs.into_iter().map(Tool::ToolSpec).collect(), tool_choice })
    }
}

/// All our answers are streamed, and some families call tools in others only.
fn taken(target: &Target) -> Result<(), String> {
    let what = match target.family.tools {
        Tools::Yes => return Ok(()),
        Tools::Unstreamed => "no tools in a streamed answer",
        Tools::No => "no tools",
    };
    Err(format!("model `{}` takes {what}: leave them out, or pick a model that does", target.id))
}

fn specs<'a>(body: &'a Body, names: &mut Names) -> Result<Vec<ToolSpec<'a>>> {
    let mut seen = HashSet::new();
    let mut specs = Vec::with_capacity(body.tools.len());
    for (place, tool) in body.tools.iter().enumerate() {
        let (Some(function), "function") = (&tool.function, tool.kind.as_str()) else {
            let message = "only tools of type `function` are taken";
            return Err(PipeError::bad_field(format!("tools[{place}]"), message));
        };
        // Bedrock refuses a name that stands twice; the first one is meant.
        if seen.insert(function.name.as_str()) {
            specs.push(spec(function, place, names)?);
        }
    }
    Ok(specs)
}

fn spec<'a>(function: &'a FunctionTool, place: usize, names: &mut Names) -> Result<ToolSpec<'a>> {
    let field = |field: &str| format!("tools[{place}].function.{field}");
    if function.name.is_empty() {
        return Err(PipeError::bad_field(field("name"), "a tool needs a name"));
    }
    let json = schema(function.parameters.as_deref())
        .map_err(|message| PipeError::bad_field(field("parameters"), message))?;
    Ok(ToolSpec {
        name: names.fit(&function.name),
        description: function.description.as_deref().filter(|text| !text.trim().is_empty()),
        input_schema: InputSchema { json },
    })
}

/// Bedrock demands that a schema says `"type": "object"`; clients leave it out where there are no parameters.
fn schema(given: Option<&RawValue>) -> Result<Json<'_>, &'static str> {
    #[derive(Deserialize)]
    struct Top {
        r#type: Option<Value>,
    }
    let Some(schema) = given else { return Ok(Json::EmptySchema) };
    let rule = "the parameters of a tool must be a JSON Schema of the type `object`";
    let inside = schema.get().strip_prefix('{').ok_or(rule)?;
    match serde_json::from_str::<Top>(schema.get()).map_err(|_| rule)?.r#type {
        Some(Value::String(kind)) if kind == "object" => Ok(Json::AsItCame(schema)),
        Some(_) => Err(rule),
        None if inside.trim_start().starts_with('}') => Ok(Json::EmptySchema),
        None => {
            let mended = RawValue::from_string(format!(r#"{{"type":"object",{inside}"#));
            mended.map(Json::Mended).map_err(|_| rule)
        }
    }
}

/// A tool that the client has left out, of which only the name is known.
fn remembered(name: Cow<'_, str>) -> ToolSpec<'_> {
    ToolSpec { name, description: None, input_schema: InputSchema { json: Json::EmptySchema } }
}

fn choice<'a>(body: &'a Body, specs: &[ToolSpec<'a>], names: &mut Names) -> Result<Choice<'a>> {
    if specs.is_empty() {
        return Ok(Choice::Forbidden);
    }
    match &body.tool_choice {
        Some(Value::String(word)) if word == "none" => Ok(Choice::Forbidden),
        Some(Value::String(word)) if word == "required" => Ok(Choice::Any),
        Some(Value::Object(choice)) => {
            let function = choice.get("function").and_then(|function| function.get("name"));
            let Some(name) = function.and_then(Value::as_str) else { return Ok(Choice::Free) };
            let name = names.fit(name);
            if specs.iter().any(|spec| spec.name == name) {
                return Ok(Choice::Named(name));
            }
            Err(PipeError::bad_field(
                "tool_choice",
                "tool_choice names a tool that is not in tools",
            ))
        }
        _ => Ok(Choice::Free),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_without_a_type_gets_one_and_is_else_left_as_it_came() {
        for (given, sent) in [
            (
                r#"{ "z": 1.0, "type": "object", "a": 1e3 }"#,
                r#"{ "z": 1.0, "type": "object", "a": 1e3 }"#,
            ),
            ("{ }", r#"{"type":"object","properties":{}}"#),
            ("null", r#"{"type":"object","properties":{}}"#),
            (
                r#"{"properties":{"b":{},"a":{}}}"#,
                r#"{"type":"object","properties":{"b":{},"a":{}}}"#,
            ),
        ] {
            let raw: Option<Box<RawValue>> = serde_json::from_str(given).unwrap();
            let schema = schema(raw.as_deref()).unwrap();
            assert_eq!(serde_json::to_string(&schema).unwrap(), sent);
        }
    }

    #[test]
    fn a_schema_of_something_else_is_refused() {
        for given in [r#""text""#, "[]", r#"{"type":"array"}"#, r#"{"type":["object","null"]}"#] {
            let raw: Box<RawValue> = serde_json::from_str(given).unwrap();
            assert!(schema(Some(&raw)).is_err(), "{given}");
        }
    }
}
