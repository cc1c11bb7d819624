//! Builds the settings for Bedrock itself: guardrail, latency, service tier and request metadata.

use super::{
    ChatInput,
    body::{GuardrailConfig, PerformanceConfig, ServiceSettings, ServiceTier},
    extra_fields::ExtraFields,
};
use crate::valves::{BedrockValves, GuardrailTrace, is_guardrail_id, is_guardrail_version};
use pipe_sdk::{Call, PipeError, Result};
use serde_json::{Map, Value};

/// Returns the service settings of this chat.
pub fn settings<'a>(input: &ChatInput<'a>, is_streamed: bool) -> Result<ServiceSettings<'a>> {
    let extras = ExtraFields::from_body(&input.call.body);
    Ok(ServiceSettings {
        guardrail_config: guardrail(input, extras, is_streamed)?,
        request_metadata: metadata(input.call, input.valves),
        performance_config: latency(extras)?.map(|latency| PerformanceConfig { latency }),
        service_tier: tier(extras)?.map(|r#type| ServiceTier { r#type }),
    })
}

/// Returns the guardrail of the valves, or the one that the request names if it may.
fn guardrail<'a>(
    input: &ChatInput<'a>,
    extras: ExtraFields<'a>,
    is_streamed: bool,
) -> Result<Option<GuardrailConfig<'a>>> {
    let ChatInput { call, valves, .. } = input;
    let default =
        valves.guardrail().map(|(guardrail_identifier, guardrail_version)| GuardrailConfig {
            guardrail_identifier,
            guardrail_version,
            trace: (valves.guardrail_trace != GuardrailTrace::Disabled)
                .then(|| valves.guardrail_trace.as_str()),
            stream_processing_mode: is_streamed.then(|| valves.guardrail_streaming.as_str()),
        });
    if default.is_some() && !valves.guardrail_choice {
        return Ok(default);
    }
    let requested = RequestedGuardrail::from_call(call, extras)?;
    let Some(guardrail_identifier) = requested.identifier else {
        // A requested that names no guardrail cannot be granted, unless there is one already.
        return match requested.version.filter(|_| default.is_none()) {
            None => Ok(default),
            Some(_) => {
                Err(field_error("guardrailIdentifier", "names the guardrail; it is missing"))
            }
        };
    };
    let guardrail_version = requested.version.unwrap_or("DRAFT");
    if !is_guardrail_id(guardrail_identifier) {
        return Err(field_error("guardrailIdentifier", "must be an id or an ARN"));
    }
    if !is_guardrail_version(guardrail_version) {
        return Err(field_error("guardrailVersion", "must be DRAFT or a number"));
    }
    let trace = requested.trace.map(str::to_ascii_lowercase);
    let mode = requested
        .mode
        .map(|mode| parse_choice(mode, MODES, "guardrailConfig.streamProcessingMode"))
        .transpose()?;
    Ok(Some(GuardrailConfig {
        guardrail_identifier,
        guardrail_version,
        trace: trace
            .map(|trace| parse_choice(&trace, TRACES, "guardrailConfig.trace"))
            .transpose()?,
        stream_processing_mode: mode.filter(|_| is_streamed),
    }))
}

/// The guardrail that a request requestedes for, in its body or in headers.
struct RequestedGuardrail<'a> {
    identifier: Option<&'a str>,
    version: Option<&'a str>,
    trace: Option<&'a str>,
    mode: Option<&'a str>,
}

impl<'a> RequestedGuardrail<'a> {
    fn from_call(call: &'a Call, extras: ExtraFields<'a>) -> Result<Self> {
        let config = extras.object("guardrailConfig")?.or(extras.object("guardrail_config")?);
        let is_set = |text: &&str| !text.trim().is_empty();
        let setting =
            |name: &str, other: &str| match config.and_then(|c| c.get(name).or(c.get(other))) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.as_str()).filter(is_set)),
                Some(_) => Err(field_error(name, "must be a text")),
            };
        let header = |name: &str| call.hints.get(&format!("x-amzn-bedrock-{name}")).filter(is_set);
        Ok(Self {
            identifier: setting("guardrailIdentifier", "guardrail_identifier")?
                .or_else(|| header("guardrailidentifier")),
            version: setting("guardrailVersion", "guardrail_version")?
                .or_else(|| header("guardrailversion")),
            trace: setting("trace", "trace")?.or_else(|| header("trace")),
            mode: setting("streamProcessingMode", "stream_processing_mode")?,
        })
    }
}

