//! Runs the calls of one request: bounded at once, in time, in number, in tokens and in dollars;
//! all of them end when the request is dropped.

use crate::{
    ask::{ModelRequest, Reply, Role},
    parameters::Parameters,
    privacy::Pseudonymizer,
    report::{CallLog, CallRecord},
    valves::OptimizerValves,
};
use futures_util::{StreamExt, TryStreamExt, future::BoxFuture, stream, stream::FuturesUnordered};
use guarded_fetch::Fetcher;
use pipe_sdk::{Body, Chunk, ChunkStream, Event, Host, PipeError, Result, Usage, split_list};
use serde_json::Value;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit, mpsc, watch},
    time::{Instant, timeout_at},
};

/// The calls of one request, with their common limits.
pub(crate) struct Engine {
    host: Host,
    pub valves: Arc<OptimizerValves>,
    pub parameters: Parameters,
    /// The client's request, without messages.
    base: Body,
    /// `true` if the conversation holds tool calls, so that a model must be given the tools to
    /// read it.
    has_tool_turns: bool,
    permits: Semaphore,
    deadline: Instant,
    progress: mpsc::Sender<Chunk>,
    log: Mutex<CallLog>,
    pseudonymizer: Option<Pseudonymizer>,
    /// The client that reads the pages behind links, if any may be read.
    pub fetcher: Option<Arc<Fetcher>>,
}

/// The maximum size of conversations that are copied for calls at one time, in bytes.
const MAX_COPIED_BYTES: usize = 64 << 20;

/// The maximum size of a reply, in bytes.
const MAX_REPLY_BYTES: usize = 4 << 20;

/// The shortest time for which calls that are slower than most are waited for.
const MIN_STRAGGLER_WAIT: Duration = Duration::from_secs(5);

impl Engine {
    pub fn new(
        host: Host,
        valves: Arc<OptimizerValves>,
        parameters: Parameters,
        mut base: Body,
        progress: mpsc::Sender<Chunk>,
        pseudonymizer: Option<Pseudonymizer>,
        fetcher: Option<Arc<Fetcher>>,
    ) -> Self {
        let has_tool_turns = base.messages.iter().any(|message| !message.tool_calls.is_empty());
        let size = serde_json::to_vec(&base.messages).map_or(0, |bytes| bytes.len()).max(1);
        let permits = valves.max_concurrent.min((MAX_COPIED_BYTES / size).max(1));
        base.messages.clear();
        let usual = Duration::from_secs(valves.deadline_seconds);
        let limit = parameters.deadline.map_or(usual, |wished| wished.min(usual));
        Self {
            host,
            valves,
            parameters,
            base,
            has_tool_turns,
            permits: Semaphore::new(permits),
            deadline: Instant::now() + limit,
            progress,
            log: Mutex::default(),
            pseudonymizer,
            fetcher,
        }
    }

    /// Returns the time by which the last stage must have begun.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    pub fn log(&self) -> MutexGuard<'_, CallLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows people a line about the progress.
    pub fn report_progress(&self, line: &str) {
        if !self.valves.show_progress {
            return;
        }
        // Whoever reads slowly misses some of it.
        _ = self.progress.try_send(Chunk::Event(Event::status(line, false)));
        _ = self.progress.try_send(Chunk::Reasoning(format!("{line}\n")));
    }

    /// Returns the format that the client wants of the answer.
    pub fn response_format(&self) -> Option<&Value> {
        self.base.rest.get("response_format").filter(|format| !format.is_null())
    }

    fn model_for(&self, role: Role) -> String {
        let one = |valve: &Option<String>| valve.as_deref().map(str::trim).map(str::to_owned);
        let valves = &self.valves;
        let named = match role {
            Role::Solver => None,
            Role::Proposer(number) => {
                let proposers: Vec<_> = split_list(&valves.proposer_models).collect();
                proposers.get(number % proposers.len().max(1)).map(|&id| id.to_owned())
            }
            Role::Judge => one(&valves.judge_model),
            Role::Verifier => one(&valves.verifier_model),
            Role::Planner => one(&valves.planner_model),
        };
        named.filter(|id| !id.is_empty()).unwrap_or_else(|| self.base.model.clone())
    }

