//! The fields of the model's own API that Converse does not have: they are sent as
//! `additionalModelRequestFields` (`docs/reference/bedrock.md`, "Model families").

use super::{
    ChatInput, extra_fields::ExtraFields, inference, reasoning::Reasoning, tools::AnthropicTools,
};
use crate::{family::Quirk, valves::BedrockValves};
use pipe_sdk::{Call, Hints, Result};
use serde_json::{Map, Value, json};

/// The path at which Claude reports the tokens of its reasoning.
pub const THINKING_TOKENS_PATH: &str = "/usage/output_tokens_details";

/// The path at which Claude reports the stop sequence at which its answer has ended.
pub const STOP_SEQUENCE_PATH: &str = "/stop_sequence";

/// Returns the paths of fields of the model's own answer that are requested beside Converse's:
/// `counted` if its reasoning is counted, `several_stops` if there are several texts that may have
/// ended it.
pub fn response_paths(counted: bool, several_stops: bool) -> Vec<&'static str> {
    let paths = [(counted, THINKING_TOKENS_PATH), (several_stops, STOP_SEQUENCE_PATH)];
    paths.into_iter().filter_map(|(is_requested, path)| is_requested.then_some(path)).collect()
}

/// Returns the additional model fields of this chat. `single_tool_call` is `Some` if the model is
/// to call one tool at a time; it says whether Converse's `toolChoice` names the tool already.
pub fn request_fields(
    input: &ChatInput<'_>,
    reasoning: Reasoning,
    single_tool_call: Option<bool>,
    anthropic: &AnthropicTools,
) -> Result<Map<String, Value>> {
    let (family, extras) = (&input.target.family, ExtraFields::from_body(&input.call.body));
    let mut fields = Map::new();
    inference::top_k(extras, family, &reasoning, &mut fields)?;
    fields.extend(reasoning.fields);
    let mut betas = betas(input, extras);
    for beta in anthropic.betas.iter().map(|beta| Value::from(*beta)) {
        if !betas.contains(&beta) {
            betas.push(beta);
        }
    }
    if !anthropic.tools.is_empty() {
        fields.insert("tools".into(), anthropic.tools.clone().into());
    }
    if let Some(choice) = &anthropic.choice {
        fields.insert("tool_choice".into(), choice.clone());
    }
    if input.target.is_claude() && !betas.is_empty() {
        fields.insert(BETA_FIELD.into(), betas.into());
    }
    match single_tool_call {
        None => {}
        _ if anthropic.choice.is_some() => {
            fields["tool_choice"]["disable_parallel_tool_use"] = true.into();
        }
        // Two places that say which tool are refused.
        Some(true) => {
            fields.insert("tool_choice".into(), json!({"disable_parallel_tool_use": true}));
        }
        Some(false) => {
            let choice = json!({"type": "auto", "disable_parallel_tool_use": true});
            fields.insert("tool_choice".into(), choice);
        }
    }
    for name in CLIENT_FIELDS {
        for (key, value) in extras.object(name)?.into_iter().flatten() {
            let value = if key == BETA_FIELD {
                allowed_betas(value, input.valves).into()
            } else {
                value.clone()
            };
            fields.insert(key.clone(), value);
        }
    }
    fields.retain(|name, _| !input.target.rejected_fields.contains(name));
    Ok(fields)
}

/// The fields in which clients send fields of the model's own.
const CLIENT_FIELDS: [&str; 2] =
    ["additionalModelRequestFields", "additional_model_request_fields"];

/// The field that names Claude's betas.
const BETA_FIELD: &str = "anthropic_beta";

/// Returns whether a quirk is about a field that the client itself has given.
pub fn is_client_field(call: &Call, quirk: &Quirk) -> bool {
    let Quirk::Field(field) = quirk else { return false };
    let extras = ExtraFields::from_body(&call.body);
    CLIENT_FIELDS.iter().filter_map(|name| extras.get(name)).any(|given| given.get(field).is_some())
}

/// Returns the betas that the valve allows.
fn allowed_betas(betas: &Value, valves: &BedrockValves) -> Vec<Value> {
    let known = |beta: &&Value| beta.as_str().is_some_and(|beta| is_allowed(beta, valves));
    betas.as_array().into_iter().flatten().filter(known).cloned().collect()
}

/// Returns whether the valve allows a beta.
fn is_allowed(beta: &str, valves: &BedrockValves) -> bool {
    valves.anthropic_betas.iter().any(|known| known == beta)
}

/// The beta that gives Claude a context of a million tokens.
const LONG_CONTEXT: &str = "context-1m-2025-08-07";

/// Returns whether that beta is for this model.
fn has_long_context(input: &ChatInput<'_>) -> bool {
    let id = input.target.id.as_str();
    input.target.is_claude() && ["sonnet-4", "opus-4-6"].iter().any(|name| id.contains(name))
}

/// Returns the betas that the request names and the valve allows.
fn betas(input: &ChatInput<'_>, extras: ExtraFields<'_>) -> Vec<Value> {
    let given = match extras.get(BETA_FIELD) {
        Some(Value::Array(betas)) => betas.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(betas)) => betas.split(',').collect(),
        _ => Vec::new(),
    };
    let long = input.call.hints.get(Hints::CONTEXT) == Some("1m") && has_long_context(input);
    let given: Vec<_> = given.into_iter().chain(long.then_some(LONG_CONTEXT)).collect();
    let header = input.call.hints.get("anthropic-beta").unwrap_or_default().split(',');
    let mut betas: Vec<&str> = Vec::new();
    for beta in
        given.into_iter().chain(header).map(str::trim).filter(|beta| is_allowed(beta, input.valves))
    {
        if !betas.contains(&beta) {
            betas.push(beta);
        }
    }
    betas.into_iter().map(Value::from).collect()
}
