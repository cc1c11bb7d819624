//! Chats: the request goes to one candidate after the other until an answer has begun.

use crate::{
    catalog::ModelEntry,
    error::BedrockError,
    family::{Quirk, is_quoted_in},
    model_id::with_pipe_id,
    request::{self, ChatInput, Request, prepare_chat},
    response::{EventHandler, ResponseStream, read_converse_response},
    sending::{self, CallDeps, CandidateError, ConverseRequest, try_candidates},
    valves::BedrockValves,
};
use bedrock_runtime::{Operation, Response, ServiceError};
use futures_util::{StreamExt, TryStreamExt, stream};
use pipe_sdk::{Call, Chunk, ChunkStream, Result};
use resilience::TrackedStream;
use std::{sync::Arc, time::Duration};
use tool_schema::{SentTools, restore_calls};

/// The largest number of quirks that one chat may discover, each by a rejected request.
const MAX_NEW_QUIRKS: usize = 4;

/// The answer of a model.
struct StartedResponse {
    chunks: AnswerChunks,
    /// The form in which the tools were sent.
    tools: SentTools,
    /// The stop sequences that were not sent.
    stop_sequences: Vec<String>,
}

/// The chunks of an answer.
enum AnswerChunks {
    /// The chunks of a `ConverseStream` response, which has begun.
    Stream(Box<TrackedStream<ResponseStream>>),
    /// The chunks of a `Converse` response.
    Whole(Vec<Chunk>),
}

/// Answers a chat with the first of these models that can.
pub async fn chat(
    call: &Call,
    candidates: &[Arc<ModelEntry>],
    deps: CallDeps<'_>,
) -> Result<ChunkStream> {
    let answer =
        try_candidates(candidates, deps, |entry, deps| Box::pin(ask(call, entry, deps))).await;
    let (entry, answer) = answer?;
    let model = Chunk::Model(with_pipe_id(&entry.id));
    let chunks = match answer.chunks {
        AnswerChunks::Whole(chunks) => ChunkStream::from_chunks([model].into_iter().chain(chunks)),
        AnswerChunks::Stream(chunks) => {
            let location = entry.location();
            let chunks = chunks.map_err(move |error| error.into_pipe_error(&location));
            ChunkStream::new(stream::iter([Ok(model)]).chain(chunks))
        }
    };
    Ok(restore_calls(chunks.with_stop_sequences(answer.stop_sequences), answer.tools))
}

/// Calls one model. If it rejects a field that a quirk names, the request is sent again without the
/// field, at most [`MAX_NEW_QUIRKS`] times.
async fn ask(
    call: &Call,
    entry: &ModelEntry,
    deps: CallDeps<'_>,
) -> Result<StartedResponse, CandidateError> {
    let known = deps.quirks.for_caller(&entry.id, deps.caller);
    let (mut quirks, mut learned) = (known.clone(), Vec::new());
    let mut request = prepare(call, entry, &quirks, deps.valves)?;
    let answer = loop {
        let sent = (request.is_streamed, request.body.clone());
        let error = match send(request, entry, deps).await {
            Ok(answer) => break answer,
            Err(error) => error,
        };
        if !sent.0 && matches!(error, BedrockError::FirstByteTimeout(_)) {
            deps.quirks.learn(&entry.id, &Quirk::SlowWholeAnswers, deps.caller);
        }
        let quirk = error.service_error().and_then(find_quirk);
        // If the client itself has added the field, only the client removes it.
        let quirk = quirk.filter(|(quirk, _)| !request::is_client_field(call, quirk));
        let quirk = quirk.filter(|(quirk, _)| !quirks.contains(quirk));
        let Some((quirk, phrase)) = quirk.filter(|_| quirks.len() < known.len() + MAX_NEW_QUIRKS)
        else {
            return Err(CandidateError::from_call(error, &entry.location()));
        };
        // The message may quote words of the chat. Then this chat is sent without the field, and no
        // quirk is learned.
        let is_quoted = is_quoted_in(&call.body, &phrase);
        if quirk == Quirk::BaseId && !is_quoted {
            deps.quirks.learn(&entry.id, &quirk, deps.caller);
        }
        if !quirk.is_request_specific() && !is_quoted {
            learned.push(quirk.clone());
        }
        quirks.push(quirk);
        request = prepare(call, entry, &quirks, deps.valves)?;
        if sent == (request.is_streamed, request.body.clone()) {
            return Err(CandidateError::from_call(error, &entry.location()));
        }
    };
    // Only quirks whose change has helped are remembered; otherwise the chat itself may have been
    // at fault.
    learned.iter().for_each(|quirk| deps.quirks.learn(&entry.id, quirk, deps.caller));
    Ok(answer)
}

/// Builds the request of one candidate model.
fn prepare(
    call: &Call,
    entry: &ModelEntry,
    quirks: &[Quirk],
    valves: &BedrockValves,
) -> Result<Request, CandidateError> {
    let target = entry.target(quirks);
    prepare_chat(&ChatInput { call, target: &target, valves })
        .map_err(CandidateError::from_rejection)
}

/// Returns the quirk that an error names, and the phrase that names it.
fn find_quirk(error: &ServiceError) -> Option<(Quirk, String)> {
    let is_rejection =
        matches!(error.code.as_str(), "ValidationException" | "AccessDeniedException");
    is_rejection.then(|| Quirk::from_message(&error.message)).flatten()
}

/// Sends the request, and returns its answer: whole, or a stream that has begun.
async fn send(
    request: Request,
    entry: &ModelEntry,
    deps: CallDeps<'_>,
) -> Result<StartedResponse, BedrockError> {
    let Request { body, is_streamed, response_options } = request;
    let tools = response_options.tool_names.clone();
    let stop_sequences = response_options.unsent_stop_sequences.clone();
    let location = &entry.location();
    let handler = || EventHandler::new(response_options.clone(), deps.valves.reasoning);
    if !is_streamed {
        let operation = Operation::Converse(&entry.model_id);
        let read = |response: Response| read_converse_response(response.into_body(), handler());
        let request = ConverseRequest { location, operation, body };
        let (chunks, in_flight) = sending::send_chat(request, deps, read).await?;
        in_flight.complete(None);
        return Ok(StartedResponse { chunks: AnswerChunks::Whole(chunks), tools, stop_sequences });
    }
    let operation = Operation::ConverseStream(&entry.model_id);
    let idle_timeout = Duration::from_secs(deps.valves.idle_timeout_seconds);
    let read = |response: Response| {
        let stream = ResponseStream::new(response.into_body(), handler());
        stream.wait_until_started(idle_timeout)
    };
    let request = ConverseRequest { location, operation, body };
    let (chunks, in_flight) = sending::send_chat(request, deps, read).await?;
    let chunks = AnswerChunks::Stream(Box::new(in_flight.track(chunks)));
    Ok(StartedResponse { chunks, tools, stop_sequences })
}
