//! Tools: their definitions, and the pairs of calls and results.

use super::block::{self, Block};
use super::family::{FAMILIES, is_claude};
use super::{model_error, structured, unsupported};
use crate::body::{list, messages};
use crate::catalogue::FoundationModel;
use crate::exception::BedrockException;
use serde_json::Value;
use std::collections::HashSet;

/// Checks that the model supports the tools and the tool choice.
pub(super) fn check_tools(model: &FoundationModel, body: &Value) -> Result<(), BedrockException> {
    let config = &body["toolConfig"];
    let used = block::all_blocks(body)
        .any(|block| block.member("toolUse").or(block.member("toolResult")).is_some());
    if config.is_null() {
        return if used { Err(undefined_config()) } else { Ok(()) };
    }
    if !model.has_capability('T') {
        return Err(BedrockException::validation("This model doesn't support tool use."));
    }
    check_specs(model, list(&config["tools"]))?;
    check_system_tools(model, list(&config["tools"]))?;
    check_choice(model, config)
}

/// Checks that tool calls are in assistant messages and results in user messages.
pub(super) fn check_tool_roles(
    _model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    for (kind, role) in [("toolUse", "assistant"), ("toolResult", "user")] {
        if let Some(odd) =
            block::all_blocks(body).find(|block| block.member(kind).is_some() && block.role != role)
        {
            let path = odd.path();
            return Err(BedrockException::validation(format!(
                "The {kind} field at {path} is only supported in {role} messages."
            )));
        }
    }
    Ok(())
}

/// Checks that no tool result is empty.
pub(super) fn check_tool_results(
    _model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    let silent = |block: &Block<'_>| {
        block.member("toolResult").is_some_and(|result| list(&result["content"]).is_empty())
    };
    match block::all_blocks(body).find(silent) {
        None => Ok(()),
        Some(block) => Err(BedrockException::validation(format!(
            "The content field in the ToolResultBlock object at {}.toolResult is empty. Add a ToolResultContentBlock \
             object to the content field and try again.",
            block.path()
        ))),
    }
}

/// Returns the exception of tool calls in a request without `toolConfig`.
fn undefined_config() -> BedrockException {
    BedrockException::validation(
        "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
    )
}

fn check_specs(model: &FoundationModel, tools: &[Value]) -> Result<(), BedrockException> {
    let mut names = HashSet::new();
    for (at, spec) in
        tools.iter().enumerate().filter_map(|(at, tool)| Some((at, tool.get("toolSpec")?)))
    {
        let place = format!("toolConfig.tools.{at}.toolSpec");
        if spec["inputSchema"]["json"]["type"] != "object" {
            let message = format!(
                "The value at {place}.inputSchema.json.type must be one of the following: object."
            );
            return Err(BedrockException::validation(message));
        }
        if !names.insert(&spec["name"]) {
            return Err(BedrockException::validation(format!(
                "The tool name {} at {place}.name is already used.",
                spec["name"]
            )));
        }
        if spec["strict"] == true && !FAMILIES.strict_tools.has(model) {
            return Err(BedrockException::validation(format!(
                "This model doesn't support the {place}.strict field."
            )));
        }
        let schema = &spec["inputSchema"]["json"];
        check_valid_schema(&place, schema)?;
        if FAMILIES.restricted_root_schema.has(model) {
            check_nova_schema(at, spec, schema)?;
        }
        if is_claude(model) {
            check_claude_schema(at, schema)?;
        }
        if FAMILIES.no_look_around.has(model)
            && !structured::all_schemas(&spec["inputSchema"]["json"], &has_no_look_around)
        {
            return Err(model_error(format!(
                "{place}.inputSchema.json: look-around is not supported in patterns"
            )));
        }
    }
    Ok(())
}

/// Checks that a schema is valid in JSON Schema 2020-12.
fn check_valid_schema(place: &str, schema: &Value) -> Result<(), BedrockException> {
    match jsonschema::draft202012::meta::validate(schema) {
        Ok(()) => Ok(()),
        Err(error) => Err(model_error(format!(
            "{place}.inputSchema.json: JSON schema is invalid. It must match JSON Schema draft 2020-12: {} at {}",
            error.masked(),
            error.instance_path()
        ))),
    }
}

/// Checks the restrictions of Nova: keywords at the root of a schema
/// (<https://github.com/zed-industries/zed/issues/28521>) and names of tools
/// (<https://github.com/SEMOSS/Semoss/pull/2892>).
fn check_nova_schema(at: usize, spec: &Value, schema: &Value) -> Result<(), BedrockException> {
    let known = ["type", "properties", "required"];
    let mut keys = schema.as_object().into_iter().flat_map(|schema| schema.keys());
    if let Some(key) = keys.find(|key| !known.contains(&key.as_str())) {
        return Err(model_error(format!(
            "Malformed input request: #/toolConfig/tools/{at}/toolSpec/inputSchema/json: extraneous key [{key}] is not \
             permitted, please reformat your input and try again."
        )));
    }
    if spec["name"].as_str().is_some_and(|name| name.contains('-')) {
        return Err(BedrockException::model_error(
            424,
            "Model produced invalid sequence as part of ToolUse. Please refer to the model tool use troubleshooting guide.",
        ));
    }
    Ok(())
}

