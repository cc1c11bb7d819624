//! What the model may call, and what it must.

use super::{
    Target,
    body::{InputSchema, Json, Tool, ToolChoice, ToolConfig, ToolSpec},
    extras::Extras,
    parts::marked,
    tool_schema::{self, Parameters},
};
use crate::{family::Tools, names::Names};
use pipe_sdk::{Body, FunctionTool, PipeError, Result};
use serde_json::{Map, Value, json};
use std::{borrow::Cow, collections::HashSet};

/// The tools of one chat.
#[derive(Debug)]
pub struct Tooling<'a> {
    /// How they are called at Bedrock.
    pub names: Names,
    /// What must be called.
    pub choice: Choice<'a>,
    tools: Vec<Tool<'a>>,
    /// Those that Claude knows by their definitions, which stand among the model's own fields.
    pub defined: Defined,
}

/// Tools that Claude knows by their definitions, as `bash_20250124`.
#[derive(Debug, Default)]
pub struct Defined {
    /// The definitions.
    pub tools: Vec<Value>,
    /// The betas that they need.
    pub betas: Vec<&'static str>,
    /// What of them must be called, as Anthropic's API has it.
    pub choice: Option<Value>,
}

impl Defined {
    /// Takes this tool, if Claude knows it by its definition.
    fn take(&mut self, tool: &pipe_sdk::Tool) -> bool {
        let Some(beta) = beta_of(&tool.kind) else { return false };
        let mut definition = tool.rest.clone();
        definition.shift_remove("cache_control");
        definition.insert("type".into(), tool.kind.as_str().into());
        if !self.has(definition.get("name").and_then(Value::as_str).unwrap_or_default()) {
            self.tools.push(definition.into());
        }
        if let Some(beta) = beta.filter(|beta| !self.betas.contains(beta)) {
            self.betas.push(beta);
        }
        true
    }

    fn has(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool["name"] == name)
    }
}

/// The beta that a tool of Anthropic's needs at Bedrock; `None` for other tools
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-tool-use.html>).
fn beta_of(kind: &str) -> Option<Option<&'static str>> {
    let (name, version) = kind.rsplit_once('_')?;
    Some(match (name, version) {
        ("bash" | "text_editor" | "computer", "20241022") => Some("computer-use-2024-10-22"),
        ("bash" | "text_editor" | "computer", "20250124") => Some("computer-use-2025-01-24"),
        ("computer", "20251124") => Some("computer-use-2025-11-24"),
        ("text_editor", "20250429" | "20250728") => None,
        ("memory", "20250818") => Some("context-management-2025-06-27"),
        _ => return None,
    })
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
    /// The tools that this chat brings. `drops` leaves them out where the model takes none.
    pub fn of(body: &'a Body, target: &Target, drops: bool) -> Result<Self> {
        let mut names = Names::of(&target.family);
        let mut tools = Vec::new();
        if target.family.grounding && Extras::of(body).get("web_search_options").is_some() {
            tools.push(Tool::Own { name: GROUNDING });
        }
        let mut defined = Defined::default();
        offered(body, target, &mut names, &mut tools, &mut defined)?;
        let choice = choice(body, &mut tools, &mut names, &mut defined)?;
        if choice == Choice::Forbidden {
            defined = Defined::default();
        }
        let unusable = target.family.tools == Tools::No && !tools.is_empty();
        if unusable && drops {
            let (choice, tools) = (Choice::Forbidden, Vec::new());
            return Ok(Self { names, choice, tools, defined });
        }
        if unusable && choice != Choice::Forbidden {
            return Err(PipeError::bad_field("tools", target.takes_no("tools")));
        }
        Ok(Self { names, choice, tools, defined })
    }

    /// Adds a tool that has to be called, or one of the client's in its place.
    pub fn demand(&mut self, spec: ToolSpec<'a>) {
        let alone = !self.has_specs() || self.choice == Choice::Forbidden;
        self.choice = if alone { Choice::Named(spec.name.clone()) } else { Choice::Any };
        self.tools.push(Tool::ToolSpec(spec));
    }

    /// What Bedrock is to know of tools, for a conversation that has already called these.
    ///
    /// A conversation with calls must bring their tools, even where the client has left them out.
    pub fn config(&mut self, called: &[Cow<'a, str>], choosing: bool) -> Option<ToolConfig<'a>> {
        let unused = self.tools.is_empty() || self.choice == Choice::Forbidden;
        if unused && called.is_empty() {
            return None;
        }
        let mut tools = std::mem::take(&mut self.tools);
        if !tools.iter().any(|tool| matches!(tool, Tool::ToolSpec(_))) {
            let unknown = called.iter().filter(|name| !self.defined.has(name));
            tools.extend(unknown.map(|name| remembered(name.clone())));
            if tools.is_empty() {
                // Converse wants tools beside calls, and does not count those among the model's own fields.
                tools.push(remembered("no_tool".into()));
            }
        }
        let tool_choice = match &self.choice {
            Choice::Any | Choice::Named(_) if self.defined.choice.is_some() => None,
            Choice::Any if choosing => Some(ToolChoice::Any {}),
            Choice::Named(name) if choosing => Some(ToolChoice::Tool { name: name.clone() }),
            _ => None,
        };
        Some(ToolConfig { tools, tool_choice })
    }

    /// Whether one of the client's tools is called so.
    pub fn has(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| is_called(tool, name))
    }

    /// How its tools are called at Bedrock.
    pub fn called_so(&self) -> Vec<String> {
        let specs = self.tools.iter().filter_map(|tool| match tool {
            Tool::ToolSpec(spec) => Some(spec.name.clone().into_owned()),
            Tool::Own { .. } | Tool::CachePoint(_) => None,
        });
        specs.collect()
    }

    fn has_specs(&self) -> bool {
        self.tools.iter().any(|tool| matches!(tool, Tool::ToolSpec(_)))
    }
}

