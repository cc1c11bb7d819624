//! Reasoning: the parameters of each family, and their restrictions.

use super::family::{FAMILIES, is_claude};
use super::{fields, model_error};
use crate::body::list;
use crate::catalogue::FoundationModel;
use crate::exception::BedrockException;
use serde_json::Value;

const MIN_BUDGET: u64 = 1024;
const EFFORT_BETA: &str = "effort-2025-11-24";

/// Returns whether the request enables reasoning, with the parameters of Claude or Nova.
pub(super) fn is_enabled(body: &Value) -> bool {
    let nova = &body["additionalModelRequestFields"]["reasoningConfig"]["type"];
    matches!(thinking_field(body)["type"].as_str(), Some("enabled" | "adaptive"))
        || nova == "enabled"
}

/// Returns whether the request enables Claude's thinking with a budget.
pub(super) fn has_budget(body: &Value) -> bool {
    thinking_field(body)["type"] == "enabled"
}

fn thinking_field(body: &Value) -> &Value {
    let fields = &body["additionalModelRequestFields"];
    if fields["thinking"].is_null() { &fields["reasoning_config"] } else { &fields["thinking"] }
}

/// Checks Nova's `reasoningConfig`.
pub(super) fn check_nova(model: &FoundationModel, body: &Value) -> Result<(), BedrockException> {
    let asked = &body["additionalModelRequestFields"]["reasoningConfig"];
    if asked.is_null() || model.provider != "Amazon" {
        return Ok(());
    }
    let one_of =
        |value: &Value, known: &[&str]| value.is_null() || known.iter().any(|known| value == known);
    if !one_of(&asked["type"], &["enabled", "disabled"]) {
        return Err(model_error("reasoningConfig.type: must be one of enabled, disabled"));
    }
    if !one_of(&asked["maxReasoningEffort"], &["low", "medium", "high"]) {
        return Err(model_error(
            "reasoningConfig.maxReasoningEffort: must be one of low, medium, high",
        ));
    }
    let limits = ["temperature", "topP", "maxTokens"].map(|name| &body["inferenceConfig"][name]);
    if asked["maxReasoningEffort"] == "high" && limits.iter().any(|limit| !limit.is_null()) {
        return Err(model_error(
            "temperature, topP and maxTokens must be unset when maxReasoningEffort is high",
        ));
    }
    Ok(())
}

/// Checks Claude's `thinking`.
pub(super) fn check_claude(model: &FoundationModel, body: &Value) -> Result<(), BedrockException> {
    if !is_claude(model) || thinking_field(body).is_null() {
        return Ok(());
    }
    if !model.has_capability('R') {
        return Err(model_error("thinking: Extra inputs are not permitted"));
    }
    check_thinking_type(model, body)
}

fn check_thinking_type(model: &FoundationModel, body: &Value) -> Result<(), BedrockException> {
    let thinking = thinking_field(body);
    match thinking["type"].as_str() {
        Some("enabled") if FAMILIES.budget_thinking.has(model) => check_budget(thinking, body)?,
        Some("enabled") if FAMILIES.adaptive_thinking.has(model) => {
            return Err(model_error(
                "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \
                 \"output_config.effort\" to control thinking behavior.",
            ));
        }
        Some("adaptive") if !thinking["budget_tokens"].is_null() => {
            return Err(model_error(
                "thinking.adaptive.budget_tokens: Extra inputs are not permitted",
            ));
        }
        Some("adaptive") if FAMILIES.adaptive_thinking.has(model) => {}
        Some("disabled") if !FAMILIES.always_thinking.has(model) => return Ok(()),
        Some("disabled") => {
            return Err(model_error("\"thinking.type.disabled\" is not supported for this model."));
        }
        Some("adaptive") => {
            return Err(model_error("adaptive thinking is not supported on this model"));
        }
        Some("enabled") => {
            return Err(model_error("\"thinking.type.enabled\" is not supported for this model."));
        }
        _ => {
            return Err(model_error(
                "thinking.type: Input should be 'enabled', 'adaptive' or 'disabled'",
            ));
        }
    }
    check_conflicts(body)
}

fn check_budget(thinking: &Value, body: &Value) -> Result<(), BedrockException> {
    let Some(budget) = thinking["budget_tokens"].as_u64() else {
        return Err(model_error("thinking.enabled.budget_tokens: Field required"));
    };
    if budget < MIN_BUDGET {
        let message = format!(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to {MIN_BUDGET}"
        );
        return Err(model_error(message));
    }
    if body["inferenceConfig"]["maxTokens"].as_u64().is_some_and(|most| most <= budget) {
        return Err(model_error("`max_tokens` must be greater than `thinking.budget_tokens`."));
    }
    Ok(())
}

/// Checks that no other parameter conflicts with thinking.
fn check_conflicts(body: &Value) -> Result<(), BedrockException> {
    let sampling = &body["inferenceConfig"];
    let choice = &body["toolConfig"]["toolChoice"];
    let own_choice = &body["additionalModelRequestFields"]["tool_choice"];
    let temperature = sampling["temperature"].as_f64();
    let objection = if temperature.is_some_and(|temperature| temperature != 1.0) {
        "`temperature` may only be set to 1 when thinking is enabled."
    } else if sampling["topP"].as_f64().is_some_and(|top_p| top_p < 0.95) {
        "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled."
    } else if !body["additionalModelRequestFields"]["top_k"].is_null() {
        "`top_k` must be unset when thinking is enabled."
    } else if choice.get("any").or(choice.get("tool")).is_some() || fields::is_forced(own_choice) {
        "Thinking may not be enabled when tool_choice forces tool use."
    } else {
        return Ok(());
    };
    Err(model_error(objection))
}

/// Checks that the model supports the effort.
pub(super) fn check_effort(model: &FoundationModel, body: &Value) -> Result<(), BedrockException> {
    let native = &body["additionalModelRequestFields"]["output_config"]["effort"];
    let Some(effort) = body["outputConfig"]["effort"].as_str().or(native.as_str()) else {
        return Ok(());
    };
    let taken = match effort {
        "max" => FAMILIES.effort_max.has(model),
        "xhigh" => FAMILIES.effort_xhigh.has(model),
        "low" | "medium" | "high" => FAMILIES.effort.has(model),
        _ => false,
    };
    if !taken {
        return Err(model_error(format!("This model does not support the effort '{effort}'.")));
    }
    let betas = list(&body["additionalModelRequestFields"]["anthropic_beta"]);
    if FAMILIES.effort_by_beta.has(model) && !betas.iter().any(|beta| beta == EFFORT_BETA) {
        return Err(model_error(format!("output_config.effort: needs the beta {EFFORT_BETA}")));
    }
    Ok(())
}
