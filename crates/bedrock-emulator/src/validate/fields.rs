//! `additionalModelRequestFields`, which differ by model family.

use super::family::{FAMILIES, is_claude};
use super::model_error;
use crate::body::list;
use crate::catalogue::FoundationModel;
use crate::exception::BedrockException;
use serde_json::Value;

/// Checks that the model knows all fields.
pub(super) fn check_known_fields(
    model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    let fields = &body["additionalModelRequestFields"];
    if let (Some(known), Some(given)) = (FAMILIES.fields_of(model), fields.as_object())
        && let Some(stranger) = given.keys().find(|name| !known.contains(name))
    {
        return Err(model_error(format!(
            "Malformed input request: #: extraneous key [{stranger}] is not permitted, please reformat your input and \
             try again."
        )));
    }
    let penalised = ["frequency_penalty", "presence_penalty"];
    if FAMILIES.no_penalties.has(model) && penalised.iter().any(|name| !fields[name].is_null()) {
        return Err(BedrockException::from_name(
            "ServiceUnavailableException",
            "Bedrock is unable to process your request.",
        ));
    }
    Ok(())
}

/// Checks that the response field paths are JSON Pointers.
pub(super) fn check_response_paths(
    _model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    let paths = list(&body["additionalModelResponseFieldPaths"]).iter().filter_map(Value::as_str);
    match paths.enumerate().find(|(_, path)| !path.starts_with('/')) {
        None => Ok(()),
        Some((at, path)) => Err(BedrockException::validation(format!(
            "The value '{path}' at additionalModelResponseFieldPaths.{at} is not a JSON Pointer."
        ))),
    }
}

/// Checks that Claude knows the beta flags.
pub(super) fn check_betas(model: &FoundationModel, body: &Value) -> Result<(), BedrockException> {
    let betas = &body["additionalModelRequestFields"]["anthropic_beta"];
    if betas.is_null() || !is_claude(model) {
        return Ok(());
    }
    let known = |beta: &Value| {
        beta.as_str().is_some_and(|beta| FAMILIES.betas.iter().any(|known| known == beta))
    };
    match betas.as_array() {
        None => Err(model_error("anthropic_beta: Input should be a valid list")),
        Some(betas) if betas.iter().all(known) => Ok(()),
        Some(_) => Err(model_error("invalid beta flag")),
    }
}

/// Checks that Claude's own `tool_choice` does not conflict with Converse's `toolChoice`.
pub(super) fn check_tool_choice(
    model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
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
    Err(model_error(objection))
}

/// Returns whether Claude's own `tool_choice` forces a tool call.
pub(super) fn is_forced(tool_choice: &Value) -> bool {
    tool_choice["type"] == "any" || tool_choice["type"] == "tool"
}

/// Checks the reasoning effort of models other than Claude and Nova.
pub(super) fn check_effort(model: &FoundationModel, body: &Value) -> Result<(), BedrockException> {
    let fields = &body["additionalModelRequestFields"];
    for name in ["reasoning_effort", "reasoning_config"] {
        let effort = &fields[name];
        let known = ["low", "medium", "high"].iter().any(|known| effort == known);
        if FAMILIES.low_medium_high.has(model) && !effort.is_null() && !known {
            return Err(model_error(format!("{name}: Input should be 'low', 'medium' or 'high'")));
        }
    }
    let effort = &fields["reasoning"]["effort"];
    if FAMILIES.reasons_always.has(model) && effort == "none" {
        return Err(model_error("reasoning.effort: 'none' is not supported with this model."));
    }
    if !effort.is_null() && !effort.is_string() {
        return Err(model_error("reasoning.effort: Input should be a valid string"));
    }
    Ok(())
}