    /// Returns the host for the call of this number. Limits of tokens and dollars are checked anew
    /// for every call.
    fn host_for_call(&self, number: usize) -> Host {
        let context = self.host.context();
        if number == 0 || context.admission.is_exempt() {
            return self.host.clone();
        }
        self.host.clone().with_context(context.with_new_admission())
    }

    fn build_body(&self, ask: &ModelRequest, model: &str) -> Body {
        let messages = match &self.pseudonymizer {
            Some(pseudonymizer) => pseudonymizer.pseudonymize_messages(&ask.messages),
            None => ask.messages.to_vec(),
        };
        let mut body = if ask.is_answer {
            Body { messages, ..self.base.clone() }
        } else {
            let mut body = Body::new("", messages);
            if self.has_tool_turns && body.messages.iter().any(|turn| !turn.tool_calls.is_empty()) {
                body.tools.clone_from(&self.base.tools);
                body.tool_choice = Some("none".into());
            }
            body.max_completion_tokens = ask.max_tokens;
            body
        };
        body.model = model.to_owned();
        if !ask.is_answer || self.base.temperature.is_none() {
            body.temperature = ask.temperature;
        }
        if let Some(effort) = ask.effort
            && !body.rest.contains_key("reasoning_effort")
        {
            body.rest.insert("reasoning_effort".into(), effort.into());
        }
        body
    }

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
    async fn ask(
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
    async fn start_answer(
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
    fn observe(&mut self, chunk: &Chunk) {
        self.engine.log().observe(self.number, chunk);
    }

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
    /// Returns whether the chunk goes on to the client.
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

/// A sequence of calls, each of which waits for the one before it. Its depth is their number.
#[derive(Clone)]
pub(crate) struct Branch {
    pub engine: Arc<Engine>,
    depth: Arc<AtomicUsize>,
}

impl Branch {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine, depth: Arc::default() }
    }

    /// Returns a sequence of its own that begins here.
    pub fn fork(&self) -> Self {
        let depth = self.depth.load(Ordering::Relaxed);
        Self { engine: Arc::clone(&self.engine), depth: Arc::new(depth.into()) }
    }

    /// Continues after the deepest of these forks.
    pub fn join(&self, forks: &[Self]) {
        let deepest = forks.iter().map(|fork| fork.depth.load(Ordering::Relaxed)).max();
        self.depth.fetch_max(deepest.unwrap_or_default(), Ordering::Relaxed);
    }

    fn next_depth(&self) -> usize {
        self.depth.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Records that a stage begins, and shows people its name.
    pub fn begin_stage(&self, line: &str) {
        self.engine.log().add_stage(line);
        self.engine.report_progress(line);
    }

    /// Calls a model and waits for its complete reply.
    pub async fn ask(&self, ask: ModelRequest) -> Result<Reply> {
        let reply = self.engine.ask(&ask, self.next_depth(), None).await?;
        if ask.is_answer {
            self.engine.log().set_first_best(&reply);
        }
        Ok(reply)
    }

    /// Calls a model for the answer that is streamed to the person.
    pub async fn start_answer(&self, ask: &ModelRequest) -> Result<ChunkStream> {
        self.engine.start_answer(ask, self.next_depth()).await
    }

    /// Stores this as the best answer so far, in case time or budget run out.
    pub fn set_best(&self, reply: &Reply) {
        self.engine.log().best = Some(reply.clone());
    }

    /// Calls several models at once; calls that fail are left out. Once most have replied, the
    /// others get the same time again.
    ///
    /// # Errors
    /// Returns the first error if no model has replied.
    pub async fn ask_all(&self, asks: Vec<ModelRequest>, noun: &str) -> Result<Vec<Reply>> {
        let replies = self.ask_until(asks, noun, |_| false).await?;
        Ok(replies.into_iter().map(|(_, reply)| reply).collect())
    }

    /// Calls several models as [`ask_all`](Self::ask_all) does. Each reply comes with the number of
    /// its call; when `is_enough` accepts the replies so far, the other calls are cancelled.
    pub async fn ask_until(
        &self,
        asks: Vec<ModelRequest>,
        noun: &str,
        mut is_enough: impl FnMut(&[(usize, Reply)]) -> bool,
    ) -> Result<Vec<(usize, Reply)>> {
        let depth = self.next_depth();
        let (count, started) = (asks.len(), Instant::now());
        let quorum = (2 * count).div_ceil(3);
        let is_alike = asks.iter().all(|ask| ask.role == Role::Solver);
        let warms_cache = self.warms_cache(&asks);
        let (begun, _) = watch::channel(!warms_cache);
        let begun = &begun;
        let mut calls: FuturesUnordered<BoxFuture<'_, (usize, bool, Result<Reply>)>> = asks
            .into_iter()
            .enumerate()
            .map(|(number, ask)| {
                let call = async move {
                    if number > 0 {
                        let mut begun = begun.subscribe();
                        // Its sender outlives all calls.
                        _ = begun.wait_for(|begun| *begun).await;
                    }
                    let reply = self.engine.ask(&ask, depth, (number == 0).then_some(begun)).await;
                    begun.send_replace(true);
                    (number, ask.is_answer, reply)
                };
                Box::pin(call) as BoxFuture<'_, _>
            })
            .collect();
        let (mut replies, mut failure): (Vec<(usize, Reply)>, Option<PipeError>) =
            Default::default();
        let mut until = self.engine.deadline();
        while let Ok(Some((number, is_answer, reply))) = timeout_at(until, calls.next()).await {
            match reply {
                Ok(reply) => {
                    if is_answer {
                        self.engine.log().set_first_best(&reply);
                    }
                    replies.push((number, reply));
                    replies.sort_by_key(|(number, _)| *number);
                    if count > 1 {
                        self.engine
                            .report_progress(&format!("{} of {count} {noun}", replies.len()));
                    }
                    if is_enough(&replies) {
                        break;
                    }
                    if replies.len() == quorum {
                        until =
                            until.min(Instant::now() + started.elapsed().max(MIN_STRAGGLER_WAIT));
                    }
                }
                Err(error) => {
                    self.engine.log().add_note(&format!("a call failed: {error}"));
                    let is_final = is_alike && replies.is_empty() && is_permanent(&error);
                    if failure.is_none() || is_permanent(&error) {
                        failure = Some(error);
                    }
                    if is_final {
                        break;
                    }
                }
            }
        }
        if replies.is_empty() {
            let late = || PipeError::Timeout("no model answered in time".into());
            return Err(failure.unwrap_or_else(late));
        }
        Ok(replies)
    }

    /// Returns whether the first of these calls runs ahead, so that the others find the question in
    /// the provider's cache.
    fn warms_cache(&self, asks: &[ModelRequest]) -> bool {
        let above = self.engine.valves.cache_above_tokens;
        let tokens = |ask: &ModelRequest| {
            let letters: usize = ask.messages.iter().map(|message| message.text().len()).sum();
            letters as u64 / 4
        };
        above > 0 && asks.len() > 1 && asks.first().is_some_and(|ask| tokens(ask) >= above)
    }
}

/// Returns whether another call like it would fail in the same way.
fn is_permanent(error: &PipeError) -> bool {
    matches!(
        error,
        PipeError::BadRequest { .. }
            | PipeError::ModelNotFound(_)
            | PipeError::ModelGone { .. }
            | PipeError::Denied(_)
            | PipeError::Credentials(_)
            | PipeError::Circle(_)
    )
}

/// Returns the usage of all calls.
pub(crate) fn total_usage(engine: &Engine) -> Usage {
    engine.log().total_usage()
}
