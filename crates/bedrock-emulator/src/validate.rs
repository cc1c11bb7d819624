//! Validates requests as Bedrock does, with its error texts.
//!
//! The checks are, in this order: the schema of the request, the order of its messages, and the
//! restrictions of the model's family. The error texts are Bedrock's where they are known. A few
//! rules that Bedrock applies inconsistently (the order of tool results, a `cachePoint` in the
//! first position) are strict here, with texts of our own, because a client should not depend on
//! them.

mod block;
mod cache;
mod family;
mod fields;
mod media;
mod modality;
mod replay;
mod sampling;
mod schema;
mod structured;
mod thinking;
mod tool;
mod turns;

use crate::catalogue::FoundationModel;
use crate::exception::BedrockException;
use schema::Shape;
use serde_json::Value;

/// A check of a request's body for a model.
type Check = fn(&FoundationModel, &Value) -> Result<(), BedrockException>;

/// The checks that every request passes, in the order in which the service makes them.
const CHECKS: [Check; 27] = [
    family::check_supports_chat,
    turns::check_system_prompt,
    turns::check_role_order,
    turns::check_texts,
    tool::check_tools,
    tool::check_tool_roles,
    tool::check_call_result_pairs,
    tool::check_tool_results,
    tool::check_tool_blocks_alone,
    modality::check_modalities,
    media::check_media,
    cache::check_cache_points,
    cache::check_lifetimes,
    sampling::check_samplers,
    sampling::check_stop_sequences,
    sampling::check_max_tokens,
    fields::check_known_fields,
    fields::check_response_paths,
    fields::check_betas,
    fields::check_tool_choice,
    fields::check_effort,
    thinking::check_nova,
    thinking::check_claude,
    thinking::check_effort,
    replay::check_reasoning,
    turns::check_prefill,
    structured::check_output_schema,
];

/// Checks a `Converse` body for this model.
pub fn check_converse(model: &FoundationModel, body: &Value) -> Result<(), BedrockException> {
    schema::check(Shape::Converse, body)?;
    CHECKS.iter().try_for_each(|check| check(model, body))
}

/// Checks a `ConverseStream` body for this model.
pub fn check_converse_stream(
    model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    schema::check(Shape::ConverseStream, body)?;
    family::check_supports_streaming(model, body)?;
    CHECKS.iter().try_for_each(|check| check(model, body))
}

pub(crate) fn check_count_tokens(body: &Value) -> Result<(), BedrockException> {
    schema::check(Shape::CountTokens, body)
}

pub(crate) fn check_apply_guardrail(body: &Value) -> Result<(), BedrockException> {
    schema::check(Shape::ApplyGuardrail, body)
}

/// Returns an error of the model itself, as Bedrock forwards it.
fn model_error(message: impl std::fmt::Display) -> BedrockException {
    BedrockException::validation(format!("The model returned the following errors: {message}"))
}

/// Returns the exception of a field that a model does not support.
fn unsupported(field: &str) -> BedrockException {
    BedrockException::validation(format!(
        "This model doesn't support the {field} field. Remove {field} and try again."
    ))
}
