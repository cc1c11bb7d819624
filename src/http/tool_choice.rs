//! Checks of a chat's `tool_choice`.

use pipe_sdk::{Body, PipeError, Result, Tool};
use serde_json::{Map, Value};

const RULE: &str = "must be `none`, `auto`, `required`, or an object that names a tool";

/// Returns an error if `tool_choice` requires a tool that is not in the request.
pub fn check_tool_choice(body: &Body) -> Result<()> {
    let older = || Some(("function_call", body.rest.get("function_call")?));
    let given = body.tool_choice.as_ref().map(|choice| ("tool_choice", choice)).or_else(older);
    match given.filter(|(_, choice)| !choice.is_null()) {
        None => Ok(()),
        Some((field, Value::String(mode))) => check_mode(body, field, mode),
        Some((field, Value::Object(choice))) => check_object(body, field, choice),
        Some((field, _)) => Err(fault(field, RULE)),
    }
}

fn check_mode(body: &Body, field: &str, mode: &str) -> Result<()> {
    match mode {
        "none" | "auto" => Ok(()),
        "required" | "any" if has_tools(body) => Ok(()),
        "required" | "any" => Err(fault(field, "there are no `tools` that could be called")),
        _ => Err(fault(field, RULE)),
    }
}

fn check_object(body: &Body, field: &str, choice: &Map<String, Value>) -> Result<()> {
    let within = choice.get("function").filter(|function| !function.is_null());
    let (place, name) = match within {
        Some(function) => (format!("{field}.function.name"), function.get("name")),
        None => (format!("{field}.name"), choice.get("name")),
    };
    if let Some(name) = name.and_then(Value::as_str) {
        let is_there = offered(body).any(|offered| offered == name);
        let rule = "names a tool that is not in `tools`";
        return if is_there { Ok(()) } else { Err(fault(&place, rule)) };
    }
    match choice.get("type").and_then(Value::as_str) {
        Some("allowed_tools") => check_mode(body, field, "required"),
        Some("function" | "tool") => Err(fault(&place, "name the tool")),
        Some(mode) => check_mode(body, field, mode),
        None => Err(fault(field, RULE)),
    }
}

fn has_tools(body: &Body) -> bool {
    let beside = |name: &str| body.rest.get(name).is_some_and(|value| !value.is_null());
    !body.tools.is_empty() || beside("functions") || beside("web_search_options")
}

/// Returns the names of all tools, in any of the fields that clients use.
fn offered(body: &Body) -> impl Iterator<Item = &str> {
    let older = body.rest.get("functions").and_then(Value::as_array).into_iter().flatten();
    let older = older.filter_map(|function| function.get("name")?.as_str());
    body.tools.iter().filter_map(name).chain(older)
}

fn name(tool: &Tool) -> Option<&str> {
    let within = tool.function.as_ref().map(|function| function.name.as_str());
    within.or_else(|| tool.rest.get("name")?.as_str())
}

fn fault(field: &str, rule: &str) -> PipeError {
    PipeError::bad_field(field, format!("{field}: {rule}"))
}
