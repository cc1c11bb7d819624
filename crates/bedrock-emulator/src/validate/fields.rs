//! `additionalModelRequestFields`: what each family takes besides the fields of Converse.

use super::by_model;
use super::family::{FAMILIES, is_claude};
use crate::body::list;
use crate::catalogue::Model;
use crate::fault::Fault;
use serde_json::Value;

/// Whether all fields are ones this model knows.
pub(super) fn known(model: &Model, body: &Value) -> Result<(), Fault> {
    let fields = &body["additionalModelRequestFields"];
    if let (Some(known), Some(given)) = (FAMILIES.fields_of(model), fields.as_object())
        && let Some(stranger) = given.keys().find(|name| !known.contains(name))
    {
        return Err(by_model(format!(
            "Malformed input request: #: extraneous key [{stranger}] is not permitted, please reformat your input and \
             try again."
        )));
    }
    let penalised = ["frequency_penalty", "presence_penalty"];
    if FAMILIES.no_penalties.has(model) && penalised.iter().any(|name| !fields[name].is_null()) {
        return Err(Fault::of(
            "ServiceUnavailableException",
            "Bedrock is unable to process your request.",
        ));
    }
    Ok(())
}

/// Whether the answer is asked for parts that have a place in it.
pub(super) fn response_paths(_model: &Model, body: &Value) -> Result<(), Fault> {
    let paths = list(&body["additionalModelResponseFieldPaths"]).iter().filter_map(Value::as_str);
    match paths.enumerate().find(|(_, path)| !path.starts_with('/')) {
        None => Ok(()),
        Some((at, path)) => Err(Fault::validation(format!(
            "The value '{path}' at additionalModelResponseFieldPaths.{at} is not a JSON Pointer."
        ))),
    }
}

/// Whether the betas are ones Claude knows.
pub(super) fn betas(model: &Model, body: &Value) -> Result<(), Fault> {
    let betas = &body["additionalModelRequestFields"]["anthropic_beta"];
    if betas.is_null() || !is_claude(model) {
        return Ok(());
    }
    let known = |beta: &Value| {
        beta.as_str().is_some_and(|beta| FAMILIES.betas.iter().any(|known| known == beta))
    };
    match betas.as_array() {
        None => Err(by_model("anthropic_beta: Input should be a valid list")),
        Some(betas) if betas.iter().all(known) => Ok(()),
        Some(_) => Err(by_model("invalid beta flag")),
    }
}

/// Whether Claude's own `tool_choice` says what Converse's `toolChoice` leaves open, and that alone.
pub(super) fn tool_choice(model: &Model, body: &Value) -> Result<(), Fault> {
    let own = &body["additionalModelRequestFields"]["tool_choice"];
    if own.is_null() || !is_claude(model) {
        return Ok(());
    }
    let (choice, kind) = (&body["toolConfig"]["toolChoice"], &own["type"]);
    let objection = if !FAMILIES.serial_tools.has(model) {
        "tool_choice: Extra inputs are not permitted"
    } else if list(&body["toolConfig"]["tools"]).is_empty() {
        "tool_choice may only be specified while providing tools."
    } else if !choice.is_null() && !kind.is_null() {
        "tool_choice.type: cannot be given together with toolConfig.toolChoice"
    } else if choice.is_null() && kind.is_null() {
        "tool_choice.type: Field required"
    } else if !kind.is_null() && !["auto", "any", "tool"].iter().any(|known| kind == known) {
        "tool_choice.type: Input should be 'auto', 'any' or 'tool'"
    } else if kind == "tool" && !own["name"].is_string() {
        "tool_choice.tool.name: Field required"
    } else if is_forced(own) && FAMILIES.no_forced_tool.has(model) {
        "tool_choice forces tool use is not compatible with this model."
    } else {
        return Ok(());
    };
    Err(by_model(objection))
}

/// Whether Claude's own `tool_choice` makes it call a tool.
pub(super) fn is_forced(tool_choice: &Value) -> bool {
    tool_choice["type"] == "any" || tool_choice["type"] == "tool"
}

/// Whether the effort asked of others than Claude and Nova is one they know.
pub(super) fn effort(model: &Model, body: &Value) -> Result<(), Fault> {
    let fields = &body["additionalModelRequestFields"];
    for name in ["reasoning_effort", "reasoning_config"] {
        let effort = &fields[name];
        let known = ["low", "medium", "high"].iter().any(|known| effort == known);
        if FAMILIES.low_medium_high.has(model) && !effort.is_null() && !known {
            return Err(by_model(format!("{name}: Input should be 'low', 'medium' or 'high'")));
        }
    }
    let effort = &fields["reasoning"]["effort"];
    if FAMILIES.reasons_always.has(model) && effort == "none" {
        return Err(by_model("reasoning.effort: 'none' is not supported with this model."));
    }
    if !effort.is_null() && !effort.is_string() {
        return Err(by_model("reasoning.effort: Input should be a valid string"));
    }
    Ok(())
}