/// Checks the root of a schema for keywords and names of properties that Claude does not support
/// (<https://github.com/anthropics/claude-code/issues/1534>).
fn check_claude_schema(at: usize, schema: &Value) -> Result<(), BedrockException> {
    if ["anyOf", "oneOf", "allOf"].iter().any(|keyword| schema.get(keyword).is_some()) {
        return Err(model_error(format!(
            "tools.{at}.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
        )));
    }
    let is_accepted = |name: &String| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        (1..=64).contains(&name.len()) && name.bytes().all(fits)
    };
    if !schema["properties"].as_object().is_none_or(|all| all.keys().all(is_accepted)) {
        return Err(model_error(format!(
            "tools.{at}.custom.input_schema.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{{1,64}}$'"
        )));
    }
    Ok(())
}

/// Checks that tool calls and results have messages of their own, for models that require it.
pub(super) fn check_tool_blocks_alone(
    model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    if !FAMILIES.exclusive_tool_messages.has(model) {
        return Ok(());
    }
    for (at, turn) in messages(body).iter().enumerate() {
        for (kind, words) in [("toolUse", "tool use"), ("toolResult", "tool result")] {
            let has = |is_kind: bool| {
                block::blocks_of_message(at, turn).any(|block| {
                    block.member("cachePoint").is_none() && block.member(kind).is_some() == is_kind
                })
            };
            if has(true) && has(false) {
                return Err(BedrockException::validation(format!(
                    "messages.{at}.content: Conversation blocks and {words} blocks cannot be provided in the same turn."
                )));
            }
        }
    }
    Ok(())
}

fn has_no_look_around(schema: &Value) -> bool {
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    ["(?=", "(?!", "(?<=", "(?<!"].iter().all(|look| !pattern.contains(look))
}

fn check_system_tools(model: &FoundationModel, tools: &[Value]) -> Result<(), BedrockException> {
    let mut names = tools.iter().filter_map(|tool| tool["systemTool"]["name"].as_str());
    match names.find(|name| !FAMILIES.grounding.has(model) || *name != "nova_grounding") {
        None => Ok(()),
        Some(name) => Err(BedrockException::validation(format!(
            "This model doesn't support the system tool {name}."
        ))),
    }
}

fn check_choice(model: &FoundationModel, config: &Value) -> Result<(), BedrockException> {
    let Some((kind, choice)) =
        config["toolChoice"].as_object().and_then(|choice| choice.iter().next())
    else {
        return Ok(());
    };
    let forced = kind != "auto";
    let out_of_reach = !model.has_capability('C')
        || (forced && FAMILIES.no_forced_tool.has(model))
        || (kind == "tool" && FAMILIES.no_named_tool.has(model));
    if out_of_reach {
        return Err(unsupported(&format!("toolConfig.toolChoice.{kind}")));
    }
    let known =
        list(&config["tools"]).iter().any(|tool| tool["toolSpec"]["name"] == choice["name"]);
    if kind == "tool" && !known {
        let message = format!(
            "The tool {} at toolConfig.toolChoice.tool.name is not defined in toolConfig.tools.",
            choice["name"]
        );
        return Err(BedrockException::validation(message));
    }
    Ok(())
}

/// Checks that each tool call has its result in the next message, in order and before other blocks.
pub(super) fn check_call_result_pairs(
    _model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    let (mut seen, mut expected) = (HashSet::new(), Vec::new());
    for (at, turn) in messages(body).iter().enumerate().filter(|(_, turn)| turn["role"] != "system")
    {
        check_results_of_turn(at, turn, &expected)?;
        expected = tool_use_ids(at, turn, "toolUse").collect();
        if let Some(again) = expected.iter().find(|id| !seen.insert(**id)) {
            return Err(model_error(format!(
                "messages.{at}: `tool_use` ids must be unique: {again}"
            )));
        }
        if let Some(odd) = block::blocks_of_message(at, turn)
            .find(|block| block.member("toolUse").is_some_and(|call| !call["input"].is_object()))
        {
            let path = odd.path();
            return Err(BedrockException::validation(format!(
                "The format of the value at {path}.toolUse.input is invalid. Provide a json object for the field and \
                 try again."
            )));
        }
    }
    if expected.is_empty() { Ok(()) } else { Err(missing_results(messages(body).len(), &expected)) }
}

fn check_results_of_turn(
    at: usize,
    turn: &Value,
    expected: &[&str],
) -> Result<(), BedrockException> {
    let given: Vec<_> = tool_use_ids(at, turn, "toolResult").collect();
    if given.len() > expected.len() {
        return Err(BedrockException::validation(format!(
            "The number of toolResult blocks at messages.{at}.content exceeds the number of toolUse blocks of previous \
             turn."
        )));
    }
    if given != expected {
        return Err(missing_results(at, expected));
    }
    let first = block::blocks_of_message(at, turn)
        .take(given.len())
        .all(|block| block.member("toolResult").is_some());
    if first {
        Ok(())
    } else {
        Err(model_error(format!("messages.{at}: `tool_result` blocks must come first")))
    }
}

fn missing_results(at: usize, expected: &[&str]) -> BedrockException {
    let ids = expected.join(", ");
    BedrockException::validation(format!(
        "Expected toolResult blocks at messages.{at}.content for the following Ids: {ids}"
    ))
}

fn tool_use_ids<'a>(
    at: usize,
    turn: &'a Value,
    kind: &'static str,
) -> impl Iterator<Item = &'a str> {
    block::blocks_of_message(at, turn)
        .filter_map(move |block: Block<'a>| block.member(kind)?["toolUseId"].as_str())
}