/// Nova's own search of the web.
const GROUNDING: &str = "nova_grounding";

fn offered<'a>(
    body: &'a Body,
    target: &Target,
    names: &mut Names,
    tools: &mut Vec<Tool<'a>>,
    defined: &mut Defined,
) -> Result<()> {
    let mut seen = HashSet::new();
    for (place, tool) in body.tools.iter().enumerate() {
        if target.family.grounding && tool.kind == GROUNDING {
            tools.push(Tool::Own { name: GROUNDING });
            continue;
        }
        if target.is_claude() && defined.take(tool) {
            continue;
        }
        let field = |field: &str| format!("tools[{place}].{field}");
        let spec = match (&tool.function, tool.kind.as_str()) {
            (Some(function), _) => spec(function, place, target, names)?,
            // The shapes of OpenAI's Responses and of Anthropic's Messages.
            (None, "function") => loose(&tool.rest, field, target, names)?,
            (None, "custom") if tool.rest.contains_key("input_schema") => {
                loose(&tool.rest, field, target, names)?
            }
            _ => {
                let message = "only tools of type `function` are taken";
                return Err(PipeError::bad_field(field("type"), message));
            }
        };
        // Bedrock refuses a name that stands twice; the first one is meant.
        if seen.insert(spec.name.clone()) {
            tools.push(Tool::ToolSpec(spec));
        }
        tools.extend(marked(&tool.rest).map(Tool::CachePoint));
    }
    if body.tools.is_empty() {
        older(body, target, names, tools)?;
    }
    Ok(())
}

/// The `functions` of older clients.
fn older<'a>(
    body: &'a Body,
    target: &Target,
    names: &mut Names,
    tools: &mut Vec<Tool<'a>>,
) -> Result<()> {
    let Some(functions) = Extras::of(body).get("functions").and_then(Value::as_array) else {
        return Ok(());
    };
    let mut seen = HashSet::new();
    for (place, function) in functions.iter().enumerate() {
        let field = |field: &str| format!("functions[{place}].{field}");
        let function = function.as_object().ok_or_else(|| {
            PipeError::bad_field(format!("functions[{place}]"), "a function must be an object")
        })?;
        let spec = loose(function, field, target, names)?;
        if seen.insert(spec.name.clone()) {
            tools.push(Tool::ToolSpec(spec));
        }
    }
    Ok(())
}

/// A tool whose parts stand in other places than OpenAI's.
fn loose<'a>(
    tool: &'a Map<String, Value>,
    field: impl Fn(&str) -> String,
    target: &Target,
    names: &mut Names,
) -> Result<ToolSpec<'a>> {
    let text = |name: &str| tool.get(name)?.as_str().filter(|text| !text.trim().is_empty());
    let name =
        text("name").ok_or_else(|| PipeError::bad_field(field("name"), "a tool needs a name"))?;
    let place = if tool.contains_key("input_schema") { "input_schema" } else { "parameters" };
    let Parameters { json, note } = tool_schema::of_value(tool.get(place), &target.family)
        .map_err(|message| PipeError::bad_field(field(place), message))?;
    let strict = tool.get("strict").and_then(Value::as_bool);
    Ok(ToolSpec {
        name: names.fit(name),
        description: described(text("description"), note),
        input_schema: InputSchema { json },
        strict: strict.filter(|strict| *strict && target.family.strict),
    })
}

fn spec<'a>(
    function: &'a FunctionTool,
    place: usize,
    target: &Target,
    names: &mut Names,
) -> Result<ToolSpec<'a>> {
    let field = |field: &str| format!("tools[{place}].function.{field}");
    if function.name.is_empty() {
        return Err(PipeError::bad_field(field("name"), "a tool needs a name"));
    }
    let Parameters { json, note } = tool_schema::of(function.parameters.as_deref(), &target.family)
        .map_err(|message| PipeError::bad_field(field("parameters"), message))?;
    Ok(ToolSpec {
        name: names.fit(&function.name),
        description: described(function.description.as_deref(), note),
        input_schema: InputSchema { json },
        strict: function.strict.filter(|strict| *strict && target.family.strict),
    })
}

