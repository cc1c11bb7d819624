//! One call of an engine: its time-out, its record, its reply or its stream.

use super::Engine;
use crate::{
    ask::{ModelRequest, Reply},
    report::CallRecord,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use pipe_sdk::{Chunk, ChunkStream, PipeError, Result};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{SemaphorePermit, watch},
    time::{Instant, timeout_at},
};

/// The maximum size of a reply, in bytes.
const MAX_REPLY_BYTES: usize = 4 << 20;

impl Engine {
    /// Takes a call from the request's budget and opens its record.
    fn open_call(&self, ask: &ModelRequest, model: &str, depth: usize) -> Result<OpenCall<'_>> {
        let mut log = self.log();
        let spent = log.total_usage();
        let valves = &self.valves;
        let micros = valves.max_cost.map(|dollars| (dollars * 1e6) as u64);
        let over = if log.calls.len() >= valves.max_calls as usize {
            Some("calls")
        } else if valves.max_tokens.is_some_and(|most| spent.total_tokens() >= most) {
            Some("tokens")
        } else if micros.is_some_and(|most| log.cost >= most) {
            Some("dollars")
        } else {
            None
        };
        if let Some(what) = over {
            let note = format!("the request has spent all the {what} that it may spend");
            log.add_note(&note);
            let message = format!(
                "{note}: ask for fewer samples, name another approach, or have an admin raise the limit"
            );
            return Err(PipeError::bad_request(message));
        }
        let number = log.calls.len();
        let prompt: usize = ask.messages.iter().map(|message| message.text().len()).sum();
        log.calls.push(CallRecord::new(ask.role, model, depth, prompt));
        Ok(OpenCall { engine: self, model: model.to_owned(), number, is_done: false })
    }

    /// Calls a model and waits for its complete reply. `begun` is set at its first token.
    pub(super) async fn ask(
        &self,
        ask: &ModelRequest,
        depth: usize,
        begun: Option<&watch::Sender<bool>>,
    ) -> Result<Reply> {
        let _permit = self.acquire_permit().await?;
        let model = self.model_for(ask.role);
        let mut call = self.open_call(ask, &model, depth)?;
        let limit = Instant::now() + Duration::from_secs(self.valves.call_seconds);
        let limit = limit.min(self.deadline);
        let reply = timeout_at(limit, async {
            let mut chunks =
                self.host_for_call(call.number).pipe(self.build_body(ask, &model)).await?;
            let mut reply = Reply::default();
            while let Some(chunk) = chunks.try_next().await? {
                if let Some(begun) = begun.filter(|_| is_output(&chunk)) {
                    begun.send_replace(true);
                }
                call.observe(&chunk);
                reply.0.add(chunk);
                if reply.0.content.len() + reply.0.reasoning.len() > MAX_REPLY_BYTES {
                    return Err(PipeError::Upstream("a reply of the model has no end".into()));
                }
            }
            Ok(reply)
        });
        let mut reply = reply.await.unwrap_or_else(|_| {
            Err(PipeError::Timeout(format!("model `{model}` did not answer in time")))
        })?;
        if reply.0.finish.is_none() {
            return Err(PipeError::Upstream(format!("an answer of model `{model}` ended early")));
        }
        if reply.is_empty() {
            call.complete();
            return Err(PipeError::Upstream(format!("model `{model}` answered nothing")));
        }
        if let Some(pseudonymizer) = &self.pseudonymizer {
            pseudonymizer.restore_reply(&mut reply.0);
        }
        call.complete();
        Ok(reply)
    }

    async fn acquire_permit(&self) -> Result<SemaphorePermit<'_>> {
        self.permits.acquire().await.map_err(PipeError::internal)
    }

    /// Calls a model and returns its answer as a stream, when its first token has arrived.
    pub(super) async fn start_answer(
        self: &Arc<Self>,
        ask: &ModelRequest,
        depth: usize,
    ) -> Result<ChunkStream> {
        let model = self.model_for(ask.role);
        let number = {
            let call = self.open_call(ask, &model, depth)?;
            call.leave_open()
        };
        let mut call =
            FinalCall { engine: Arc::clone(self), model: model.clone(), number, is_done: false };
        let mut chunks = self.host_for_call(number).pipe(self.build_body(ask, &model)).await?;
        let mut held = Vec::new();
        loop {
            let Some(chunk) = chunks.try_next().await? else {
                return Err(PipeError::Upstream(format!(
                    "an answer of model `{model}` ended early"
                )));
            };
            let is_output = is_output(&chunk);
            held.push(chunk);
            if is_output {
                break;
            }
        }
        let all = stream::iter(held.into_iter().map(Ok)).chain(chunks);
        let watched = all.filter_map(move |chunk| {
            let passes_on = match &chunk {
                Ok(chunk) => call.observe(chunk),
                Err(_) => true,
            };
            std::future::ready(passes_on.then_some(chunk))
        });
        let watched = ChunkStream::new(watched);
        Ok(match &self.pseudonymizer {
            Some(pseudonymizer) => pseudonymizer.restore_stream(watched),
            None => watched,
        })
    }
}

/// Returns whether this chunk is output for a reader, or the end.
fn is_output(chunk: &Chunk) -> bool {
    match chunk {
        Chunk::Content(text) | Chunk::Reasoning(text) => !text.is_empty(),
        Chunk::ReasoningDetail(_) | Chunk::ToolCall(_) | Chunk::Picture(_) | Chunk::Finish(_) => {
            true
        }
        _ => false,
    }
}

/// An open call. If it is dropped before its end, its usage is estimated from what was read and
/// written until then.
struct OpenCall<'a> {
    engine: &'a Engine,
    model: String,
    number: usize,
    is_done: bool,
}

impl OpenCall<'_> {
    /// Records a chunk of the reply.
    fn observe(&mut self, chunk: &Chunk) {
        self.engine.log().observe(self.number, chunk);
    }

    /// Records that the reply is complete.
    fn complete(&mut self) {
        self.is_done = true;
        close_call(self.engine, self.number, &self.model, true);
    }

    /// Leaves the record open for the holder of the number.
    fn leave_open(mut self) -> usize {
        self.is_done = true;
        self.number
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            close_call(self.engine, self.number, &self.model, false);
        }
    }
}

/// The last call, whose answer is streamed.
struct FinalCall {
    engine: Arc<Engine>,
    model: String,
    number: usize,
    is_done: bool,
}

impl FinalCall {
    /// Returns whether the chunk is passed on to the client.
    fn observe(&mut self, chunk: &Chunk) -> bool {
        self.engine.log().observe(self.number, chunk);
        !matches!(chunk, Chunk::Usage(_) | Chunk::Model(_) | Chunk::Side(_))
    }
}

impl Drop for FinalCall {
    fn drop(&mut self) {
        if !self.is_done {
            self.is_done = true;
            close_call(&self.engine, self.number, &self.model, true);
        }
    }
}

fn close_call(engine: &Engine, number: usize, model: &str, is_whole: bool) {
    let usage = engine.log().close(number, is_whole);
    if let Some(usage) = usage {
        let cost = engine.host.cost(model, &usage);
        let mut log = engine.log();
        match cost {
            Some(cost) => log.cost += cost,
            None => log.is_cost_known = false,
        }
    }
}
