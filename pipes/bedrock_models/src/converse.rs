//! The request to Bedrock: OpenAI's chat made a Converse body.
//!
//! The body is written by us and not by the SDK, because the SDK's JSON type loses the order of keys: a tool's schema would look different
//! to the model each time, and no prompt cache would ever hit (`docs/reference/bedrock.md`, "Key order"). The same chat gives the same bytes.

mod base64;
mod body;
mod caching;
mod extras;
mod format;
mod formats;
mod inference;
mod media;
mod order;
mod own_fields;
mod parts;
mod pictures;
#[cfg(test)]
mod properties;
mod service;
mod sound;
mod target;
mod thinking;
mod tool_schema;
mod tools;
mod turns;

pub use extras::Extras;
pub use media::picture_in;
pub use own_fields::{THOUGHT, is_given};
pub use parts::SIGNED;
pub use service::is_guardrail;
pub use target::{Inputs, Target};

use crate::{
    family::{Family, Tools},
    names::Names,
    valves::BedrockValves,
};
use body::{Block, Converse, Count, CountInput};
use bytes::Bytes;
use format::Format;
use pipe_sdk::{Call, PipeError, Result};
use std::borrow::Cow;
use thinking::Mind;
use tools::{Choice, Tooling};
use turns::Turns;

/// A chat, the model that it is for, and how an admin wants such chats.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The chat.
    pub call: &'a Call,
    /// The model.
    pub target: &'a Target,
    /// The admin's wishes.
    pub valves: &'a BedrockValves,
}

/// A request that is ready to be sent.
#[derive(Debug)]
pub struct Request {
    /// The JSON text.
    pub body: Bytes,
    /// Whether the answer comes step by step.
    pub streamed: bool,
    /// How to read the answer.
    pub reading: Reading,
}

/// What of a request decides how its answer is read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// How tools are called there.
    pub names: Names,
    /// Which calls of tools are told.
    pub calls: Calls,
    /// What is done with JSON that was asked for.
    pub shape: Shape,
    /// Whether reasoning is signed, and comes back.
    pub signed: bool,
    /// The tools that may be called as text, in the model's own notation.
    pub textual: Vec<String>,
    /// The limit of tokens that was asked for in place of the client's.
    pub cut: Option<u32>,
}

/// Which calls of tools are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Calls {
    /// All.
    #[default]
    All,
    /// The first.
    One,
    /// None: they are forbidden, and to be dropped if the model makes them nevertheless.
    None,
}

/// What is done with JSON that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// It is told as it is.
    #[default]
    AsItIs,
    /// The arguments of the tool of this name are the answer.
    Tool(&'static str),
    /// A fence around it is taken away.
    Unfenced,
}

/// Writes the request that asks this chat of this model.
pub fn request(asked: &Asked<'_>) -> Result<Request> {
    let Written { converse, streamed, reading } = written(asked)?;
    let body = serde_json::to_vec(&converse).map_err(PipeError::internal)?.into();
    Ok(Request { body, streamed, reading })
}

/// Writes the request that asks how many tokens this chat is to this model.
pub fn counted(asked: &Asked<'_>) -> Result<Bytes> {
    let Written { converse, .. } = written(asked)?;
    let input = CountInput { converse: converse.counted() };
    Ok(serde_json::to_vec(&Count { input }).map_err(PipeError::internal)?.into())
}

/// A request, and how its answer comes and is read.
struct Written<'a> {
    converse: Converse<'a>,
    streamed: bool,
    reading: Reading,
}

fn written<'a>(asked: &Asked<'a>) -> Result<Written<'a>> {
    let Asked { call, target, valves } = *asked;
    let (body, extras) = (&call.body, Extras::of(&call.body));
    refuse_ignored(asked)?;
    let mut tooling = Tooling::of(body, target, valves.drop_tools)?;
    let mut turns = Turns::of(body, target, &mut tooling.names)?;
    let mind = Mind::of(body, &target.family, turns.is_unsigned_loop())?;
    let mut family = target.family;
    family.tool_choice &= !(mind.on && family.signed);
    family.prefill &= !mind.on;

    // A client that has a tool of that name gets the answer in another way.
    let forceable = family.tool_choice && !tooling.has(format::ANSWER);
    let format = Format::of(body, &Family { tool_choice: forceable, ..family }, mind.on)?;
    let (output_config, told, shape) = match format {
        Format::Free => (None, None, Shape::AsItIs),
        Format::Native(config) => (Some(config), None, Shape::AsItIs),
        Format::Tool(spec) => {
            tooling.demand(spec);
            (None, None, Shape::Tool(format::ANSWER))
        }
        Format::Told(words) => (None, Some(words), Shape::Unfenced),
    };
    let textual = if family.calls_as_text { tooling.called_so() } else { Vec::new() };
    let mut tool_config = tooling.config(&turns.called, family.tool_choice);
    let forbidden = tooling.choice == Choice::Forbidden;
    if forbidden && tool_config.is_some() {
        turns.system.push(Block::Text(NO_CALLS));
    }
    turns.system.extend(told.map(Block::Text));
    let (mut system, mut messages) = turns.settled(&family);
    let wish = caching::Wish::of(body, valves.prompt_caching, call.chat.task.is_some());
    caching::settle(tool_config.as_mut(), &mut system, &mut messages, &family, wish);

    let one_call = extras.get("parallel_tool_calls").is_some_and(|parallel| *parallel == false);
    let chosen = tool_config.as_ref().is_some_and(|config| config.tool_choice.is_some());
    let told_one = one_call && family.one_call && tool_config.is_some();
    let calls = if forbidden {
        Calls::None
    } else if one_call && !told_one {
        Calls::One
    } else {
        Calls::All
    };
    let streamed = family.streams && (tool_config.is_none() || family.tools != Tools::Unstreamed);
    let converse = Converse {
        inference_config: inference::of(body, &family, &mind)?,
        additional_model_response_field_paths: own_fields::wanted(family.signed && mind.on),
        additional_model_request_fields: own_fields::of(
            asked,
            mind,
            told_one.then_some(chosen),
            &tooling.defined,
        )?,
        output_config,
        service: service::of(asked, streamed)?,
        tool_config,
        system,
        messages,
    };
    let cut = inference::cut(body, &family).filter(|_| converse.inference_config.is_some());
    let names = tooling.names;
    let reading = Reading { names, calls, shape, signed: family.signed, textual, cut };
    Ok(Written { converse, streamed, reading })
}

/// Converse knows no way to forbid tools that the conversation has already used.
const NO_CALLS: Cow<'static, str> = Cow::Borrowed("Do not call any tool now: answer in words.");

/// OpenAI's fields that Bedrock has nothing for.
const IGNORED: &[&str] =
    &["seed", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs"];

/// Refuses what would be ignored, if an admin wants it so.
fn refuse_ignored(asked: &Asked<'_>) -> Result<()> {
    let extras = Extras::of(&asked.call.body);
    let field = IGNORED.iter().find(|field| extras.get(field).is_some());
    match field.filter(|_| asked.valves.refuse_ignored) {
        None => Ok(()),
        Some(field) => Err(PipeError::bad_field(
            *field,
            format!("{field}: Amazon Bedrock has nothing for it; leave it out"),
        )),
    }
}
