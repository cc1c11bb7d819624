//! Runs the calls of one request: bounded at once, in time, in number, in tokens and in dollars;
//! all of them end when the request is dropped.

mod branch;
mod calls;

pub(crate) use branch::Branch;

use crate::{
    ask::{ModelRequest, Role, ToolUse},
    parameters::Parameters,
    privacy::Pseudonymizer,
    report::CallLog,
    services::Services,
    strategies::StrategyStore,
    valves::OptimizerValves,
};
use pipe_sdk::{Body, Chunk, Demand, Event, Host, Result, Usage, split_list};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
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
    /// The services that approaches use beside models.
    pub services: Arc<Services>,
}

/// The maximum size of conversations that are copied for calls at one time, in bytes.
const MAX_COPIED_BYTES: usize = 64 << 20;

impl Engine {
    pub fn new(
        host: Host,
        valves: Arc<OptimizerValves>,
        parameters: Parameters,
        mut base: Body,
        progress: mpsc::Sender<Chunk>,
        pseudonymizer: Option<Pseudonymizer>,
        services: Arc<Services>,
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
            services,
        }
    }

    /// Returns the time by which the last stage must have begun.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Locks the log of calls.
    pub fn log(&self) -> MutexGuard<'_, CallLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows people a line about the progress.
    pub fn report_progress(&self, line: &str) {
        // A client that reads slowly misses some of it.
        for chunk in self.progress_chunks(line) {
            _ = self.progress.try_send(chunk);
        }
    }

    /// Returns the chunks that show people a line about the progress.
    pub fn progress_chunks(&self, line: &str) -> Vec<Chunk> {
        if !self.valves.show_progress {
            return Vec::new();
        }
        let status = Chunk::Event(Event::status(line, false));
        vec![status, Chunk::Reasoning(format!("{line}\n"))]
    }

    /// Returns the chunk that shows people the last line about the progress.
    pub fn status_chunk(&self, line: &str) -> Option<Chunk> {
        self.valves.show_progress.then(|| Chunk::Event(Event::status(line, true)))
    }

    /// Returns whether the client has a tool of this name.
    pub fn is_client_tool(&self, name: &str) -> bool {
        let mut functions = self.base.tools.iter().filter_map(|tool| tool.function.as_ref());
        functions.any(|function| function.name == name)
    }

    /// Returns the number of calls that the request may still make.
    pub fn calls_left(&self) -> usize {
        (self.valves.max_calls as usize).saturating_sub(self.log().calls.len())
    }

    /// Returns a text without what `privacy` hides from models.
    pub fn redact(&self, text: &str) -> String {
        match &self.pseudonymizer {
            Some(pseudonymizer) => pseudonymizer.redact(text),
            None => text.to_owned(),
        }
    }

    /// Loads the strategies that `spl` has learnt for the user who asks.
    pub async fn load_strategies(&self) -> Result<Option<StrategyStore>> {
        StrategyStore::load(&self.host).await
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

    /// Asks the limits for this number of web searches, as a part of the request for its model.
    ///
    /// # Errors
    /// Returns the refusal of a limit.
    pub async fn admit_searches(&self, amount: usize) -> Result<()> {
        let demand = Demand::searches(amount as u64);
        self.host_with_new_admission().admit(&self.base.model, demand).await
    }

    /// Returns the host for the call of this number. Limits of tokens and dollars are checked again
    /// for every call after the first.
    fn host_for_call(&self, number: usize) -> Host {
        if number == 0 { self.host.clone() } else { self.host_with_new_admission() }
    }

    fn host_with_new_admission(&self) -> Host {
        let context = self.host.context();
        if context.admission.is_exempt() {
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
        body.tools.extend_from_slice(ask.tools.added());
        match ask.tools {
            ToolUse::Client | ToolUse::Added(_) => {}
            ToolUse::Free(_) => body.tool_choice = None,
            ToolUse::Forbidden(_) => body.tool_choice = Some("none".into()),
        }
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
}

/// Returns the usage of all calls.
pub(crate) fn total_usage(engine: &Engine) -> Usage {
    engine.log().total_usage()
}
