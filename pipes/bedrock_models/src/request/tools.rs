//! Converts tools and the choice of tools.

use super::{
    Target,
    body::{InputSchema, Json, Tool, ToolChoice, ToolConfig, ToolSpec},
    extra_fields::ExtraFields,
    parameters::{self, Parameters},
    parts::cache_point,
};
use crate::family::ToolSupport;
use pipe_sdk::{Body, FunctionTool, PipeError, Result};
use serde_json::{Map, Value, json};
use std::{borrow::Cow, collections::HashSet};
use tool_schema::SentTools;

/// The tools of one chat.
#[derive(Debug)]
pub struct ToolSet<'a> {
    /// The form in which they and their arguments are sent to Bedrock.
    pub names: SentTools,
    /// The tools that must be called.
    pub choice: ToolChoiceMode<'a>,
    tools: Vec<Tool<'a>>,
    /// The tools that Anthropic defines, which are sent among the additional model fields.
    pub anthropic: AnthropicTools,
}

/// Tools that Claude knows by their definitions, as `bash_20250124`.
#[derive(Debug, Default)]
pub struct AnthropicTools {
    /// The definitions.
    pub tools: Vec<Value>,
    /// The betas that they need.
    pub betas: Vec<&'static str>,
    /// The choice among them, as Anthropic's API has it.
    pub choice: Option<Value>,
}

impl AnthropicTools {
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

    /// Returns whether there is a tool of this name.
    fn has(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool["name"] == name)
    }
}

/// Returns the beta that a tool of Anthropic's needs at Bedrock, if any; `None` for other tools
/// (`docs/reference/bedrock.md`, "Model families").
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

/// The choice of tools.
#[derive(Debug, PartialEq)]
pub enum ToolChoiceMode<'a> {
    /// The model decides.
    Auto,
    /// Tools are forbidden, or were dropped because the model does not support them.
    Forbidden,
    /// Some tool.
    Any,
    /// This tool.
    Named(Cow<'a, str>),
}

impl<'a> ToolSet<'a> {
    /// Returns the tools that this chat brings. `drops` leaves them out where the model takes none.
    pub fn from_body(body: &'a Body, target: &Target, drops_tools: bool) -> Result<Self> {
        let mut names = match target.family.hyphenated_tool_names {
            true => SentTools::default(),
            false => SentTools::without_hyphens(),
        };
        let mut tools = Vec::new();
        if target.family.web_grounding
            && ExtraFields::from_body(body).get("web_search_options").is_some()
        {
            tools.push(Tool::System { name: WEB_GROUNDING_TOOL });
        }
        let mut anthropic = AnthropicTools::default();
        add_tools(body, target, &mut names, &mut tools, &mut anthropic)?;
        let choice = read_choice(body, &mut tools, &mut names, &mut anthropic)?;
        if choice == ToolChoiceMode::Forbidden {
            anthropic = AnthropicTools::default();
        }
        let unusable = target.family.tools == ToolSupport::Unsupported && !tools.is_empty();
        if unusable && drops_tools {
            let (choice, tools) = (ToolChoiceMode::Forbidden, Vec::new());
            return Ok(Self { names, choice, tools, anthropic });
        }
        if unusable && choice != ToolChoiceMode::Forbidden {
            return Err(PipeError::bad_field("tools", target.unsupported("tools")));
        }
        Ok(Self { names, choice, tools, anthropic })
    }

    /// Adds a tool that has to be called, or one of the client's in its place.
    pub fn require(&mut self, spec: ToolSpec<'a>) {
        let alone = !self.has_specs() || self.choice == ToolChoiceMode::Forbidden;
        self.choice =
            if alone { ToolChoiceMode::Named(spec.name.clone()) } else { ToolChoiceMode::Any };
        self.tools.push(Tool::ToolSpec(spec));
    }

    /// Returns the tool configuration for a conversation that has already called these tools.
    ///
    /// A conversation with calls must bring their tools, even where the client has left them out.
    pub fn take_config(
        &mut self,
        called: &[Cow<'a, str>],
        can_choose: bool,
    ) -> Option<ToolConfig<'a>> {
        let unused = self.tools.is_empty() || self.choice == ToolChoiceMode::Forbidden;
        if unused && called.is_empty() {
            return None;
        }
        let mut tools = std::mem::take(&mut self.tools);
        if !tools.iter().any(|tool| matches!(tool, Tool::ToolSpec(_))) {
            let unknown = called.iter().filter(|name| !self.anthropic.has(name));
            tools.extend(unknown.map(|name| placeholder_tool(name.clone())));
            if tools.is_empty() {
                // Converse wants tools beside calls, and does not count those among the model's own
                // fields.
                tools.push(placeholder_tool("no_tool".into()));
            }
        }
        let tool_choice = match &self.choice {
            ToolChoiceMode::Any | ToolChoiceMode::Named(_) if self.anthropic.choice.is_some() => {
                None
            }
            ToolChoiceMode::Any if can_choose => Some(ToolChoice::Any {}),
            ToolChoiceMode::Named(name) if can_choose => {
                Some(ToolChoice::Tool { name: name.clone() })
            }
            _ => None,
        };
        Some(ToolConfig { tools, tool_choice })
    }

