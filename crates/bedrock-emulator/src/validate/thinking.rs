//! Reasoning: how each family is asked for it, and what it forbids meanwhile.

use super::family::{FAMILIES, is_claude};
use super::{by_model, fields};
use crate::body::list;
use crate::catalogue::Model;
use crate::fault::Fault;
use serde_json::Value;

const MIN_BUDGET: u64 = 1024;
const EFFORT_BETA: &str = "effort-2025-11-24";

/// Whether the model is asked to think, in Claude's way or in Nova's.
pub(super) fn is_on(body: &Value) -> bool {
    let nova = &body["additionalModelRequestFields"]["reasoningConfig"]["type"];
    matches!(asked(body)["type"].as_str(), Some("enabled" | "adaptive")) || nova == "enabled"
}

/// Whether Claude is asked to think within a budget.
pub(super) fn has_budget(body: &Value) -> bool {
    asked(body)["type"] == "enabled"
}

fn asked(body: &Value) -> &Value {
    let fields = &body["additionalModelRequestFields"];
    if fields["thinking"].is_null() { &fields["reasoning_config"] } else { &fields["thinking"] }
}

/// Whether Nova can think as it is asked to.
pub(super) fn nova(model: &Model, body: &Value) -> Result<(), Fault> {
    let asked = &body["additionalModelRequestFields"]["reasoningConfig"];
    if asked.is_null() || model.provider != "Amazon" {
        return Ok(());
    }
    let one_of =
        |value: &Value, known: &[&str]| value.is_null() || known.iter().any(|known| value == known);
    if !one_of(&asked["type"], &["enabled", "disabled"]) {
        return Err(by_model("reasoningConfig.type: must be one of enabled, disabled"));
    }
    if !one_of(&asked["maxReasoningEffort"], &["low", "medium", "high"]) {
        return Err(by_model(
            "reasoningConfig.maxReasoningEffort: must be one of low, medium, high",
        ));
    }
    let limits = ["temperature", "topP", "maxTokens"].map(|name| &body["inferenceConfig"][name]);
    if asked["maxReasoningEffort"] == "high" && limits.iter().any(|limit| !limit.is_null()) {
        return Err(by_model(
            "temperature, topP and maxTokens must be unset when maxReasoningEffort is high",
        ));
    }
    Ok(())
}

/// Whether Claude can think as it is asked to.
pub(super) fn claude(model: &Model, body: &Value) -> Result<(), Fault> {
    if !is_claude(model) || asked(body).is_null() {
        return Ok(());
    }
    if !model.can('R') {
        return Err(by_model("thinking: Extra inputs are not permitted"));
    }
    of_its_kind(model, body)
}

fn of_its_kind(model: &Model, body: &Value) -> Result<(), Fault> {
    let thinking = asked(body);
    match thinking["type"].as_str() {
        Some("enabled") if FAMILIES.budget_thinking.has(model) => budget(thinking, body)?,
        Some("enabled") if FAMILIES.adaptive_thinking.has(model) => {
            return Err(by_model(
                "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \
                 \"output_config.effort\" to control thinking behavior.",
            ));
        }
        Some("adaptive") if !thinking["budget_tokens"].is_null() => {
            return Err(by_model(
                "thinking.adaptive.budget_tokens: Extra inputs are not permitted",
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
        Some("enabled") => {
            return Err(by_model("\"thinking.type.enabled\" is not supported for this model."));
        }
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
        "low" | "medium" | "high" => FAMILIES.effort.has(model),
        _ => false,
    };
    if !taken {
        return Err(by_model(format!("This model does not support the effort '{effort}'.")));
    }
    let betas = list(&body["additionalModelRequestFields"]["anthropic_beta"]);
    if FAMILIES.effort_by_beta.has(model) && !betas.iter().any(|beta| beta == EFFORT_BETA) {
        return Err(by_model(format!("output_config.effort: needs the beta {EFFORT_BETA}")));
    }
    Ok(())
}
