//! Tools: what is offered, and that calls and results are pairs.

use super::block::{self, Block};
use super::family::{FAMILIES, is_claude};
use super::{by_model, structured, unsupported};
use crate::body::{list, messages};
use crate::catalogue::Model;
use crate::fault::Fault;
use serde_json::Value;
use std::collections::HashSet;

/// Whether the tools and the choice among them are for this model.
pub(super) fn offered(model: &Model, body: &Value) -> Result<(), Fault> {
    let config = &body["toolConfig"];
    let used = block::all(body)
        .any(|block| block.member("toolUse").or(block.member("toolResult")).is_some());
    if config.is_null() {
        return if used { Err(undefined()) } else { Ok(()) };
    }
    if !model.can('T') {
        return Err(Fault::validation("This model doesn't support tool use."));
    }
    specs(model, list(&config["tools"]))?;
    system_tools(model, list(&config["tools"]))?;
    choice(model, config)
}

/// Whether each call is the assistant's, and each result the user's.
pub(super) fn roles(_model: &Model, body: &Value) -> Result<(), Fault> {
    for (kind, role) in [("toolUse", "assistant"), ("toolResult", "user")] {
        if let Some(odd) =
            block::all(body).find(|block| block.member(kind).is_some() && block.role != role)
        {
            let path = odd.path();
            return Err(Fault::validation(format!(
                "The {kind} field at {path} is only supported in {role} messages."
            )));
        }
    }
    Ok(())
}

/// Whether each result says something.
pub(super) fn results(_model: &Model, body: &Value) -> Result<(), Fault> {
    let silent = |block: &Block<'_>| {
        block.member("toolResult").is_some_and(|result| list(&result["content"]).is_empty())
    };
    match block::all(body).find(silent) {
        None => Ok(()),
        Some(block) => Err(Fault::validation(format!(
            "The content field in the ToolResultBlock object at {}.toolResult is empty. Add a ToolResultContentBlock \
             object to the content field and try again.",
            block.path()
        ))),
    }
}

fn undefined() -> Fault {
    Fault::validation(
        "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
    )
}

fn specs(model: &Model, tools: &[Value]) -> Result<(), Fault> {
    let mut names = HashSet::new();
    for (at, spec) in
        tools.iter().enumerate().filter_map(|(at, tool)| Some((at, tool.get("toolSpec")?)))
    {
        let place = format!("toolConfig.tools.{at}.toolSpec");
        if spec["inputSchema"]["json"]["type"] != "object" {
            let message = format!(
                "The value at {place}.inputSchema.json.type must be one of the following: object."
            );
            return Err(Fault::validation(message));
        }
        if !names.insert(&spec["name"]) {
            return Err(Fault::validation(format!(
                "The tool name {} at {place}.name is already used.",
                spec["name"]
            )));
        }
        if spec["strict"] == true && !FAMILIES.strict_tools.has(model) {
            return Err(Fault::validation(format!(
                "This model doesn't support the {place}.strict field."
            )));
        }
        let schema = &spec["inputSchema"]["json"];
        well_formed(&place, schema)?;
        if FAMILIES.plain_schemas.has(model) {
            plain(at, spec, schema)?;
        }
        if is_claude(model) {
            claude(at, schema)?;
        }
        if FAMILIES.no_look_around.has(model)
            && !structured::every(&spec["inputSchema"]["json"], &looks_straight)
        {
            return Err(by_model(format!(
                "{place}.inputSchema.json: look-around is not supported in patterns"
            )));
        }
    }
    Ok(())
}

/// Whether it is a schema of JSON Schema 2020-12 at all.
fn well_formed(place: &str, schema: &Value) -> Result<(), Fault> {
    match jsonschema::draft202012::meta::validate(schema) {
        Ok(()) => Ok(()),
        Err(error) => Err(by_model(format!(
            "{place}.inputSchema.json: JSON schema is invalid. It must match JSON Schema draft 2020-12: {} at {}",
            error.masked(),
            error.instance_path()
        ))),
    }
}

/// What Nova refuses, as <https://github.com/zed-industries/zed/issues/28521> quotes it, and what it cannot call
/// (<https://github.com/SEMOSS/Semoss/pull/2892>).
fn plain(at: usize, spec: &Value, schema: &Value) -> Result<(), Fault> {
    let known = ["type", "properties", "required"];
    let mut keys = schema.as_object().into_iter().flat_map(|schema| schema.keys());
    if let Some(key) = keys.find(|key| !known.contains(&key.as_str())) {
        return Err(by_model(format!(
            "Malformed input request: #/toolConfig/tools/{at}/toolSpec/inputSchema/json: extraneous key [{key}] is not \
             permitted, please reformat your input and try again."
        )));
    }
    if spec["name"].as_str().is_some_and(|name| name.contains('-')) {
        return Err(Fault::model_error(
            424,
            "Model produced invalid sequence as part of ToolUse. Please refer to the model tool use troubleshooting guide.",
        ));
    }
    Ok(())
}

