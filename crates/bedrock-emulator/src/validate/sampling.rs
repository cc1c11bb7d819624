//! Temperature and its kin, stop sequences, and how long an answer may be.

use super::family::{FAMILIES, is_claude};
use super::{by_model, unsupported};
use crate::body::list;
use crate::catalogue::Model;
use crate::fault::Fault;
use serde_json::Value;

const MIN_TOKENS: u64 = 16;

pub(super) fn samplers(model: &Model, body: &Value) -> Result<(), Fault> {
    let (temperature, top_p) =
        (&body["inferenceConfig"]["temperature"], &body["inferenceConfig"]["topP"]);
    let top_k = &body["additionalModelRequestFields"]["top_k"];
    if FAMILIES.one_sampler.has(model) && !temperature.is_null() && !top_p.is_null() {
        return Err(by_model(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        ));
    }
    let warm = temperature.as_f64().is_some_and(|temperature| temperature != 1.0);
    let named = [("temperature", warm), ("top_p", !top_p.is_null()), ("top_k", !top_k.is_null())];
    let Some((name, _)) = named.iter().find(|(_, given)| *given) else { return Ok(()) };
    if FAMILIES.no_sampler.has(model) {
        return Err(by_model(format!("`{name}` is deprecated for this model.")));
    }
    if FAMILIES.samples_or_reasons.has(model) && reasons(model, body) {
        return Err(by_model(format!(
            "Unsupported parameter: '{name}' is not supported with this model."
        )));
    }
    Ok(())
}

fn reasons(model: &Model, body: &Value) -> bool {
    let effort = body["additionalModelRequestFields"]["reasoning"]["effort"].as_str();
    effort.map_or(FAMILIES.reasons_unasked.has(model), |effort| effort != "none")
}

/// Whether the model takes the stop sequences. That some Llama 3.x take none is hearsay, so they may have them here.
pub(super) fn stop_sequences(model: &Model, body: &Value) -> Result<(), Fault> {
    let stops = list(&body["inferenceConfig"]["stopSequences"]);
    if !stops.is_empty() && FAMILIES.no_stop_sequences.has(model) {
        return Err(unsupported("stopSequences"));
    }
    let blank = |stop: &Value| stop.as_str().is_some_and(|stop| stop.trim().is_empty());
    if is_claude(model) && stops.iter().any(blank) {
        return Err(by_model("stop_sequences: each stop sequence must contain non-whitespace"));
    }
    Ok(())
}

pub(super) fn length(model: &Model, body: &Value) -> Result<(), Fault> {
    let most = body["inferenceConfig"]["maxTokens"].as_u64();
    if FAMILIES.sixteen_tokens.has(model) && most.is_some_and(|most| most < MIN_TOKENS) {
        return Err(by_model(format!(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {MIN_TOKENS}."
        )));
    }
    let limit = FAMILIES.most_tokens_of(model);
    if let Some(limit) = limit.filter(|limit| most.is_some_and(|most| most > *limit)) {
        return Err(Fault::validation(format!(
            "The maximum tokens you requested exceeds the model limit of {limit}. Try again with a maximum tokens value \
             that is lower than {limit}."
        )));
    }
    Ok(())
}
