//! Sampling parameters, stop sequences and `maxTokens`.

use super::family::{FAMILIES, is_claude};
use super::{model_error, unsupported};
use crate::body::list;
use crate::catalogue::FoundationModel;
use crate::exception::BedrockException;
use serde_json::Value;

/// The smallest `maxTokens` of the models that have a minimum (OpenAI's).
const MIN_TOKENS: u64 = 16;

/// Checks the sampling parameters.
pub(super) fn check_samplers(
    model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    let (temperature, top_p) =
        (&body["inferenceConfig"]["temperature"], &body["inferenceConfig"]["topP"]);
    let top_k = &body["additionalModelRequestFields"]["top_k"];
    if FAMILIES.one_sampler.has(model) && !temperature.is_null() && !top_p.is_null() {
        return Err(model_error(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        ));
    }
    let warm = temperature.as_f64().is_some_and(|temperature| temperature != 1.0);
    let named = [("temperature", warm), ("top_p", !top_p.is_null()), ("top_k", !top_k.is_null())];
    let Some((name, _)) = named.iter().find(|(_, given)| *given) else { return Ok(()) };
    if FAMILIES.no_sampler.has(model) {
        return Err(model_error(format!("`{name}` is deprecated for this model.")));
    }
    if FAMILIES.samples_or_reasons.has(model) && reasons(model, body) {
        return Err(model_error(format!(
            "Unsupported parameter: '{name}' is not supported with this model."
        )));
    }
    Ok(())
}

/// Returns whether a model reasons in answer to this body.
fn reasons(model: &FoundationModel, body: &Value) -> bool {
    let effort = body["additionalModelRequestFields"]["reasoning"]["effort"].as_str();
    effort.map_or(FAMILIES.reasoning_by_default.has(model), |effort| effort != "none")
}

/// Checks that the model accepts the stop sequences. That some Llama 3.x models accept none is not
/// confirmed, so they are accepted here.
pub(super) fn check_stop_sequences(
    model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    let stops = list(&body["inferenceConfig"]["stopSequences"]);
    if !stops.is_empty() && FAMILIES.no_stop_sequences.has(model) {
        return Err(unsupported("stopSequences"));
    }
    let blank = |stop: &Value| stop.as_str().is_some_and(|stop| stop.trim().is_empty());
    if is_claude(model) && stops.iter().any(blank) {
        return Err(model_error("stop_sequences: each stop sequence must contain non-whitespace"));
    }
    Ok(())
}

/// Checks `maxTokens`.
pub(super) fn check_max_tokens(
    model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    let most = body["inferenceConfig"]["maxTokens"].as_u64();
    if FAMILIES.min_max_tokens_16.has(model) && most.is_some_and(|most| most < MIN_TOKENS) {
        return Err(model_error(format!(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {MIN_TOKENS}."
        )));
    }
    let limit = FAMILIES.max_tokens_of(model);
    if let Some(limit) = limit.filter(|limit| most.is_some_and(|most| most > *limit)) {
        return Err(BedrockException::validation(format!(
            "The maximum tokens you requested exceeds the model limit of {limit}. Try again with a maximum tokens value \
             that is lower than {limit}."
        )));
    }
    Ok(())
}
