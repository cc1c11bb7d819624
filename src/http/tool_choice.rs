//! Checks of a chat's `tool_choice`.

use super::field_error::field_error;
use pipe_sdk::{Body, Result, Tool};
use serde_json::{Map, Value};
use std::collections::HashSet;

const RULE: &str = "must be `none`, `auto`, `required`, or an object that names a tool";

/// Returns an error if `tool_choice` requires a tool that is not in the request.
pub fn check_tool_choice(body: &Body) -> Result<()> {
    let older = || Some(("function_call", body.rest.get("function_call")?));
    let given = body.tool_choice.as_ref().map(|choice| ("tool_choice", choice)).or_else(older);
    match given.filter(|(_, choice)| !choice.is_null()) {
        None => Ok(()),
        Some((field, Value::String(mode))) => check_mode(body, field, mode),
        Some((field, Value::Object(choice))) => check_object(body, field, choice),
        Some((field, _)) => Err(field_error(field, RULE)),
    }
}

fn check_mode(body: &Body, field: &str, mode: &str) -> Result<()> {
    match mode {
        "none" | "auto" => Ok(()),
        "required" | "any" if has_tools(body) => Ok(()),
        "required" | "any" => Err(field_error(field, "there are no `tools` that could be called")),
        _ => Err(field_error(field, RULE)),
    }
}

fn check_object(body: &Body, field: &str, choice: &Map<String, Value>) -> Result<()> {
    let within = choice.get("function").filter(|function| !function.is_null());
    let (place, name) = match within {
        Some(function) => (format!("{field}.function.name"), function.get("name")),
        None => (format!("{field}.name"), choice.get("name")),
    };
    if let Some(name) = name.and_then(Value::as_str) {
        let is_there = tool_names(body).any(|offered| offered == name);
        let rule = "names a tool that is not in `tools`";
        return if is_there { Ok(()) } else { Err(field_error(&place, rule)) };
    }
    match choice.get("type").and_then(Value::as_str) {
        Some("allowed_tools") => check_allowed_tools(body, field, choice),
        Some("function" | "tool") => Err(field_error(&place, "name the tool")),
        Some(mode) => check_mode(body, field, mode),
        None => Err(field_error(field, RULE)),
    }
}

fn check_allowed_tools(body: &Body, field: &str, choice: &Map<String, Value>) -> Result<()> {
    check_mode(body, field, "required")?;
    let field = format!("{field}.allowed_tools");
    let within = choice.get("allowed_tools");
    let tools = within.and_then(|within| within.get("tools")).and_then(Value::as_array);
    let tools = tools.ok_or_else(|| field_error(&field, "name the tools in `tools`"))?;
    let offered: HashSet<&str> = tool_names(body).collect();
    let is_there =
        |tool: &Value| tool["function"]["name"].as_str().is_some_and(|name| offered.contains(name));
    if !tools.iter().any(is_there) {
        return Err(field_error(&field, "none of them is in `tools`"));
    }
    Ok(())
}

fn has_tools(body: &Body) -> bool {
    let beside = |name: &str| body.rest.get(name).is_some_and(|value| !value.is_null());
    !body.tools.is_empty() || beside("functions") || beside("web_search_options")
}

/// Returns the names of all tools, in any of the fields that clients use.
fn tool_names(body: &Body) -> impl Iterator<Item = &str> {
    let older = body.rest.get("functions").and_then(Value::as_array).into_iter().flatten();
    let older = older.filter_map(|function| function.get("name")?.as_str());
    body.tools.iter().filter_map(tool_name).chain(older)
}

fn tool_name(tool: &Tool) -> Option<&str> {
    let within = tool.function.as_ref().map(|function| function.name.as_str());
    within.or_else(|| tool.rest.get("name")?.as_str())
}