/// What Claude refuses at the root of a schema.
fn claude(at: usize, schema: &Value) -> Result<(), Fault> {
    if ["anyOf", "oneOf", "allOf"].iter().any(|keyword| schema.get(keyword).is_some()) {
        return Err(by_model(format!(
            "tools.{at}.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
        )));
    }
    Ok(())
}

/// Whether calls and results stand alone in their turns, where they must.
pub(super) fn alone(model: &Model, body: &Value) -> Result<(), Fault> {
    if !FAMILIES.tools_alone.has(model) {
        return Ok(());
    }
    for (at, turn) in messages(body).iter().enumerate() {
        for (kind, words) in [("toolUse", "tool use"), ("toolResult", "tool result")] {
            let has = |is_kind: bool| {
                block::of_turn(at, turn).any(|block| {
                    block.member("cachePoint").is_none() && block.member(kind).is_some() == is_kind
                })
            };
            if has(true) && has(false) {
                return Err(Fault::validation(format!(
                    "messages.{at}.content: Conversation blocks and {words} blocks cannot be provided in the same turn."
                )));
            }
        }
    }
    Ok(())
}

fn looks_straight(schema: &Value) -> bool {
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    ["(?=", "(?!", "(?<=", "(?<!"].iter().all(|look| !pattern.contains(look))
}

fn system_tools(model: &Model, tools: &[Value]) -> Result<(), Fault> {
    let mut names = tools.iter().filter_map(|tool| tool["systemTool"]["name"].as_str());
    match names.find(|name| !FAMILIES.grounding.has(model) || *name != "nova_grounding") {
        None => Ok(()),
        Some(name) => {
            Err(Fault::validation(format!("This model doesn't support the system tool {name}.")))
        }
    }
}

fn choice(model: &Model, config: &Value) -> Result<(), Fault> {
    let Some((kind, choice)) =
        config["toolChoice"].as_object().and_then(|choice| choice.iter().next())
    else {
        return Ok(());
    };
    let forced = kind != "auto";
    let out_of_reach = !model.can('C')
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
        return Err(Fault::validation(message));
    }
    Ok(())
}

/// Whether each call has its result in the next turn, in order and before anything else.
pub(super) fn pairs(_model: &Model, body: &Value) -> Result<(), Fault> {
    let (mut seen, mut expected) = (HashSet::new(), Vec::new());
    for (at, turn) in messages(body).iter().enumerate().filter(|(_, turn)| turn["role"] != "system")
    {
        answers(at, turn, &expected)?;
        expected = ids(at, turn, "toolUse").collect();
        if let Some(again) = expected.iter().find(|id| !seen.insert(**id)) {
            return Err(by_model(format!("messages.{at}: `tool_use` ids must be unique: {again}")));
        }
        if let Some(odd) = block::of_turn(at, turn)
            .find(|block| block.member("toolUse").is_some_and(|call| !call["input"].is_object()))
        {
            let path = odd.path();
            return Err(Fault::validation(format!(
                "The format of the value at {path}.toolUse.input is invalid. Provide a json object for the field and \
                 try again."
            )));
        }
    }
    if expected.is_empty() { Ok(()) } else { Err(unanswered(messages(body).len(), &expected)) }
}

fn answers(at: usize, turn: &Value, expected: &[&str]) -> Result<(), Fault> {
    let given: Vec<_> = ids(at, turn, "toolResult").collect();
    if given.len() > expected.len() {
        return Err(Fault::validation(format!(
            "The number of toolResult blocks at messages.{at}.content exceeds the number of toolUse blocks of previous \
             turn."
        )));
    }
    if given != expected {
        return Err(unanswered(at, expected));
    }
    let first = block::of_turn(at, turn)
        .take(given.len())
        .all(|block| block.member("toolResult").is_some());
    if first {
        Ok(())
    } else {
        Err(by_model(format!("messages.{at}: `tool_result` blocks must come first")))
    }
}

fn unanswered(at: usize, expected: &[&str]) -> Fault {
    let ids = expected.join(", ");
    Fault::validation(format!(
        "Expected toolResult blocks at messages.{at}.content for the following Ids: {ids}"
    ))
}

fn ids<'a>(at: usize, turn: &'a Value, kind: &'static str) -> impl Iterator<Item = &'a str> {
    block::of_turn(at, turn)
        .filter_map(move |block: Block<'a>| block.member(kind)?["toolUseId"].as_str())
}
