//! The answer to a chat, by the model that was asked or by the fallback model.

use crate::{
    catalog::{ModelEntry, ModelList},
    pipe_id::PIPE_ID,
    rate_limit::check_rate_limit,
    upstreams::{ConnectedUpstream, Upstreams},
    valves::UpstreamConfigs,
};
use openai_client::{ApiError, OpenAiError};
use pipe_sdk::{Call, ChunkStream, Demand, ModelKind, PipeError, Result, matches_glob};
use std::time::Duration;

/// The `Retry-After` of a failure that the request asked for.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Returns the answer of the first candidate that gives one.
pub(crate) async fn chat(
    call: &Call,
    candidates: &[ModelEntry],
    upstreams: &Upstreams,
) -> Result<ChunkStream> {
    // Where all models fail, the error is that of the model that was asked for.
    let mut first_error = None;
    for (index, entry) in candidates.iter().enumerate() {
        let ConnectedUpstream { server, config } = &upstreams.connected()[entry.upstream];
        let id = format!("{PIPE_ID}.{}", entry.id);
        if let Err(error) = call.host.admit(&id, Demand::chat(&call.body)).await {
            // The limits of the next candidate may have room.
            first_error.get_or_insert(error);
            continue;
        }
        check_rate_limit(config, call).await?;
        let answer = match requested_failure(call, entry, index) {
            Some(error) => Err(error),
            None => server.chat(&entry.name, &call.body, call.host.context()).await,
        };
        let error = match answer {
            Ok(answer) => return Ok(answer.into_chunks(id, entry.id.clone())),
            Err(error) => error,
        };
        let should_fall_back = error.should_fall_back();
        let error = error.into_pipe_error(&entry.id);
        if let Some(next) = candidates.get(index + 1).filter(|_| should_fall_back) {
            log_fallback(&id, &next.id, &error);
        }
        first_error.get_or_insert(error);
        if !should_fall_back {
            break;
        }
    }
    Err(first_error.unwrap_or_else(|| PipeError::internal("a chat had no candidate")))
}

fn log_fallback(id: &str, next: &str, error: &PipeError) {
    let kind = error.kind();
    tracing::warn!(model = id, "`{id}` does not answer, so `{next}` is called: {kind}.");
    // An upstream may quote the prompt.
    tracing::debug!(model = id, %error, "Why `{id}` does not answer.");
}

/// Returns the failure that the header `x-pipewright-fail` asks for, so that fallbacks can be
/// tried: `first` fails the model that was asked for, and names with `*`, separated by commas, fail
/// the models that match.
fn requested_failure(call: &Call, entry: &ModelEntry, index: usize) -> Option<OpenAiError> {
    let header = call.hints.get("x-pipewright-fail")?.trim();
    let fails = match header {
        "first" | "1" | "true" => index == 0,
        names => names.split(',').any(|name| matches_glob(name.trim(), &entry.id)),
    };
    let error = ApiError {
        status: 429,
        message: "the request asked for this failure, by x-pipewright-fail".into(),
        retry_after: Some(RETRY_AFTER),
        ..ApiError::default()
    };
    fails.then_some(OpenAiError::Api(error))
}

/// Returns the model that was asked for, and after it the fallback model.
pub(crate) fn candidates(
    model: &str,
    list: &ModelList,
    configs: &UpstreamConfigs,
) -> Result<Vec<ModelEntry>> {
    let listed = list.entry(model).cloned();
    if listed.is_none()
        && let Some(error) = list.gap_error(model, configs)
    {
        return Err(error);
    }
    let asked = listed.or_else(|| list.guess(model, configs, ModelKind::Chat));
    let upstream = asked.as_ref().map(|entry| entry.upstream);
    let upstream = upstream.or_else(|| configs.find(model).map(|(upstream, _)| upstream));
    let fallback = upstream.and_then(|upstream| fallback(upstream, list, configs));
    let fallback = fallback.filter(|entry| asked.as_ref() != Some(*entry)).cloned();
    let candidates: Vec<_> = asked.into_iter().chain(fallback).collect();
    if candidates.is_empty() {
        return Err(PipeError::ModelNotFound(format!("{PIPE_ID}.{model}")));
    }
    Ok(candidates)
}

/// Returns the fallback model of this upstream, which may be one of its own or any other, if it is
/// listed.
fn fallback<'a>(
    upstream: usize,
    list: &'a ModelList,
    configs: &UpstreamConfigs,
) -> Option<&'a ModelEntry> {
    let config = &configs.0[upstream];
    let id = config.fallback.as_deref()?;
    let entry = list.entry(&config.model_id(id)).or_else(|| list.entry(id));
    entry.filter(|entry| entry.kind == ModelKind::Chat)
}