fn field_error(name: &str, rule: &str) -> PipeError {
    PipeError::bad_field(
        format!("guardrailConfig.{name}"),
        format!("guardrailConfig.{name} {rule}"),
    )
}

/// The values of a guardrail's trace.
const TRACES: &[&str] = &["enabled", "disabled", "enabled_full"];
/// The values of a guardrail's stream processing.
const MODES: &[&str] = &["sync", "async"];
/// The values of `latency`.
const LATENCIES: &[&str] = &["standard", "optimized"];
/// The service tiers.
const TIERS: &[&str] = &["default", "flex", "priority", "reserved"];

/// Returns the latency of `performanceConfig`.
fn latency(extras: ExtraFields<'_>) -> Result<Option<&'static str>> {
    let config = extras.object("performanceConfig")?.or(extras.object("performance_config")?);
    let latency = config.and_then(|config| config.get("latency")).filter(|word| !word.is_null());
    let latency = latency.map(|word| word.as_str().unwrap_or("not a word"));
    latency.map(|word| parse_choice(word, LATENCIES, "performanceConfig.latency")).transpose()
}

/// Returns the service tier; `None` for OpenAI's `auto`, which leaves it to the account.
fn tier(extras: ExtraFields<'_>) -> Result<Option<&'static str>> {
    let tier = match extras.first_of(&["service_tier", "serviceTier"]) {
        None => None,
        Some(Value::String(word)) => Some(word.as_str()),
        Some(Value::Object(tier)) => tier.get("type").and_then(Value::as_str),
        Some(_) => Some("not a word"),
    };
    let tier = tier.filter(|tier| !matches!(*tier, "auto" | ""));
    tier.map(|word| parse_choice(word, TIERS, "service_tier")).transpose()
}

fn parse_choice(word: &str, words: &[&'static str], field: &str) -> Result<&'static str> {
    words.iter().find(|known| **known == word).copied().ok_or_else(|| {
        PipeError::bad_field(field, format!("{field} must be one of {}", words.join(", ")))
    })
}

/// Returns OpenAI's `metadata`, and the user if the valve says so. Values that AWS would refuse are
/// left out.
fn metadata(call: &Call, valves: &BedrockValves) -> Map<String, Value> {
    let extras = ExtraFields::from_body(&call.body);
    let given = extras.first_of(&["requestMetadata", "metadata"]).and_then(Value::as_object);
    // Open WebUI's own metadata is another thing under the same name; it holds more than texts.
    let is_flat = |value: &Value| !value.is_object() && !value.is_array();
    let given = given.filter(|given| given.values().all(is_flat));
    let mut pairs: Vec<(&str, String)> = Vec::new();
    if valves.user_in_metadata
        && let Some(user) = &call.user
    {
        pairs.push(("user_id", sanitize(&user.id)));
        pairs.extend(user.email.as_deref().map(|email| ("user_email", sanitize(email))));
        pairs.extend(user.role.as_deref().map(|role| ("user_role", sanitize(role))));
    }
    let trusted = pairs.len();
    for (key, value) in given.into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), String::from);
        // Nobody says of themselves who they are.
        let is_forged = pairs.iter().take(trusted).any(|(name, _)| name == key);
        if !is_forged && !value.is_null() && is_accepted(key) && is_accepted(&text) {
            pairs.push((key, text));
        }
    }
    let fits = |(key, value): &(&str, String)| (1..=256).contains(&key.len()) && value.len() <= 256;
    let pairs = pairs.into_iter().filter(fits).take(16);
    pairs.map(|(key, value)| (key.to_owned(), value.into())).collect()
}

/// Returns the text with a mark in place of each character that AWS does not take.
fn sanitize(text: &str) -> String {
    let fit =
        |c: char| if c.is_ascii() && is_accepted(c.encode_utf8(&mut [0; 4])) { c } else { '_' };
    text.chars().map(fit).collect()
}

fn is_accepted(text: &str) -> bool {
    let mark = |byte| b" :_@$#=/+,-.".contains(&byte);
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || mark(byte))
}
