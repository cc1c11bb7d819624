//! Who speaks when, and that they say something.

use super::block;
use super::by_model;
use super::family::FAMILIES;
use crate::body::{list, messages};
use crate::catalogue::Model;
use crate::fault::Fault;
use serde_json::Value;

/// Whether system prompts are for this model, wherever they stand.
pub(super) fn system(model: &Model, body: &Value) -> Result<(), Fault> {
    if !list(&body["system"]).is_empty() && !model.can('Y') {
        return Err(Fault::validation(
            "This model doesn't support system messages. Try again without a system message or use a model that \
             supports system messages.",
        ));
    }
    let amid = messages(body).iter().position(|turn| turn["role"] == "system");
    match amid {
        Some(at) if !FAMILIES.system_turns.has(model) => {
            Err(by_model(format!("messages.{at}: role 'system' is not supported on this model")))
        }
        _ => Ok(()),
    }
}

/// Whether user and assistant take turns, the user first.
pub(super) fn order(_model: &Model, body: &Value) -> Result<(), Fault> {
    let roles: Vec<_> = messages(body)
        .iter()
        .filter_map(|turn| turn["role"].as_str())
        .filter(|role| *role != "system")
        .collect();
    if roles.first() != Some(&"user") || messages(body)[0]["role"] == "system" {
        return Err(Fault::validation(
            "A conversation must start with a user message. Try again with a conversation that starts with a user \
             message.",
        ));
    }
    if roles.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Fault::validation(
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates \
             between user and assistant roles and try again.",
        ));
    }
    Ok(())
}

/// Whether every turn says something, and no text is blank.
pub(super) fn text(_model: &Model, body: &Value) -> Result<(), Fault> {
    if let Some(at) = messages(body).iter().position(|turn| list(&turn["content"]).is_empty()) {
        return Err(Fault::validation(format!(
            "The content field in the Message object at messages.{at} is empty. Add a ContentBlock object to the \
             content field and try again."
        )));
    }
    let blank = |value: &Value| value["text"].as_str().is_some_and(|text| text.trim().is_empty());
    let in_results =
        |block: &block::Block<'_>| list(&block.value["toolResult"]["content"]).iter().any(blank);
    let in_turns = block::all(body)
        .find(|block| blank(block.value) || in_results(block))
        .map(block::Block::path);
    let in_system = list(&body["system"]).iter().position(blank).map(|at| format!("system.{at}"));
    match in_turns.or(in_system) {
        None => Ok(()),
        Some(path) => Err(Fault::validation(format!(
            "The text field in the ContentBlock object at {path} is blank. Add text to the text field, and try again."
        ))),
    }
}

/// Whether an answer may be begun for the model, when one is.
pub(super) fn prefill(model: &Model, body: &Value) -> Result<(), Fault> {
    let Some(last) = messages(body).last().filter(|turn| turn["role"] == "assistant") else {
        return Ok(());
    };
    if !model.can('A') || super::thinking::is_on(body) {
        return Err(by_model(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    let text =
        list(&last["content"]).last().and_then(|block| block["text"].as_str()).unwrap_or_default();
    if text.ends_with(char::is_whitespace) {
        return Err(by_model(
            "messages: final assistant content cannot end with trailing whitespace",
        ));
    }
    Ok(())
}
