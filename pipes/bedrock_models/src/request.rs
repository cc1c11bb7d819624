//! The request to Bedrock: OpenAI's chat becomes the body of a Converse request.
//!
//! The body is not written by the AWS SDK, because the SDK's JSON type loses the order of keys: a
//! tool's schema would look different to the model each time, and no prompt cache would ever hit
//! (`docs/reference/bedrock.md`, "Key order"). The same chat gives the same bytes.

mod additional_fields;
mod answer_format;
mod base64;
mod block_order;
mod body;
mod caching;
mod extra_fields;
mod inference;
mod inline_images;
mod json_validity;
mod media;
mod media_formats;
mod messages;
mod parameters;
mod parts;
#[cfg(test)]
mod properties;
mod reasoning;
mod service;
mod target;
mod tools;

pub use additional_fields::{STOP_SEQUENCE_PATH, THINKING_TOKENS_PATH, is_client_field};
pub use media::image_from_data_url;
pub use parts::CLAUDE_REASONING_FORMAT;
pub use target::{Inputs, Target};

use crate::{
    family::{Family, ToolSupport},
    valves::BedrockValves,
};
use answer_format::AnswerFormat;
use body::{Block, ConverseBody, CountTokensBody, CountTokensInput, Inference, OutputConfig};
use bytes::Bytes;
use extra_fields::ExtraFields;
use messages::MessageBuilder;
use pipe_sdk::{Call, PipeError, Result};
use reasoning::Reasoning;
use serde::Serialize;
use std::borrow::Cow;
use tool_schema::SentTools;
use tools::{ToolChoiceMode, ToolSet};

/// A chat, the model that it is for, and the settings of the pipe.
#[derive(Clone, Copy)]
pub struct ChatInput<'a> {
    /// The chat.
    pub call: &'a Call,
    /// The model.
    pub target: &'a Target,
    /// The settings of the pipe.
    pub valves: &'a BedrockValves,
}

/// A request that can be sent.
#[derive(Debug)]
pub struct Request {
    /// The JSON text.
    pub body: Bytes,
    /// `true` if it is for `ConverseStream` rather than `Converse`.
    pub is_streamed: bool,
    /// The options for reading the response.
    pub response_options: ResponseOptions,
}

/// The properties of a request that decide how its response is read.
#[derive(Clone, Debug, Default)]
pub struct ResponseOptions {
    /// The names under which the client's tools were sent.
    pub tool_names: SentTools,
    /// The tool calls that reach the client.
    pub tool_calls: ToolCallFilter,
    /// The wrapping of an answer in JSON.
    pub answer_shape: AnswerShape,
    /// `true` if reasoning is signed, and the client sends it back.
    pub signed_reasoning: bool,
    /// The tools that the model may call as text, in its own notation.
    pub text_tools: Vec<String>,
    /// The limit of tokens that was sent in place of the client's.
    pub reduced_max_tokens: Option<u32>,
    /// The stop sequences that the model does not accept: the answer is cut here.
    pub unsent_stop_sequences: Vec<String>,
    /// The stop sequence that was sent, if it was the only one.
    pub only_stop_sequence: Option<String>,
}

/// The tool calls that reach the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolCallFilter {
    /// All.
    #[default]
    All,
    /// The first call is kept: the client wants one at a time, and the model has no setting for it.
    First,
    /// No call is kept: the client forbids tools, and the model has no setting for it.
    None,
}

/// The wrapping of an answer in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerShape {
    /// The answer is forwarded as it is.
    #[default]
    Unchanged,
    /// The arguments of the tool of this name are the answer.
    Tool(&'static str),
    /// A code fence around the answer is removed.
    Unfenced,
}

/// Writes the request that asks this chat of this model.
pub fn prepare_chat(input: &ChatInput<'_>) -> Result<Request> {
    let RequestParts { body, is_streamed, response_options } = assemble(input)?;
    let body = to_json(&body, INITIAL_CAPACITY)?;
    Ok(Request { body, is_streamed, response_options })
}

/// Writes the request that asks how many tokens this chat is to this model.
pub fn prepare_count_tokens(input: &ChatInput<'_>) -> Result<Bytes> {
    let RequestParts { body, .. } = assemble(input)?;
    let input = CountTokensInput { converse: body.without_generation_settings() };
    to_json(&CountTokensBody { input }, INITIAL_CAPACITY)
}

/// Enough for most chats without a second allocation.
const INITIAL_CAPACITY: usize = 4 << 10;

fn to_json(body: &impl Serialize, capacity: usize) -> Result<Bytes> {
    let mut json = Vec::with_capacity(capacity);
    serde_json::to_writer(&mut json, body).map_err(PipeError::internal)?;
    Ok(json.into())
}

/// A request before it is serialized.
struct RequestParts<'a> {
    body: ConverseBody<'a>,
    is_streamed: bool,
    response_options: ResponseOptions,
}

