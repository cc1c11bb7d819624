//! Refuses what Bedrock would refuse, in its words.
//!
//! First the shape of a request, then the order of its turns, then what this model's family forbids. What Bedrock says
//! is kept where it is known. A few rules it leaves to chance (the order of tool results, a `cachePoint` in the first
//! place) are held here strictly, with words of our own, since a client should not depend on luck.

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

use crate::catalogue::Model;
use crate::fault::Fault;
use schema::Shape;
use serde_json::Value;

type Check = fn(&Model, &Value) -> Result<(), Fault>;

const CHECKS: [Check; 27] = [
    family::chats,
    turns::system,
    turns::order,
    turns::text,
    tool::offered,
    tool::roles,
    tool::pairs,
    tool::results,
    tool::alone,
    modality::all,
    media::all,
    cache::points,
    cache::lifetimes,
    sampling::samplers,
    sampling::stop_sequences,
    sampling::length,
    fields::known,
    fields::response_paths,
    fields::betas,
    fields::tool_choice,
    fields::effort,
    thinking::nova,
    thinking::claude,
    thinking::effort,
    replay::reasoning,
    turns::prefill,
    structured::output,
];

/// Whether `Converse` takes this body for this model.
pub fn converse(model: &Model, body: &Value) -> Result<(), Fault> {
    schema::check(Shape::Converse, body)?;
    CHECKS.iter().try_for_each(|check| check(model, body))
}

/// Whether `ConverseStream` takes this body for this model.
pub fn converse_stream(model: &Model, body: &Value) -> Result<(), Fault> {
    schema::check(Shape::ConverseStream, body)?;
    family::streams(model, body)?;
    CHECKS.iter().try_for_each(|check| check(model, body))
}

pub(crate) fn count_tokens(body: &Value) -> Result<(), Fault> {
    schema::check(Shape::CountTokens, body)
}

pub(crate) fn apply_guardrail(body: &Value) -> Result<(), Fault> {
    schema::check(Shape::ApplyGuardrail, body)
}

/// An error of the model's own, as Bedrock passes it on.
fn by_model(message: impl std::fmt::Display) -> Fault {
    Fault::validation(format!("The model returned the following errors: {message}"))
}

fn unsupported(field: &str) -> Fault {
    Fault::validation(format!(
        "This model doesn't support the {field} field. Remove {field} and try again."
    ))
}
