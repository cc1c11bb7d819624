//! The runtime: requests to a model or a guardrail.

use crate::catalogue::FoundationModel;
use crate::event::{AnswerStream, StreamEvent, fold};
use crate::exception::BedrockException;
use crate::operation::Operation;
use crate::received_request::ReceivedRequest;
use crate::response::{Damage, EmulatorResponse};
use crate::script::{self, InjectedFault, Script};
use crate::state::{EmulatorState, apply_script, lock};
use crate::{demo, invoke, playback, tokens, validate};
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use std::future::pending;

/// Answers a request of the runtime.
pub(crate) async fn reply(
    state: &EmulatorState,
    call: &ReceivedRequest,
    operation: Operation,
) -> Result<EmulatorResponse, BedrockException> {
    match operation {
        Operation::CountTokens => count_tokens(state, call),
        Operation::ApplyGuardrail => apply_guardrail(call),
        Operation::InvokeModel | Operation::InvokeModelWithResponseStream => {
            invoke(state, call, operation).await
        }
        _ => converse(state, call, operation).await,
    }
}

/// Answers `Converse` and `ConverseStream`.
async fn converse(
    state: &EmulatorState,
    call: &ReceivedRequest,
    operation: Operation,
) -> Result<EmulatorResponse, BedrockException> {
    let model = state.catalogue.resolve_model(&call.region, call.target())?;
    let body = call.json()?;
    let check = if operation.is_streaming() {
        validate::check_converse_stream
    } else {
        validate::check_converse
    };
    check(model, &body)?;
    lock(&state.signatures).check(&body)?;
    let script = state.script_for_model(model, call);
    if let Some(reply) = apply_script(&script).await {
        return Ok(reply);
    }
    let events = events(state, call, model, &body, &script).await?;
    if operation.is_streaming() {
        Ok(EmulatorResponse::Frames(playback::encode_frames(events, script)))
    } else {
        aggregate(events, script).await
    }
}

/// Returns the events of an answer: those of its script, or those that the model generates.
async fn events(
    state: &EmulatorState,
    call: &ReceivedRequest,
    model: &FoundationModel,
    body: &Value,
    script: &Script,
) -> Result<AnswerStream, BedrockException> {
    let cached = state.look_up_prompt(call, model, body);
    if let script::ScriptedReply::Answer(answer) = &script.reply {
        let answer = answer.clone().with_cached_tokens(cached).with_request_metadata(body);
        lock(&state.signatures).record(&answer);
        return Ok(answer.stream(script.pace.unwrap_or_default()));
    }
    if let Some(relay) = &state.relay {
        return relay.stream_answer(model, body).await;
    }
    let answer = demo::answer(model, &call.region, body, cached).with_request_metadata(body);
    lock(&state.signatures).record(&answer);
    Ok(answer.stream(script.pace.unwrap_or(state.pace)))
}

// `Converse` does not stream, so a fault anywhere in the answer fails the whole response. The
// events before the fault are taken first, so that the response takes as long as in a stream.
/// Folds the events of an answer into the response of `Converse`.
async fn aggregate(
    events: AnswerStream,
    script: Script,
) -> Result<EmulatorResponse, BedrockException> {
    let events = playback::with_inserted(events, script.inserted);
    let Some((after, fault)) = script.fault else {
        return fold(events).await.map(EmulatorResponse::from);
    };
    let body = fold(events.take(after).boxed()).await?;
    let damage = match fault {
        InjectedFault::Hang => return pending().await,
        InjectedFault::Exception(fault) => return Err(fault),
        InjectedFault::Error { code, message } => {
            return Err(BedrockException::from_name(&code, message));
        }
        InjectedFault::Close => return Ok(body.into()),
        InjectedFault::Reset => Damage::Reset,
        InjectedFault::TruncatedFrame => Damage::Truncated,
        InjectedFault::BadMessageCrc | InjectedFault::BadPreludeCrc => Damage::Malformed,
    };
    Ok(EmulatorResponse::Damaged { body, damage })
}

/// Answers `InvokeModel` and `InvokeModelWithResponseStream`.
async fn invoke(
    state: &EmulatorState,
    call: &ReceivedRequest,
    operation: Operation,
) -> Result<EmulatorResponse, BedrockException> {
    let model = state.catalogue.resolve_model(&call.region, call.target())?;
    let body = call.json()?;
    let answer = invoke::respond(model, &call.region, &body)?;
    let script = state.script_for_model(model, call);
    if let Some(reply) = apply_script(&script).await {
        return Ok(reply);
    }
    if operation.is_streaming() {
        return Ok(EmulatorResponse::Frames(playback::encode_frames(
            chunks(answer.into_chunks()),
            script,
        )));
    }
    let headers = vec![
        ("x-amzn-bedrock-input-token-count", answer.input_tokens.to_string()),
        ("x-amzn-bedrock-output-token-count", answer.output_tokens.to_string()),
        ("x-amzn-bedrock-invocation-latency", "42".to_owned()),
    ];
    Ok(EmulatorResponse::Json { body: answer.body, headers })
}

/// Returns these parts of an answer as events `chunk`.
fn chunks(parts: Vec<Value>) -> AnswerStream {
    let chunk = |part: Value| {
        Ok(StreamEvent::new(
            "chunk",
            json!({ "bytes": aws_smithy_types::base64::encode(part.to_string()) }),
        ))
    };
    stream::iter(parts).map(chunk).boxed()
}

fn count_tokens(
    state: &EmulatorState,
    call: &ReceivedRequest,
) -> Result<EmulatorResponse, BedrockException> {
    let body = call.json()?;
    validate::check_count_tokens(&body)?;
    state.catalogue.find_listed_model(&call.region, call.target()).ok_or_else(|| {
        BedrockException::validation("The provided model doesn't support counting tokens.")
    })?;
    Ok(json!({ "inputTokens": tokens::estimate(&body["input"]) }).into())
}

fn apply_guardrail(call: &ReceivedRequest) -> Result<EmulatorResponse, BedrockException> {
    validate::check_apply_guardrail(&call.json()?)?;
    let free = json!({
        "topicPolicyUnits": 0,
        "contentPolicyUnits": 0,
        "wordPolicyUnits": 0,
        "sensitiveInformationPolicyUnits": 0,
        "sensitiveInformationPolicyFreeUnits": 0,
        "contextualGroundingPolicyUnits": 0,
    });
    Ok(json!({ "usage": free, "action": "NONE", "actionReason": "No action.", "outputs": [], "assessments": [] }).into())
}
