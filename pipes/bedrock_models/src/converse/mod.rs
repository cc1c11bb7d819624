//! The request to Bedrock: OpenAI's chat made a Converse body.
//!
//! The body is written by us and not by the SDK, because the SDK's JSON type loses the order of keys: a tool's schema would look different
//! to the model each time, and no prompt cache would ever hit (bedrock.md §0.1). The same chat gives the same bytes.

mod body;
mod image;
mod inference;
#[cfg(test)]
mod properties;
mod tools;
mod turns;

use crate::{family::Family, names::Names};
use body::{Block, Converse};
use pipe_sdk::{Body, PipeError, Result};
use std::borrow::Cow;
use tools::{Choice, Tooling};
use turns::Turns;

/// What of a model decides how it is asked.
#[derive(Clone, Debug)]
pub struct Target {
    /// The id to call it by.
    pub id: String,
    /// What its family takes.
    pub family: Family,
    /// Whether it takes images, if that is known.
    pub vision: Option<bool>,
}

/// A request that is ready to be sent.
#[derive(Debug)]
pub struct Request {
    /// The JSON text.
    pub body: Vec<u8>,
    /// How tools are called there.
    pub names: Names,
    /// Whether calls of tools are forbidden, and to be dropped if the model makes them nevertheless.
    pub muted: bool,
}

/// Writes the request that asks this chat of this model.
pub fn request(body: &Body, target: &Target) -> Result<Request> {
    let mut tooling = Tooling::of(body, target)?;
    let mut turns = Turns::of(body, target, &mut tooling.names)?;
    let tool_config = tooling.config(&turns.called, target.family.tool_choice);
    let muted = tooling.choice == Choice::Forbidden;
    if muted && tool_config.is_some() {
        turns.system.push(Cow::Borrowed(NO_CALLS));
    }
    let (system, messages) = turns.settled(&target.family)?;
    let system = system.into_iter().map(Block::Text).collect();
    let inference_config = inference::of(body, &target.family)?;
    let converse = Converse { system, messages, inference_config, tool_config };
    let body = serde_json::to_vec(&converse).map_err(PipeError::internal)?;
    Ok(Request { body, names: tooling.names, muted })
}

/// Converse knows no way to forbid tools that the conversation has already used.
const NO_CALLS: &str = "Do not call any tool now: answer in words.";
