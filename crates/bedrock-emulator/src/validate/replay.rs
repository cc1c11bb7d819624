//! Reasoning of earlier messages: the models that accept it, and its position.

use super::block::{self, Block};
use super::family::{FAMILIES, is_claude};
use super::{model_error, thinking, unsupported};
use crate::body::{list, messages};
use crate::catalogue::FoundationModel;
use crate::exception::BedrockException;
use serde_json::Value;

/// Checks that the model accepts its earlier reasoning in this form.
pub(super) fn check_reasoning(
    model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    block::all_blocks(body)
        .filter(|block| block.member("reasoningContent").is_some())
        .try_for_each(|block| check_accepted(model, block))?;
    messages(body).iter().enumerate().try_for_each(|(at, turn)| check_first_position(at, turn))?;
    if is_claude(model) && thinking::has_budget(body) { check_tool_use_start(body) } else { Ok(()) }
}

fn check_accepted(model: &FoundationModel, block: Block<'_>) -> Result<(), BedrockException> {
    if block.role != "assistant" {
        return Err(BedrockException::validation(
            "User messages cannot contain reasoning content. Please remove the reasoning content and try again.",
        ));
    }
    let path = block.path();
    if !model.has_capability('R') || FAMILIES.no_reasoning_back.has(model) {
        return Err(unsupported(&format!("{path}.reasoningContent")));
    }
    let content = &block.value["reasoningContent"];
    if !is_claude(model) && content.get("redactedContent").is_some() {
        return Err(unsupported(&format!("{path}.reasoningContent.redactedContent")));
    }
    let signature = content["reasoningText"]["signature"].as_str().unwrap_or_default();
    if is_claude(model) && content.get("reasoningText").is_some() && signature.is_empty() {
        return Err(model_error(format!("{path}.thinking.signature: Field required")));
    }
    Ok(())
}

fn check_first_position(at: usize, turn: &Value) -> Result<(), BedrockException> {
    let is_reasoning = |block: &Block<'_>| block.member("reasoningContent").is_some();
    match block::blocks_of_message(at, turn).skip_while(is_reasoning).find(is_reasoning) {
        None => Ok(()),
        Some(late) => Err(model_error(format!(
            "{}: `thinking` blocks must come before `text` and `tool_use` blocks",
            late.path()
        ))),
    }
}

/// Checks that the current sequence of tool calls begins with reasoning. Only its first message
/// needs it.
fn check_tool_use_start(body: &Value) -> Result<(), BedrockException> {
    let holds =
        |turn: &Value, kind| list(&turn["content"]).iter().any(|block| block.get(kind).is_some());
    let under_way = |turn: &Value| turn["role"] != "user" || holds(turn, "toolResult");
    let round = messages(body).iter().enumerate().rev().take_while(|(_, turn)| under_way(turn));
    let Some((at, first)) = round.filter(|(_, turn)| turn["role"] == "assistant").last() else {
        return Ok(());
    };
    let opening = &first["content"][0];
    if opening.get("reasoningContent").is_some() {
        return Ok(());
    }
    let found = if opening.get("toolUse").is_some() { "tool_use" } else { "text" };
    Err(model_error(format!(
        "messages.{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{found}`. When `thinking` \
         is enabled, a final `assistant` message must start with a thinking block (preceding the lastmost set of \
         `tool_use` and `tool_result` blocks)."
    )))
}
