//! Reasoning of earlier turns: who takes it back, and in which place.

use super::block::{self, Block};
use super::family::{FAMILIES, is_claude};
use super::{by_model, thinking, unsupported};
use crate::body::{list, messages};
use crate::catalogue::Model;
use crate::fault::Fault;
use serde_json::Value;

/// Whether what the model thought comes back as it wants it.
pub(super) fn reasoning(model: &Model, body: &Value) -> Result<(), Fault> {
    block::all(body)
        .filter(|block| block.member("reasoningContent").is_some())
        .try_for_each(|block| may_come_back(model, block))?;
    messages(body).iter().enumerate().try_for_each(|(at, turn)| comes_first(at, turn))?;
    if is_claude(model) && thinking::has_budget(body) { begins_the_tool_use(body) } else { Ok(()) }
}

fn may_come_back(model: &Model, block: Block<'_>) -> Result<(), Fault> {
    if block.role != "assistant" {
        return Err(Fault::validation(
            "User messages cannot contain reasoning content. Please remove the reasoning content and try again.",
        ));
    }
    let path = block.path();
    if !model.can('R') || FAMILIES.no_reasoning_back.has(model) {
        return Err(unsupported(&format!("{path}.reasoningContent")));
    }
    let content = &block.value["reasoningContent"];
    if !is_claude(model) && content.get("redactedContent").is_some() {
        return Err(unsupported(&format!("{path}.reasoningContent.redactedContent")));
    }
    let signature = content["reasoningText"]["signature"].as_str().unwrap_or_default();
    if is_claude(model) && content.get("reasoningText").is_some() && signature.is_empty() {
        return Err(by_model(format!("{path}.thinking.signature: Field required")));
    }
    Ok(())
}

fn comes_first(at: usize, turn: &Value) -> Result<(), Fault> {
    let is_reasoning = |block: &Block<'_>| block.member("reasoningContent").is_some();
    match block::of_turn(at, turn).skip_while(is_reasoning).find(is_reasoning) {
        None => Ok(()),
        Some(late) => Err(by_model(format!(
            "{}: `thinking` blocks must come before `text` and `tool_use` blocks",
            late.path()
        ))),
    }
}

/// Whether a round of tool calls that is still under way began with thoughts. Only its first turn must have them.
fn begins_the_tool_use(body: &Value) -> Result<(), Fault> {
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
    Err(by_model(format!(
        "messages.{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{found}`. When `thinking` \
         is enabled, a final `assistant` message must start with a thinking block (preceding the lastmost set of \
         `tool_use` and `tool_result` blocks)."
    )))
}