/// What a tool says of itself, and what its schema could not say.
pub fn described(description: Option<&str>, note: String) -> Option<Cow<'_, str>> {
    let description = description.filter(|text| !text.trim().is_empty());
    match (description, note.trim()) {
        (description, "") => description.map(Cow::Borrowed),
        (None, _) => Some(note.into()),
        // Generators write the same words in both places.
        (Some(description), note) => {
            let more = note.strip_prefix(description.trim()).unwrap_or(note).trim();
            let more = if description.contains(more) { "" } else { more };
            Some(format!("{} {more}", description.trim_end()).trim_end().to_owned().into())
        }
    }
}

/// A tool that the client has left out, of which only the name is known.
fn remembered(name: Cow<'_, str>) -> Tool<'_> {
    let input_schema = InputSchema { json: Json::EmptySchema };
    Tool::ToolSpec(ToolSpec { name, description: None, input_schema, strict: None })
}

fn choice<'a>(
    body: &'a Body,
    tools: &mut Vec<Tool<'a>>,
    names: &mut Names,
    defined: &mut Defined,
) -> Result<Choice<'a>> {
    if tools.is_empty() && defined.tools.is_empty() {
        return Ok(Choice::Forbidden);
    }
    let chosen = chosen(body, tools, names, defined)?;
    let has_specs = tools.iter().any(|tool| matches!(tool, Tool::ToolSpec(_)));
    defined.choice = match &chosen {
        Choice::Named(name) if defined.has(name) => Some(json!({"type": "tool", "name": name})),
        Choice::Any if !has_specs => Some(json!({"type": "any"})),
        _ => None,
    };
    Ok(chosen)
}

fn chosen<'a>(
    body: &'a Body,
    tools: &mut Vec<Tool<'a>>,
    names: &mut Names,
    defined: &Defined,
) -> Result<Choice<'a>> {
    let given = body.tool_choice.as_ref().or_else(|| Extras::of(body).get("function_call"));
    let rule = || {
        PipeError::bad_field(
            "tool_choice",
            "tool_choice must be none, auto, required, or an object that names a tool",
        )
    };
    match given {
        None | Some(Value::Null) => Ok(Choice::Free),
        Some(Value::String(word)) => mode(word).ok_or_else(rule),
        Some(Value::Object(choice)) => {
            let kind = choice.get("type").and_then(Value::as_str).unwrap_or_default();
            if kind == "allowed_tools" {
                return allowed(
                    choice.get("allowed_tools").unwrap_or(&Value::Null),
                    choice.get("mode"),
                    choice.get("tools"),
                    tools,
                    names,
                );
            }
            let function = choice.get("function").and_then(|function| function.get("name"));
            let Some(name) = function.or_else(|| choice.get("name")).and_then(Value::as_str) else {
                return mode(kind).ok_or_else(rule);
            };
            let name = names.fit(name);
            if defined.has(&name) || tools.iter().any(|tool| is_called(tool, &name)) {
                return Ok(Choice::Named(name));
            }
            Err(PipeError::bad_field(
                "tool_choice",
                "tool_choice names a tool that is not in tools",
            ))
        }
        Some(_) => Err(rule()),
    }
}

fn mode<'a>(word: &str) -> Option<Choice<'a>> {
    match word {
        "" | "auto" => Some(Choice::Free),
        "none" => Some(Choice::Forbidden),
        "required" | "any" => Some(Choice::Any),
        _ => None,
    }
}

/// Leaves only the tools that are allowed. Their list stands in an object of its own, or beside the type.
fn allowed<'a>(
    within: &'a Value,
    mode_beside: Option<&'a Value>,
    tools_beside: Option<&'a Value>,
    tools: &mut Vec<Tool<'a>>,
    names: &mut Names,
) -> Result<Choice<'a>> {
    let field = "tool_choice.allowed_tools";
    let fault = |rule: &str| PipeError::bad_field(field, format!("{field}: {rule}"));
    let list = within.get("tools").or(tools_beside).and_then(Value::as_array);
    let list = list.ok_or_else(|| fault("name the tools in `tools`"))?;
    let name =
        |tool: &'a Value| tool["function"]["name"].as_str().or_else(|| tool["name"].as_str());
    let allowed: HashSet<_> =
        list.iter().filter_map(name).map(|name| names.fit(name).into_owned()).collect();
    tools.retain(|tool| match tool {
        Tool::ToolSpec(spec) => allowed.contains(spec.name.as_ref()),
        Tool::Own { .. } | Tool::CachePoint(_) => true,
    });
    if !tools.iter().any(|tool| matches!(tool, Tool::ToolSpec(_))) {
        return Err(fault("none of them is in tools"));
    }
    let word = within.get("mode").or(mode_beside).and_then(Value::as_str).unwrap_or("auto");
    mode(word).ok_or_else(|| fault("its mode must be auto or required"))
}

fn is_called(tool: &Tool<'_>, name: &str) -> bool {
    matches!(tool, Tool::ToolSpec(spec) if spec.name == name)
}
