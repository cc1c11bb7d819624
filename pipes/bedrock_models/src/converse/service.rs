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
    let wish = Wished::of(call, extras)?;
    let Some(guardrail_identifier) = wish.identifier else {
        // A wish that names no guardrail cannot be granted, unless there is one already.
        return match wish.version.filter(|_| of_valves.is_none()) {
            None => Ok(of_valves),
            Some(_) => Err(fault("guardrailIdentifier", "names the guardrail; it is missing")),
        };
    };
    let guardrail_version = wish.version.unwrap_or("DRAFT");
    if !is_guardrail(guardrail_identifier) {
        return Err(fault("guardrailIdentifier", "must be an id or an ARN"));
    }
    if !is_version(guardrail_version) {
        return Err(fault("guardrailVersion", "must be DRAFT or a number"));
    }
    let trace = wish.trace.map(str::to_ascii_lowercase);
    let mode = wish.mode.filter(|_| streamed);
    Ok(Some(Guardrail {
        guardrail_identifier,
        guardrail_version,
        trace: trace.map(|trace| one_of(&trace, TRACES, "guardrailConfig.trace")).transpose()?,
        stream_processing_mode: mode
            .map(|mode| one_of(mode, MODES, "guardrailConfig.streamProcessingMode"))
            .transpose()?,
    }))
}

/// The guardrail that a request wishes for, in its body or in headers.
struct Wished<'a> {
    identifier: Option<&'a str>,
    version: Option<&'a str>,
    trace: Option<&'a str>,
    mode: Option<&'a str>,
}

impl<'a> Wished<'a> {
    fn of(call: &'a Call, extras: Extras<'a>) -> Result<Self> {
        let config = extras.object("guardrailConfig")?.or(extras.object("guardrail_config")?);
        let filled = |text: &&str| !text.trim().is_empty();
        let said = |name: &str, other: &str| match config.and_then(|c| c.get(name).or(c.get(other)))
        {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(filled)),
            Some(_) => Err(fault(name, "must be a text")),
        };
        let hint = |name: &str| call.hints.get(&format!("x-amzn-bedrock-{name}")).filter(filled);
        Ok(Self {
            identifier: said("guardrailIdentifier", "guardrail_identifier")?
                .or_else(|| hint("guardrailidentifier")),
            version: said("guardrailVersion", "guardrail_version")?
                .or_else(|| hint("guardrailversion")),
            trace: said("trace", "trace")?.or_else(|| hint("trace")),
            mode: said("streamProcessingMode", "stream_processing_mode")?,
        })
    }
}

fn fault(name: &str, rule: &str) -> PipeError {
    PipeError::bad_field(
        format!("guardrailConfig.{name}"),
        format!("guardrailConfig.{name} {rule}"),
    )
}

/// Bedrock's pattern is `[a-z0-9]+` or an ARN.
pub fn is_guardrail(id: &str) -> bool {
    let is_bare = id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    is_bare || id.starts_with("arn:") && !id.contains(char::is_whitespace)
}

const TRACES: &[&str] = &["enabled", "disabled", "enabled_full"];
const MODES: &[&str] = &["sync", "async"];
const LATENCIES: &[&str] = &["standard", "optimized"];
const TIERS: &[&str] = &["default", "flex", "priority", "reserved"];

fn latency(extras: Extras<'_>) -> Result<Option<&'static str>> {
    let config = extras.object("performanceConfig")?.or(extras.object("performance_config")?);
    let latency = config.and_then(|config| config.get("latency")).filter(|word| !word.is_null());
    let latency = latency.map(|word| word.as_str().unwrap_or("not a word"));
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
    let is_flat = |value: &Value| !value.is_object() && !value.is_array();
    let given = given.filter(|given| given.values().all(is_flat));
    let mut pairs: Vec<(&str, String)> = Vec::new();
    if valves.user_in_metadata
        && let Some(user) = &call.user
    {
        pairs.push(("user_id", noted(&user.id)));
        pairs.extend(user.email.as_deref().map(|email| ("user_email", noted(email))));
        pairs.extend(user.role.as_deref().map(|role| ("user_role", noted(role))));
    }
    let told = pairs.len();
    for (key, value) in given.into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), String::from);
        // Nobody says of themselves who they are.
        let forged = pairs.iter().take(told).any(|(name, _)| name == key);
        if !forged && !value.is_null() && is_noted(key) && is_noted(&text) {
            pairs.push((key, text));
        }
    }
    let fits = |(key, value): &(&str, String)| (1..=256).contains(&key.len()) && value.len() <= 256;
    let pairs = pairs.into_iter().filter(fits).take(16);
    pairs.map(|(key, value)| (key.to_owned(), value.into())).collect()
}

/// The text with a mark in place of each character that AWS does not take.
fn noted(text: &str) -> String {
    let fit = |c: char| if c.is_ascii() && is_noted(c.encode_utf8(&mut [0; 4])) { c } else { '_' };
    text.chars().map(fit).collect()
}

fn is_noted(text: &str) -> bool {
    let mark = |byte| b" :_@$#=/+,-.".contains(&byte);
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || mark(byte))
}