/// Builds the parts of a Converse request from a chat.
fn assemble<'a>(input: &ChatInput<'a>) -> Result<RequestParts<'a>> {
    let ChatInput { call, target, valves } = *input;
    let body = &call.body;
    refuse_ignored_fields(input)?;
    let mut tools = ToolSet::from_body(body, target, valves.drop_tools)?;
    let mut messages = MessageBuilder::from_body(body, target, &mut tools.names)?;
    let reasoning = Reasoning::new(body, &target.family, messages.is_unsigned_tool_loop())?;
    let family = without_conflicts(target.family, &reasoning);

    let (output_config, answer_shape, instructions) =
        apply_answer_format(input, &family, &reasoning, &mut tools)?;
    let text_tools = if family.textual_tool_calls { tools.names_of_specs() } else { Vec::new() };
    let mut tool_config = tools.take_config(&messages.called, family.tool_choice);
    let forbids_tools = tools.choice == ToolChoiceMode::Forbidden;
    if forbids_tools && tool_config.is_some() {
        messages.system.push(Block::Text(NO_TOOL_CALLS));
    }
    messages.system.extend(instructions.map(Block::Text));
    let (mut system, mut messages) = messages.finish(&family);
    let policy = caching::CachePolicy::new(body, valves.prompt_caching, call.chat.task.is_some());
    caching::place_cache_points(tool_config.as_mut(), &mut system, &mut messages, &family, policy);

    let inference_config = inference::config(body, &family, &reasoning)?;
    let is_streamed = family.streaming
        && (tool_config.is_none() || family.tools != ToolSupport::NotStreamed)
        && (family.slow_whole_answers
            || needs_stream(input, inference_config.as_ref(), &reasoning));
    let extras = ExtraFields::from_body(body);
    let wants_one = extras.get("parallel_tool_calls").is_some_and(|parallel| *parallel == false);
    let is_chosen = tool_config.as_ref().is_some_and(|config| config.tool_choice.is_some());
    let limits_to_one = wants_one && family.single_tool_call && tool_config.is_some();
    let tool_calls = match (forbids_tools, wants_one && !limits_to_one) {
        (true, _) => ToolCallFilter::None,
        (false, true) => ToolCallFilter::First,
        (false, false) => ToolCallFilter::All,
    };
    let unsent_stop_sequences = inference::unsent_stop_sequences(body, &family);
    let reduced_max_tokens =
        inference::reduced_max_tokens(body, &family).filter(|_| inference_config.is_some());
    let signed_reasoning = family.signed_reasoning;
    let stops = inference_config.as_ref().map_or(&[][..], |config| &config.stop_sequences);
    let only_stop_sequence = match stops {
        [only] => Some((*only).to_owned()),
        _ => None,
    };
    let body = ConverseBody {
        additional_model_response_field_paths: additional_fields::response_paths(
            signed_reasoning && reasoning.is_on,
            target.is_claude() && stops.len() > 1,
        ),
        inference_config,
        additional_model_request_fields: additional_fields::request_fields(
            input,
            reasoning,
            limits_to_one.then_some(is_chosen),
            &tools.anthropic,
        )?,
        output_config,
        service: service::settings(input, is_streamed)?,
        tool_config,
        system,
        messages,
    };
    let tool_names = tools.names;
    let response_options = ResponseOptions {
        tool_names,
        tool_calls,
        answer_shape,
        signed_reasoning,
        text_tools,
        reduced_max_tokens,
        unsent_stop_sequences,
        only_stop_sequence,
    };
    Ok(RequestParts { body, is_streamed, response_options })
}

/// Returns the family without what it does not accept while it reasons.
fn without_conflicts(mut family: Family, reasoning: &Reasoning) -> Family {
    family.tool_choice &= !(reasoning.is_on && family.signed_reasoning);
    family.prefill &= !reasoning.is_on;
    family
}

/// Applies the client's `response_format` in the way that the family supports, and returns the
/// setting for Converse, how the answer is unwrapped, and the instructions for the model.
fn apply_answer_format<'a>(
    input: &ChatInput<'a>,
    family: &Family,
    reasoning: &Reasoning,
    tools: &mut ToolSet<'a>,
) -> Result<(Option<OutputConfig>, AnswerShape, Option<Cow<'a, str>>)> {
    // A client that has a tool of that name gets the answer in another way.
    let is_forceable = family.tool_choice && !tools.has(answer_format::ANSWER_TOOL);
    let family = Family { tool_choice: is_forceable, ..*family };
    Ok(match AnswerFormat::new(&input.call.body, &family, reasoning.is_on)? {
        AnswerFormat::Any => (None, AnswerShape::Unchanged, None),
        AnswerFormat::Native(config) => (Some(config), AnswerShape::Unchanged, None),
        AnswerFormat::Tool(spec) => {
            tools.require(spec);
            (None, AnswerShape::Tool(answer_format::ANSWER_TOOL), None)
        }
        AnswerFormat::Instructions(text) => (None, AnswerShape::Unfenced, Some(text)),
    })
}

/// Returns whether the response should be streamed: the client wants a stream, or Bedrock would be
/// silent for too long before a whole answer is there.
fn needs_stream(
    input: &ChatInput<'_>,
    inference: Option<&Inference<'_>>,
    reasoning: &Reasoning,
) -> bool {
    let limit = input.valves.stream_above_max_tokens;
    let max_tokens = inference.and_then(|config| config.max_tokens);
    input.call.body.stream
        || max_tokens.map_or(limit == 0 || reasoning.is_on, |max_tokens| max_tokens > limit)
}

/// Converse has no way to forbid tools that the conversation has already used.
const NO_TOOL_CALLS: Cow<'static, str> =
    Cow::Borrowed("Do not call any tool now: answer in words.");

/// OpenAI's fields for which Bedrock has no counterpart.
const IGNORED_FIELDS: &[&str] =
    &["seed", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs"];

/// Refuses the fields that would be ignored, if the valve *Refuse ignored fields* is on.
fn refuse_ignored_fields(input: &ChatInput<'_>) -> Result<()> {
    let extras = ExtraFields::from_body(&input.call.body);
    let field = IGNORED_FIELDS.iter().find(|field| extras.get(field).is_some());
    match field.filter(|_| input.valves.refuse_ignored) {
        None => Ok(()),
        Some(field) => Err(PipeError::bad_field(
            *field,
            format!("{field}: is not supported by Amazon Bedrock: remove it"),
        )),
    }
}