    /// Returns whether one of the client's tools is called so.
    pub fn has(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| has_name(tool, name))
    }

    /// Returns the names of its tools at Bedrock.
    pub fn names_of_specs(&self) -> Vec<String> {
        let specs = self.tools.iter().filter_map(|tool| match tool {
            Tool::ToolSpec(spec) => Some(spec.name.clone().into_owned()),
            Tool::System { .. } | Tool::CachePoint(_) => None,
        });
        specs.collect()
    }

    fn has_specs(&self) -> bool {
        self.tools.iter().any(|tool| matches!(tool, Tool::ToolSpec(_)))
    }
}

/// Nova's own search of the web.
const WEB_GROUNDING_TOOL: &str = "nova_grounding";

fn add_tools<'a>(
    body: &'a Body,
    target: &Target,
    names: &mut SentTools,
    tools: &mut Vec<Tool<'a>>,
    anthropic: &mut AnthropicTools,
) -> Result<()> {
    let mut seen = HashSet::new();
    for (place, tool) in body.tools.iter().enumerate() {
        if target.family.web_grounding && tool.kind == WEB_GROUNDING_TOOL {
            tools.push(Tool::System { name: WEB_GROUNDING_TOOL });
            continue;
        }
        let takes_anthropic_tools =
            target.is_claude() && !target.rejected_fields.iter().any(|field| field == "tools");
        if takes_anthropic_tools && anthropic.take(tool) {
            continue;
        }
        let field = |field: &str| format!("tools[{place}].{field}");
        let spec = match (&tool.function, tool.kind.as_str()) {
            (Some(function), _) => chat_tool(function, place, target, names)?,
            // The shapes of OpenAI's Responses and of Anthropic's Messages.
            (None, "function") => anthropic_or_responses_tool(&tool.rest, field, target, names)?,
            (None, "custom") if tool.rest.contains_key("input_schema") => {
                anthropic_or_responses_tool(&tool.rest, field, target, names)?
            }
            _ => {
                let message = "only tools of type `function` are supported";
                return Err(PipeError::bad_field(field("type"), message));
            }
        };
        // Bedrock refuses duplicate names, so only the first tool of a name is sent.
        if seen.insert(spec.name.clone()) {
            tools.push(Tool::ToolSpec(spec));
        }
        tools.extend(cache_point(&tool.rest).map(Tool::CachePoint));
    }
    if body.tools.is_empty() {
        add_legacy_functions(body, target, names, tools)?;
    }
    Ok(())
}

/// Adds the `functions` of older clients.
fn add_legacy_functions<'a>(
    body: &'a Body,
    target: &Target,
    names: &mut SentTools,
    tools: &mut Vec<Tool<'a>>,
) -> Result<()> {
    let Some(functions) = ExtraFields::from_body(body).get("functions").and_then(Value::as_array)
    else {
        return Ok(());
    };
    let mut seen = HashSet::new();
    for (place, function) in functions.iter().enumerate() {
        let field = |field: &str| format!("functions[{place}].{field}");
        let function = function.as_object().ok_or_else(|| {
            PipeError::bad_field(format!("functions[{place}]"), "a function must be an object")
        })?;
        let spec = anthropic_or_responses_tool(function, field, target, names)?;
        if seen.insert(spec.name.clone()) {
            tools.push(Tool::ToolSpec(spec));
        }
    }
    Ok(())
}

/// Returns a tool whose fields are in other places than in OpenAI's format.
fn anthropic_or_responses_tool<'a>(
    tool: &'a Map<String, Value>,
    field: impl Fn(&str) -> String,
    target: &Target,
    names: &mut SentTools,
) -> Result<ToolSpec<'a>> {
    let text = |name: &str| tool.get(name)?.as_str().filter(|text| !text.trim().is_empty());
    let name =
        text("name").ok_or_else(|| PipeError::bad_field(field("name"), "a tool needs a name"))?;
    let place = if tool.contains_key("input_schema") { "input_schema" } else { "parameters" };
    let Parameters { json, note, shape } = parameters::from_value(tool.get(place), &target.family)
        .map_err(|message| PipeError::bad_field(field(place), message))?;
    names.add_shape(name, shape);
    let strict = tool.get("strict").and_then(Value::as_bool);
    Ok(ToolSpec {
        name: names.to_service(name),
        description: describe(text("description"), note),
        input_schema: InputSchema { json },
        strict: strict.filter(|strict| *strict && target.family.strict),
    })
}

fn chat_tool<'a>(
    function: &'a FunctionTool,
    place: usize,
    target: &Target,
    names: &mut SentTools,
) -> Result<ToolSpec<'a>> {
    let field = |field: &str| format!("tools[{place}].function.{field}");
    if function.name.is_empty() {
        return Err(PipeError::bad_field(field("name"), "a tool needs a name"));
    }
    let Parameters { json, note, shape } =
        parameters::from_raw(function.parameters.as_deref(), &target.family)
            .map_err(|message| PipeError::bad_field(field("parameters"), message))?;
    names.add_shape(&function.name, shape);
    Ok(ToolSpec {
        name: names.to_service(&function.name),
        description: describe(function.description.as_deref(), note),
        input_schema: InputSchema { json },
        strict: function.strict.filter(|strict| *strict && target.family.strict),
    })
}

