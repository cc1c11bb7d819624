//! The runtime: calls that reach a model or a guardrail.

use crate::account::{Account, locked, open};
use crate::call::Call;
use crate::catalogue::Model;
use crate::event::{Event, Events, fold};
use crate::fault::Fault;
use crate::operation::Operation;
use crate::reply::Reply;
use crate::script::{self, Mishap, Script};
use crate::{demo, invoke, play, tokens, validate};
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use std::future::pending;

pub(crate) async fn reply(
    account: &Account,
    call: &Call,
    operation: Operation,
) -> Result<Reply, Fault> {
    match operation {
        Operation::CountTokens => count_tokens(account, call),
        Operation::ApplyGuardrail => apply_guardrail(call),
        Operation::InvokeModel | Operation::InvokeModelWithResponseStream => {
            invoke(account, call, operation).await
        }
        _ => converse(account, call, operation).await,
    }
}

async fn converse(account: &Account, call: &Call, operation: Operation) -> Result<Reply, Fault> {
    let model = account.catalogue.called(&call.region, call.target())?;
    let body = call.json()?;
    let check = if operation.streams() { validate::converse_stream } else { validate::converse };
    check(model, &body)?;
    locked(&account.signatures).check(&body)?;
    let script = account.script_for_model(model, call);
    if let Some(reply) = open(&script).await {
        return Ok(reply);
    }
    let events = events(account, call, model, &body, &script).await?;
    if operation.streams() {
        Ok(Reply::Frames(play::frames(events, script)))
    } else {
        whole(events, script).await
    }
}

async fn events(
    account: &Account,
    call: &Call,
    model: &Model,
    body: &Value,
    script: &Script,
) -> Result<Events, Fault> {
    let cached = account.cached(call, model, body);
    if let script::Reply::Answer(answer) = &script.reply {
        let answer = answer.clone().cached(cached).echoing(body);
        locked(&account.signatures).keep(&answer);
        return Ok(answer.stream(script.pace.unwrap_or_default()));
    }
    if let Some(relay) = &account.relay {
        return relay.ask(model, body).await;
    }
    let answer = demo::answer(model, &call.region, body, cached).echoing(body);
    locked(&account.signatures).keep(&answer);
    Ok(answer.stream(script.pace.unwrap_or(account.pace)))
}

// `Converse` answers whole, so a mishap anywhere in the answer is one of the whole.
async fn whole(events: Events, script: Script) -> Result<Reply, Fault> {
    match script.mishap {
        None => fold(events).await.map(Reply::from),
        Some((_, Mishap::Hang)) => pending().await,
        Some((_, Mishap::Exception(fault))) => Err(fault),
        Some((_, Mishap::Error { code, message })) => Err(Fault::of(&code, message)),
        Some((after, Mishap::Close)) => fold(events.take(after).boxed()).await.map(Reply::from),
        Some((
            _,
            Mishap::Reset | Mishap::CutFrame | Mishap::BadMessageCrc | Mishap::BadPreludeCrc,
        )) => Ok(Reply::Reset),
    }
}

async fn invoke(account: &Account, call: &Call, operation: Operation) -> Result<Reply, Fault> {
    let model = account.catalogue.called(&call.region, call.target())?;
    let body = call.json()?;
    let answer = invoke::answer(model, &call.region, &body)?;
    let script = account.script_for_model(model, call);
    if let Some(reply) = open(&script).await {
        return Ok(reply);
    }
    if operation.streams() {
        return Ok(Reply::Frames(play::frames(chunks(answer.streamed()), script)));
    }
    let headers = vec![
        ("x-amzn-bedrock-input-token-count", answer.input_tokens.to_string()),
        ("x-amzn-bedrock-output-token-count", answer.output_tokens.to_string()),
        ("x-amzn-bedrock-invocation-latency", "42".to_owned()),
    ];
    Ok(Reply::Json { body: answer.body, headers })
}

fn chunks(parts: Vec<Value>) -> Events {
    let chunk = |part: Value| {
        Ok(Event::new(
            "chunk",
            json!({ "bytes": aws_smithy_types::base64::encode(part.to_string()) }),
        ))
    };
    stream::iter(parts).map(chunk).boxed()
}

fn count_tokens(account: &Account, call: &Call) -> Result<Reply, Fault> {
    let body = call.json()?;
    validate::count_tokens(&body)?;
    account
        .catalogue
        .listed(&call.region, call.target())
        .ok_or_else(|| Fault::validation("The provided model doesn't support counting tokens."))?;
    Ok(json!({ "inputTokens": tokens::of(&body["input"]) }).into())
}

fn apply_guardrail(call: &Call) -> Result<Reply, Fault> {
    validate::apply_guardrail(&call.json()?)?;
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
