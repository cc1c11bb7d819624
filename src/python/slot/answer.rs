//! One answer of a Python file: what it yields, with the time-outs and the circuit breaker of
//! every upstream.

use super::PythonSlot;
use crate::python::host_models::HostModels;
use futures_util::{StreamExt, stream};
use pipe_sdk::{Call, Chunk, ChunkStream, PipeError, Result};
use python_worker::{CallStream, Item, Worker, WorkerError, YieldedItemDecoder};
use resilience::{
    Attempt, CallError, Classify, FailureKind, FirstByteElapsed, InFlightCall, Verdict,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::{collections::VecDeque, sync::Arc};
use tokio::time::timeout;

/// The arguments of the runner's `pipe_arguments`.
#[derive(Serialize)]
struct PipeArguments {
    model_id: String,
    body: Value,
}

/// A failure of a call, as the circuit breaker sees it.
pub struct CallFailure(pub WorkerError);

impl Classify for CallFailure {
    fn verdict(&self) -> Verdict {
        match self.0 {
            // The file has answered; a breaker for it would close the file to everybody.
            WorkerError::Exception { .. } | WorkerError::Valves(_) => Verdict::success(),
            WorkerError::Exited(_) => Verdict::failure(FailureKind::ConnectionLost),
            WorkerError::Protocol(_) => Verdict::failure(FailureKind::Protocol),
            WorkerError::Timeout(_) => Verdict::failure(FailureKind::Timeout),
            WorkerError::NoInterpreter(_) | WorkerError::Install(_) | WorkerError::Spawn(_) => {
                Verdict::failure(FailureKind::Connect)
            }
        }
    }
}

/// Returns the answer to a chat. What goes wrong before its first item is the error.
pub async fn answer(slot: Arc<PythonSlot>, call: Call) -> Result<ChunkStream> {
    let worker = slot.wait_for_worker().await?;
    // A name of the client's own would pass by the limits of the model.
    if !slot.lists(&call.model) {
        return Err(PipeError::ModelNotFound(call.model));
    }
    let caller = call.host.context().caller();
    let arguments = pipe_arguments(&slot, &call)?;
    let models = Arc::new(HostModels(call.host));
    let upstream = Arc::clone(&slot.upstream);
    let first_byte = upstream.limits().first_byte;
    let begin = async |attempt: Attempt| {
        let items = worker.call("pipe", &arguments, Some(models.clone()));
        let mut items = items.map_err(CallFailure)?;
        let first = attempt.with_deadline(items.next()).await;
        let late = |FirstByteElapsed| CallFailure(WorkerError::Timeout(first_byte));
        let first = first.map_err(late)?.transpose().map_err(CallFailure)?;
        Ok((first, items))
    };
    let begun = Box::pin(upstream.call(caller, begin)).await;
    let ((first, items), in_flight) = begun.map_err(|error| slot.call_error(error))?;
    let answer = PythonAnswer {
        pending: VecDeque::new(),
        first,
        items,
        decoder: YieldedItemDecoder::default(),
        in_flight: Some(in_flight),
        is_done: false,
        slot,
        _worker: worker,
    };
    Ok(ChunkStream::new(stream::unfold(answer, PythonAnswer::next)))
}

fn pipe_arguments(slot: &PythonSlot, call: &Call) -> Result<PipeArguments> {
    let mut body = serde_json::to_value(&call.body).map_err(PipeError::internal)?;
    let id = slot.static_id();
    body["model"] = match call.model == id {
        true => id.into(),
        false => format!("{id}.{}", call.model).into(),
    };
    if let Some(user) = &call.user {
        body["user"] = json!(user);
    }
    let chat = &call.chat;
    let ids = [
        ("chat_id", &chat.chat_id),
        ("message_id", &chat.message_id),
        ("session_id", &chat.session_id),
        ("task", &chat.task),
    ];
    let ids = ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), id.clone()?.into())));
    let metadata: Map<String, Value> = ids.collect();
    if !metadata.is_empty() && body["metadata"].is_null() {
        body["metadata"] = metadata.into();
    }
    Ok(PipeArguments { model_id: call.model.clone(), body })
}

/// An answer that has begun. It keeps the process that it began in.
struct PythonAnswer {
    pending: VecDeque<Chunk>,
    first: Option<Item>,
    items: CallStream,
    decoder: YieldedItemDecoder,
    in_flight: Option<InFlightCall>,
    is_done: bool,
    slot: Arc<PythonSlot>,
    _worker: Arc<Worker>,
}

impl PythonAnswer {
    async fn next(mut self) -> Option<(Result<Chunk>, Self)> {
        loop {
            if let Some(chunk) = self.pending.pop_front() {
                return Some((Ok(chunk), self));
            }
            if self.is_done {
                return None;
            }
            match self.next_item().await {
                Ok(Some(item)) => match self.decoder.decode(item) {
                    Ok(chunks) => self.pending.extend(chunks),
                    Err(error) => {
                        let error = self.slot.redact_error(error);
                        return self.fail(None, error);
                    }
                },
                Ok(None) => {
                    self.pending.extend(self.decoder.finish());
                    self.complete(None);
                }
                Err(error) => {
                    let failure = CallFailure(error);
                    let kind = failure.verdict().kind;
                    let error = self.slot.worker_error(failure.0);
                    return self.fail(kind, error);
                }
            }
        }
    }

    async fn next_item(&mut self) -> Result<Option<Item>, WorkerError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let idle = self.slot.upstream.limits().idle;
        let item = timeout(idle, self.items.next()).await;
        item.map_err(|_| WorkerError::Timeout(idle))?.transpose()
    }

    /// Records how the call ended, for the circuit breaker.
    fn complete(&mut self, failure: Option<FailureKind>) {
        self.is_done = true;
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.complete(failure);
        }
    }

    /// Ends the answer with an error.
    fn fail(
        mut self,
        kind: Option<FailureKind>,
        error: PipeError,
    ) -> Option<(Result<Chunk>, Self)> {
        self.complete(kind);
        Some((Err(error), self))
    }
}

impl PythonSlot {
    /// Returns the error for a call that has no answer.
    pub(super) fn call_error(&self, error: CallError<CallFailure>) -> PipeError {
        let id = self.static_id();
        match error {
            CallError::Failed(CallFailure(error)) => self.worker_error(error),
            CallError::ConcurrencyLimit => PipeError::Throttled {
                message: format!("`{id}` answers as many calls as its valve allows: try again"),
                retry_after: None,
            },
            CallError::CircuitOpen { wait, cause } => PipeError::Unavailable {
                message: format!("`{id}` has failed again and again: {}", cause.cause()),
                retry_after: Some(wait),
            },
        }
    }
}
