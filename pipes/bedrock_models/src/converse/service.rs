//! What is asked of Bedrock itself: guardrails, speed, urgency, and notes for the bill.

use super::{
    Asked,
    body::{Guardrail, Performance, Service, Tier},
    extras::Extras,
};
use crate::valves::{BedrockValves, GuardrailTrace, is_version};
use pipe_sdk::{Call, PipeError, Result};
use serde_json::{Map, Value};

/// What this chat asks of the service.
pub fn of<'a>(asked: &Asked<'a>, streamed: bool) -> Result<Service<'a>> {
    let extras = Extras::of(&asked.call.body);
    Ok(Service {
        guardrail_config: guardrail(asked, extras, streamed)?,
        request_metadata: metadata(asked.call, asked.valves),
        performance_config: latency(extras)?.map(|latency| Performance { latency }),
        service_tier: tier(extras)?.map(|r#type| Tier { r#type }),
    })
}

/// The guardrail of the valves, or the one that the request names if it may.
fn guardrail<'a>(
    asked: &Asked<'a>,
    extras: Extras<'a>,
    streamed: bool,
) -> Result<Option<Guardrail<'a>>> {
    let Asked { call, valves, .. } = asked;
    let of_valves = valves.guardrail().map(|(guardrail_identifier, guardrail_version)| Guardrail {
        guardrail_identifier,
        guardrail_version,
        trace: (valves.guardrail_trace != GuardrailTrace::Disabled)
            .then(|| valves.guardrail_trace.as_str()),
        stream_processing_mode: streamed.then(|| valves.guardrail_streaming.as_str()),
    });
    if of_valves.is_some() && !valves.guardrail_choice {
        return Ok(of_valves);
    }
    let field = "guardrailConfig";
    let config = extras.object(field)?.or(extras.object("guardrail_config")?);
    let filled = |text: &&str| !text.trim().is_empty();
    let said = |name: &str| config?.get(name)?.as_str().filter(filled);
    let hint = |name: &str| call.hints.get(&format!("x-amzn-bedrock-{name}")).filter(filled);
    let id = said("guardrailIdentifier").or_else(|| hint("guardrailidentifier"));
    let version = said("guardrailVersion").or_else(|| hint("guardrailversion"));
    let Some(guardrail_identifier) = id else { return Ok(of_valves) };
    let guardrail_version = version.unwrap_or("DRAFT");
    if !is_guardrail(guardrail_identifier) {
        let field = "guardrailConfig.guardrailIdentifier";
        return Err(PipeError::bad_field(field, format!("{field} must be an id or an ARN")));
    }
    if !is_version(guardrail_version) {
        let field = "guardrailConfig.guardrailVersion";
        return Err(PipeError::bad_field(field, format!("{field} must be DRAFT or a number")));
    }
    let trace = said("trace").or_else(|| hint("trace"));
    let mode = said("streamProcessingMode");
    let trace = trace.map(str::to_ascii_lowercase);
    Ok(Some(Guardrail {
        guardrail_identifier,
        guardrail_version,
        trace: trace.map(|trace| one_of(&trace, TRACES, "guardrailConfig.trace")).transpose()?,
        stream_processing_mode: mode
            .filter(|_| streamed)
            .map(|mode| one_of(mode, MODES, "guardrailConfig.streamProcessingMode"))
            .transpose()?,
    }))
}

/// Bedrock's pattern is `[a-z0-9]+` or an ARN.
fn is_guardrail(id: &str) -> bool {
    let is_bare = id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    is_bare || id.starts_with("arn:") && !id.contains(char::is_whitespace)
}

const TRACES: &[&str] = &["enabled", "disabled", "enabled_full"];
const MODES: &[&str] = &["sync", "async"];
const LATENCIES: &[&str] = &["standard", "optimized"];
const TIERS: &[&str] = &["default", "flex", "priority", "reserved"];

fn latency(extras: Extras<'_>) -> Result<Option<&'static str>> {
    let config = extras.object("performanceConfig")?.or(extras.object("performance_config")?);
    let latency = config.and_then(|config| config.get("latency")).and_then(Value::as_str);
    latency.map(|word| one_of(word, LATENCIES, "performanceConfig.latency")).transpose()
}

/// OpenAI's `auto` leaves it to the account.
fn tier(extras: Extras<'_>) -> Result<Option<&'static str>> {
    let tier = match extras.first(&["service_tier", "serviceTier"]) {
        None => None,
        Some(Value::String(word)) => Some(word.as_str()),
        Some(Value::Object(tier)) => tier.get("type").and_then(Value::as_str),
        Some(_) => Some("not a word"),
    };
    let tier = tier.filter(|tier| !matches!(*tier, "auto" | ""));
    tier.map(|word| one_of(word, TIERS, "service_tier")).transpose()
}

fn one_of(word: &str, words: &[&'static str], field: &str) -> Result<&'static str> {
    words.iter().find(|known| **known == word).copied().ok_or_else(|| {
        PipeError::bad_field(field, format!("{field} must be one of {}", words.join(", ")))
    })
}

/// OpenAI's `metadata`, and who asks if the valve says so. What AWS would refuse is left out.
fn metadata(call: &Call, valves: &BedrockValves) -> Map<String, Value> {
    let extras = Extras::of(&call.body);
    let given = extras.first(&["requestMetadata", "metadata"]).and_then(Value::as_object);
    // Open WebUI's own metadata is another thing under the same name; it holds more than texts.
    let given = given.filter(|given| given.values().all(Value::is_string));
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    if valves.user_in_metadata
        && let Some(user) = &call.user
    {
        pairs.push(("user_id", &user.id));
        pairs.extend(user.email.as_deref().map(|email| ("user_email", email)));
        pairs.extend(user.role.as_deref().map(|role| ("user_role", role)));
    }
    let texts = given.into_iter().flatten();
    pairs.extend(texts.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))));
    let fit = |(key, value): &(&str, &str)| {
        (1..=256).contains(&key.len()) && value.len() <= 256 && is_noted(key) && is_noted(value)
    };
    let pairs = pairs.into_iter().filter(fit).take(16);
    pairs.map(|(key, value)| (key.to_owned(), value.into())).collect()
}

fn is_noted(text: &str) -> bool {
    let mark = |byte| b" :_@$#=/+,-.".contains(&byte);
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || mark(byte))
}
