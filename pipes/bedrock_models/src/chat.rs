//! One chat with one model: the request goes out, and its answer has begun before anyone is told so.

use crate::{
    catalogue::Entry,
    clients::Clients,
    converse::{Request, request},
    error::of_chat,
    stream::{Answer, Events, Source},
    valves::BedrockValves,
};
use bedrock_runtime::{self as runtime, Operation};
use bytes::Bytes;
use http::HeaderMap;
use pipe_sdk::{Body, ChunkStream, PipeError, Result};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// Answers this chat by the model of this entry.
pub async fn chat(
    body: &Body,
    entry: &Entry,
    clients: &Clients,
    valves: &BedrockValves,
) -> Result<ChunkStream> {
    let request = request(body, &entry.target())?;
    let begun = async {
        let silence = Duration::from_secs(valves.idle_timeout_seconds);
        ask(request, entry, clients, valves).await?.begun(silence).await
    };
    let patience = Duration::from_secs(valves.first_event_timeout_seconds);
    let begun = timeout(patience, Box::pin(begun)).await;
    Ok(ChunkStream::new(begun.unwrap_or_else(|_| Err(late(entry, patience)))?))
}

/// Sends the request until it is taken or that is hopeless, and comes back with the headers of the answer.
async fn ask(
    request: Request,
    entry: &Entry,
    clients: &Clients,
    valves: &BedrockValves,
) -> Result<Answer> {
    let Entry { id, region, .. } = entry;
    let runtime = clients.runtime().await;
    let mut tries = clients.retries().tries(region, id, valves.max_attempts);
    let mut has_renewed = false;
    let body = Bytes::from(request.body);
    let response = loop {
        let attempt = runtime::Request {
            region,
            operation: Operation::ConverseStream(id),
            body: body.clone(),
            headers: HeaderMap::new(),
            attempt: tries.attempt(),
        };
        let failure = match runtime.send(attempt).await {
            Ok(response) => break response,
            Err(failure) => failure,
        };
        // Temporary credentials may have been taken back before their time. Asking for others once is enough.
        if failure.is_about_credentials() && !has_renewed && runtime.has_other_credentials().await {
            has_renewed = true;
            tries.again();
            continue;
        }
        let Some(pause) = tries.after(&failure) else {
            return Err(of_chat(failure, id, region));
        };
        sleep(pause).await;
    };
    tries.succeeded();
    let source = Source { model: id.clone(), region: Arc::clone(region) };
    Ok(Answer::new(response.into_body(), Events::new(request.names, request.muted), source))
}

fn late(entry: &Entry, patience: Duration) -> PipeError {
    let Entry { id, region, .. } = entry;
    PipeError::Timeout(format!(
        "`{id}` in {region} did not begin to answer within {} s",
        patience.as_secs()
    ))
}
