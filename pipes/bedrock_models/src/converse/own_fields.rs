//! What the model's own API has and Converse has not: it goes beside the rest as it is (`docs/reference/bedrock.md`, "Model families").

use super::{Asked, extras::Extras, inference, thinking::Mind, tools::Defined};
use crate::{family::Lesson, valves::BedrockValves};
use pipe_sdk::{Call, Hints, Result};
use serde_json::{Map, Value, json};

/// Where Claude tells how many tokens it has thought with.
pub const THOUGHT: &str = "/usage/output_tokens_details";

/// What of the model's own answer is wanted beside Converse's.
pub fn wanted(counted: bool) -> Vec<&'static str> {
    counted.then_some(THOUGHT).into_iter().collect()
}

/// The model's own fields for this chat. `one_call` is there if the model is to call one tool at a time; it tells whether Converse's own
/// field says already which.
pub fn of(
    asked: &Asked<'_>,
    mind: Mind,
    one_call: Option<bool>,
    defined: &Defined,
) -> Result<Map<String, Value>> {
    let (family, extras) = (&asked.target.family, Extras::of(&asked.call.body));
    let mut fields = Map::new();
    inference::top_k(extras, family, &mind, &mut fields)?;
    fields.extend(mind.fields);
    let mut betas = betas(asked, extras);
    for beta in defined.betas.iter().map(|beta| Value::from(*beta)) {
        if !betas.contains(&beta) {
            betas.push(beta);
        }
    }
    if !defined.tools.is_empty() {
        fields.insert("tools".into(), defined.tools.clone().into());
    }
    if let Some(choice) = &defined.choice {
        fields.insert("tool_choice".into(), choice.clone());
    }
    if asked.target.is_claude() && !betas.is_empty() {
        fields.insert(BETAS.into(), betas.into());
    }
    match one_call {
        None => {}
        _ if defined.choice.is_some() => {
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
    for name in GIVEN {
        for (key, value) in extras.object(name)?.into_iter().flatten() {
            let value =
                if key == BETAS { allowed(value, asked.valves).into() } else { value.clone() };
            fields.insert(key.clone(), value);
        }
    }
    fields.retain(|name, _| !asked.target.refused.contains(name));
    Ok(fields)
}

/// Where a client puts fields of the model's own.
const GIVEN: [&str; 2] = ["additionalModelRequestFields", "additional_model_request_fields"];

/// Where Claude reads which betas it is to have.
const BETAS: &str = "anthropic_beta";

/// Whether a lesson is about a field that the client itself has given.
pub fn is_given(call: &Call, lesson: &Lesson) -> bool {
    let Lesson::Field(field) = lesson else { return false };
    let extras = Extras::of(&call.body);
    GIVEN.iter().filter_map(|name| extras.get(name)).any(|given| given.get(field).is_some())
}

/// Of these betas, those that the valve allows.
fn allowed(betas: &Value, valves: &BedrockValves) -> Vec<Value> {
    let known = |beta: &&Value| beta.as_str().is_some_and(|beta| is_allowed(beta, valves));
    betas.as_array().into_iter().flatten().filter(known).cloned().collect()
}

fn is_allowed(beta: &str, valves: &BedrockValves) -> bool {
    valves.anthropic_betas.iter().any(|known| known == beta)
}

/// The beta that gives Claude a context of a million tokens.
const LONG_CONTEXT: &str = "context-1m-2025-08-07";

/// Whether that beta is for this model.
fn has_long_context(asked: &Asked<'_>) -> bool {
    let id = asked.target.id.as_str();
    asked.target.is_claude() && ["sonnet-4", "opus-4-6"].iter().any(|name| id.contains(name))
}

/// The betas that the request names and the valve allows.
fn betas(asked: &Asked<'_>, extras: Extras<'_>) -> Vec<Value> {
    let given = match extras.get(BETAS) {
        Some(Value::Array(betas)) => betas.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(betas)) => betas.split(',').collect(),
        _ => Vec::new(),
    };
    let long = asked.call.hints.get(Hints::CONTEXT) == Some("1m") && has_long_context(asked);
    let given: Vec<_> = given.into_iter().chain(long.then_some(LONG_CONTEXT)).collect();
    let header = asked.call.hints.get("anthropic-beta").unwrap_or_default().split(',');
    let mut betas: Vec<&str> = Vec::new();
    for beta in
        given.into_iter().chain(header).map(str::trim).filter(|beta| is_allowed(beta, asked.valves))
    {
        if !betas.contains(&beta) {
            betas.push(beta);
        }
    }
    betas.into_iter().map(Value::from).collect()
}
