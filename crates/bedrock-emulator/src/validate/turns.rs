//! Messages: their roles, order and texts.

use super::block;
use super::family::FAMILIES;
use super::model_error;
use crate::body::{list, messages};
use crate::catalogue::FoundationModel;
use crate::exception::BedrockException;
use serde_json::Value;

/// Checks that the model supports system prompts and system messages.
pub(super) fn check_system_prompt(
    model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    if !list(&body["system"]).is_empty() && !model.has_capability('Y') {
        return Err(BedrockException::validation(
            "This model doesn't support system messages. Try again without a system message or use a model that \
             supports system messages.",
        ));
    }
    let amid = messages(body).iter().position(|turn| turn["role"] == "system");
    match amid {
        Some(at) if !FAMILIES.system_turns.has(model) => {
            Err(model_error(format!("messages.{at}: role 'system' is not supported on this model")))
        }
        _ => Ok(()),
    }
}

/// Checks that user and assistant alternate, beginning with the user.
pub(super) fn check_role_order(
    _model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    let roles: Vec<_> = messages(body)
        .iter()
        .filter_map(|turn| turn["role"].as_str())
        .filter(|role| *role != "system")
        .collect();
    if roles.first() != Some(&"user") || messages(body)[0]["role"] == "system" {
        return Err(BedrockException::validation(
            "A conversation must start with a user message. Try again with a conversation that starts with a user \
             message.",
        ));
    }
    if roles.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(BedrockException::validation(
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates \
             between user and assistant roles and try again.",
        ));
    }
    Ok(())
}

/// Checks that no message is empty and no text is blank.
pub(super) fn check_texts(_model: &FoundationModel, body: &Value) -> Result<(), BedrockException> {
    if let Some(at) = messages(body).iter().position(|turn| list(&turn["content"]).is_empty()) {
        return Err(BedrockException::validation(format!(
            "The content field in the Message object at messages.{at} is empty. Add a ContentBlock object to the \
             content field and try again."
        )));
    }
    let blank = |value: &Value| value["text"].as_str().is_some_and(|text| text.trim().is_empty());
    let in_results =
        |block: &block::Block<'_>| list(&block.value["toolResult"]["content"]).iter().any(blank);
    let in_turns = block::all_blocks(body)
        .find(|block| blank(block.value) || in_results(block))
        .map(block::Block::path);
    let in_system = list(&body["system"]).iter().position(blank).map(|at| format!("system.{at}"));
    match in_turns.or(in_system) {
        None => Ok(()),
        Some(path) => Err(BedrockException::validation(format!(
            "The text field in the ContentBlock object at {path} is blank. Add text to the text field, and try again."
        ))),
    }
}

/// Checks that the model supports a prefilled answer, if there is one.
pub(super) fn check_prefill(model: &FoundationModel, body: &Value) -> Result<(), BedrockException> {
    let Some(last) = messages(body).last().filter(|turn| turn["role"] == "assistant") else {
        return Ok(());
    };
    if !model.has_capability('A') || super::thinking::is_enabled(body) {
        return Err(model_error(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    let text =
        list(&last["content"]).last().and_then(|block| block["text"].as_str()).unwrap_or_default();
    if text.ends_with(char::is_whitespace) {
        return Err(model_error(
            "messages: final assistant content cannot end with trailing whitespace",
        ));
    }
    Ok(())
}