/// Returns the description of a tool with the note about its schema.
pub fn describe(description: Option<&str>, note: String) -> Option<Cow<'_, str>> {
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

/// Returns a tool that the client has left out, of which only the name is known.
fn placeholder_tool(name: Cow<'_, str>) -> Tool<'_> {
    let input_schema = InputSchema { json: Json::EmptySchema };
    Tool::ToolSpec(ToolSpec { name, description: None, input_schema, strict: None })
}

fn read_choice<'a>(
    body: &'a Body,
    tools: &mut Vec<Tool<'a>>,
    names: &mut SentTools,
    anthropic: &mut AnthropicTools,
) -> Result<ToolChoiceMode<'a>> {
    if tools.is_empty() && anthropic.tools.is_empty() {
        return Ok(ToolChoiceMode::Forbidden);
    }
    let chosen = parse_choice(body, tools, names, anthropic)?;
    let has_specs = tools.iter().any(|tool| matches!(tool, Tool::ToolSpec(_)));
    anthropic.choice = match &chosen {
        ToolChoiceMode::Named(name) if anthropic.has(name) => {
            Some(json!({"type": "tool", "name": name}))
        }
        ToolChoiceMode::Any if !has_specs => Some(json!({"type": "any"})),
        _ => None,
    };
    Ok(chosen)
}

fn parse_choice<'a>(
    body: &'a Body,
    tools: &mut Vec<Tool<'a>>,
    names: &mut SentTools,
    anthropic: &AnthropicTools,
) -> Result<ToolChoiceMode<'a>> {
    let given =
        body.tool_choice.as_ref().or_else(|| ExtraFields::from_body(body).get("function_call"));
    let rule = || {
        PipeError::bad_field(
            "tool_choice",
            "tool_choice must be none, auto, required, or an object that names a tool",
        )
    };
    match given {
        None | Some(Value::Null) => Ok(ToolChoiceMode::Auto),
        Some(Value::String(word)) => parse_mode(word).ok_or_else(rule),
        Some(Value::Object(choice)) => {
            let kind = choice.get("type").and_then(Value::as_str).unwrap_or_default();
            if kind == "allowed_tools" {
                return apply_allowed_tools(
                    choice.get("allowed_tools").unwrap_or(&Value::Null),
                    choice.get("mode"),
                    choice.get("tools"),
                    tools,
                    names,
                );
            }
            let function = choice.get("function").and_then(|function| function.get("name"));
            let Some(name) = function.or_else(|| choice.get("name")).and_then(Value::as_str) else {
                return parse_mode(kind).ok_or_else(rule);
            };
            let name = names.to_service(name);
            if anthropic.has(&name) || tools.iter().any(|tool| has_name(tool, &name)) {
                return Ok(ToolChoiceMode::Named(name));
            }
            Err(PipeError::bad_field(
                "tool_choice",
                "tool_choice names a tool that is not in tools",
            ))
        }
        Some(_) => Err(rule()),
    }
}

fn parse_mode<'a>(word: &str) -> Option<ToolChoiceMode<'a>> {
    match word {
        "" | "auto" => Some(ToolChoiceMode::Auto),
        "none" => Some(ToolChoiceMode::Forbidden),
        "required" | "any" => Some(ToolChoiceMode::Any),
        _ => None,
    }
}

/// Leaves only the tools that are allowed. Their list is in an object of its own, or beside the
/// type.
fn apply_allowed_tools<'a>(
    within: &'a Value,
    mode_beside: Option<&'a Value>,
    tools_beside: Option<&'a Value>,
    tools: &mut Vec<Tool<'a>>,
    names: &mut SentTools,
) -> Result<ToolChoiceMode<'a>> {
    let field = "tool_choice.allowed_tools";
    let error = |rule: &str| PipeError::bad_field(field, format!("{field}: {rule}"));
    let list = within.get("tools").or(tools_beside).and_then(Value::as_array);
    let list = list.ok_or_else(|| error("name the tools in `tools`"))?;
    let name =
        |tool: &'a Value| tool["function"]["name"].as_str().or_else(|| tool["name"].as_str());
    let allowed: HashSet<_> =
        list.iter().filter_map(name).map(|name| names.to_service(name).into_owned()).collect();
    tools.retain(|tool| match tool {
        Tool::ToolSpec(spec) => allowed.contains(spec.name.as_ref()),
        Tool::System { .. } | Tool::CachePoint(_) => true,
    });
    if !tools.iter().any(|tool| matches!(tool, Tool::ToolSpec(_))) {
        return Err(error("none of them is in tools"));
    }
    let word = within.get("mode").or(mode_beside).and_then(Value::as_str).unwrap_or("auto");
    parse_mode(word).ok_or_else(|| error("its mode must be auto or required"))
}

fn has_name(tool: &Tool<'_>, name: &str) -> bool {
    matches!(tool, Tool::ToolSpec(spec) if spec.name == name)
}
