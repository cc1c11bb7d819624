//! One chat with one model: the request goes out, and its answer has begun before anyone is told so.

use crate::{
    catalogue::Entry,
    clients::Clients,
    converse::{Request, request},
    error::{Failure, of_chat},
    stream::{Answer, Events, Source},
    valves::BedrockValves,
    wire::Wire,
};
use pipe_sdk::{Body, ChunkStream, PipeError, Result};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

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
        ask(request, entry, clients).await?.begun(silence).await
    };
    let patience = Duration::from_secs(valves.first_event_timeout_seconds);
    let begun = timeout(patience, Box::pin(begun)).await;
    Ok(ChunkStream::new(begun.unwrap_or_else(|_| Err(late(entry, patience)))?))
}

/// Sends the request, and comes back with the headers of the answer.
async fn ask(request: Request, entry: &Entry, clients: &Clients) -> Result<Answer> {
    let Entry { id, region, .. } = entry;
    let wire = Wire::new(request.body);
    let client = clients.runtime(entry.place, id).await;
    let call = client.converse_stream().model_id(id).customize().interceptor(wire.clone());
    call.send().await.map_err(|error| of_chat(Failure::from(&error), id, region))?;
    let body = wire.answer().ok_or_else(|| PipeError::internal("a response without a body"))?;
    let source = Source { model: id.clone(), region: Arc::clone(region) };
    Ok(Answer::new(body, Events::new(request.names, request.muted), source))
}

fn late(entry: &Entry, patience: Duration) -> PipeError {
    let Entry { id, region, .. } = entry;
    PipeError::Timeout(format!(
        "`{id}` in {region} did not begin to answer within {} s",
        patience.as_secs()
    ))
}
