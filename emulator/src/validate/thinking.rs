//! Reasoning: how each family is asked for it, and what it forbids meanwhile.

use super::by_model;
use super::family::FAMILIES;
use crate::catalogue::Model;
use crate::fault::Fault;
use serde_json::Value;

const MIN_BUDGET: u64 = 1024;

/// Whether the model is asked to think, in Claude's way.
pub(super) fn is_on(body: &Value) -> bool {
    matches!(asked(body)["type"].as_str(), Some("enabled" | "adaptive"))
}

fn asked(body: &Value) -> &Value {
    let fields = &body["additionalModelRequestFields"];
    if fields["thinking"].is_null() { &fields["reasoning_config"] } else { &fields["thinking"] }
}

/// Whether the additional fields are ones this model takes.
pub(super) fn fields(model: &Model, body: &Value) -> Result<(), Fault> {
    let fields = &body["additionalModelRequestFields"];
    if let (Some(known), Some(given)) = (FAMILIES.fields_of(model), fields.as_object())
        && let Some(stranger) = given.keys().find(|name| !known.contains(name))
    {
        return Err(by_model(format!(
            "Malformed input request: #: extraneous key [{stranger}] is not permitted, please reformat your input and \
             try again."
        )));
    }
    if fields["reasoningConfig"]["maxReasoningEffort"] == "high"
        && body["inferenceConfig"].is_object()
    {
        return Err(by_model(
            "temperature, topP and maxTokens must be unset when maxReasoningEffort is high",
        ));
    }
    if model.provider == "Anthropic" && !asked(body).is_null() {
        claude(model, body)
    } else {
        Ok(())
    }
}

fn claude(model: &Model, body: &Value) -> Result<(), Fault> {
    let thinking = asked(body);
    match thinking["type"].as_str() {
        Some("enabled") if FAMILIES.budget_thinking.has(model) => budget(thinking, body)?,
        Some("enabled") if FAMILIES.adaptive_thinking.has(model) => {
            return Err(by_model(
                "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \
                 \"output_config.effort\" to control thinking behavior.",
            ));
        }
        Some("adaptive") if FAMILIES.adaptive_thinking.has(model) => {}
        Some("disabled") if !FAMILIES.always_thinking.has(model) => return Ok(()),
        Some("disabled") => {
            return Err(by_model("\"thinking.type.disabled\" is not supported for this model."));
        }
        Some("adaptive") => {
            return Err(by_model("adaptive thinking is not supported on this model"));
        }
        Some("enabled") => return Err(by_model("thinking: Extra inputs are not permitted")),
        _ => {
            return Err(by_model(
                "thinking.type: Input should be 'enabled', 'adaptive' or 'disabled'",
            ));
        }
    }
    undisturbed(body)
}

fn budget(thinking: &Value, body: &Value) -> Result<(), Fault> {
    let Some(budget) = thinking["budget_tokens"].as_u64() else {
        return Err(by_model("thinking.enabled.budget_tokens: Field required"));
    };
    if budget < MIN_BUDGET {
        let message = format!(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to {MIN_BUDGET}"
        );
        return Err(by_model(message));
    }
    if body["inferenceConfig"]["maxTokens"].as_u64().is_some_and(|most| most <= budget) {
        return Err(by_model("`max_tokens` must be greater than `thinking.budget_tokens`."));
    }
    Ok(())
}

/// Whether nothing stands in the way of thinking.
fn undisturbed(body: &Value) -> Result<(), Fault> {
    let sampling = &body["inferenceConfig"];
    let choice = &body["toolConfig"]["toolChoice"];
    let objection =
        if sampling["temperature"].as_f64().is_some_and(|temperature| temperature != 1.0) {
            "`temperature` may only be set to 1 when thinking is enabled."
        } else if sampling["topP"].as_f64().is_some_and(|top_p| top_p < 0.95) {
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled."
        } else if !body["additionalModelRequestFields"]["top_k"].is_null() {
            "`top_k` must be unset when thinking is enabled."
        } else if choice.get("any").or(choice.get("tool")).is_some() {
            "Thinking may not be enabled when tool_choice forces tool use."
        } else {
            return Ok(());
        };
    Err(by_model(objection))
}

/// Whether the model takes the effort it is asked for.
pub(super) fn effort(model: &Model, body: &Value) -> Result<(), Fault> {
    let native = &body["additionalModelRequestFields"]["output_config"]["effort"];
    let Some(effort) = body["outputConfig"]["effort"].as_str().or(native.as_str()) else {
        return Ok(());
    };
    let taken = match effort {
        "max" => FAMILIES.effort_max.has(model),
        "xhigh" => FAMILIES.effort_xhigh.has(model),
        _ => FAMILIES.effort.has(model),
    };
    if taken {
        Ok(())
    } else {
        Err(by_model(format!("This model does not support the effort '{effort}'.")))
    }
}
