//! Records the calls, stages, tokens and costs of an answer.

use crate::{
    ask::{Reply, Role},
    sources::Source,
};
use pipe_sdk::{Chunk, Usage};
use serde_json::{Value, json};
use tokio::time::Instant;

/// The record of one request.
pub(crate) struct CallLog {
    pub calls: Vec<CallRecord>,
    /// The cost in millionths of a US dollar.
    pub cost: u64,
    /// `true` if the price of every model was known.
    pub is_cost_known: bool,
    /// The best answer so far.
    pub best: Option<Reply>,
    /// The pages that the answer rests on.
    pub sources: Vec<Source>,
    stages: Vec<(String, Instant)>,
    notes: Vec<String>,
    started: Instant,
}

impl Default for CallLog {
    fn default() -> Self {
        Self {
            calls: Vec::new(),
            cost: 0,
            is_cost_known: true,
            best: None,
            sources: Vec::new(),
            stages: Vec::new(),
            notes: Vec::new(),
            started: Instant::now(),
        }
    }
}

/// One call.
pub(crate) struct CallRecord {
    role: Role,
    model: String,
    depth: usize,
    started: Instant,
    ended: Option<Instant>,
    is_whole: bool,
    has_begun: bool,
    usage: Option<Usage>,
    /// The size of the prompt in bytes, for calls that end before they report usage.
    prompt_bytes: usize,
    /// The size of the reply in bytes, for calls that end before they report usage.
    reply_bytes: usize,
}

impl CallRecord {
    pub fn new(role: Role, model: &str, depth: usize, prompt_bytes: usize) -> Self {
        Self {
            role,
            model: model.into(),
            depth,
            started: Instant::now(),
            ended: None,
            is_whole: false,
            has_begun: false,
            usage: None,
            prompt_bytes,
            reply_bytes: 0,
        }
    }

    /// Returns the usage: the model's own, or an estimate if the call was left before it reported
    /// any.
    fn usage(&self) -> Option<Usage> {
        let tokens = |bytes: usize| bytes.div_ceil(4) as u64;
        let guess = || Usage {
            prompt_tokens: tokens(self.prompt_bytes),
            completion_tokens: tokens(self.reply_bytes),
            ..Usage::default()
        };
        self.usage.or_else(|| self.has_begun.then(guess))
    }
}

/// The maximum number of notes in a report.
const MAX_NOTES: usize = 20;

impl CallLog {
    /// Records a chunk of the reply to the call of this number.
    pub fn observe(&mut self, number: usize, chunk: &Chunk) {
        let Some(call) = self.calls.get_mut(number) else { return };
        match chunk {
            Chunk::Usage(usage) => call.usage = Some(*usage),
            Chunk::Model(_) | Chunk::Side(_) | Chunk::Event(_) => {}
            chunk => {
                call.has_begun = true;
                if let Chunk::Content(text) | Chunk::Reasoning(text) = chunk {
                    call.reply_bytes += text.len();
                }
            }
        }
    }

    /// Ends a call and returns its usage.
    pub fn close(&mut self, number: usize, is_whole: bool) -> Option<Usage> {
        let call = self.calls.get_mut(number)?;
        call.ended = Some(Instant::now());
        call.is_whole = is_whole;
        call.usage()
    }

    /// Returns `true` if a model has begun to reply.
    pub fn has_begun(&self) -> bool {
        self.calls.iter().any(|call| call.has_begun)
    }

    /// Returns the usage of all calls so far.
    pub fn total_usage(&self) -> Usage {
        let mut all = Usage::default();
        for call in &self.calls {
            if let Some(usage) = call.usage() {
                all.add(&usage);
            }
        }
        all
    }

    pub fn set_first_best(&mut self, reply: &Reply) {
        if self.best.as_ref().is_none_or(Reply::is_truncated) {
            self.best = Some(reply.clone());
        }
    }

    pub fn add_stage(&mut self, name: &str) {
        self.stages.push((name.into(), Instant::now()));
    }

    pub fn add_note(&mut self, note: &str) {
        if self.notes.len() < MAX_NOTES && !self.notes.iter().any(|known| known == note) {
            self.notes.push(note.into());
        }
    }

    /// Returns the field `x_optimizer` of a response.
    pub fn report(&self, approach: &str, model: &str) -> Value {
        let now = Instant::now();
        let millis =
            |from: Instant, to: Instant| to.saturating_duration_since(from).as_millis() as u64;
        let ends = self.stages.iter().skip(1).map(|(_, at)| *at).chain([now]);
        let stages = self.stages.iter().zip(ends);
        let stages =
            stages.map(|((name, from), to)| json!({"stage": name, "ms": millis(*from, to)}));
        let calls = self.calls.iter().map(|call| {
            let mut record = json!({
                "role": call.role.name(), "model": call.model, "depth": call.depth,
                "start_ms": millis(self.started, call.started),
                "ms": millis(call.started, call.ended.unwrap_or(now)),
                "ok": call.is_whole,
            });
            if let Some(usage) = call.usage() {
                record["prompt_tokens"] = usage.prompt_tokens.into();
                record["completion_tokens"] = usage.completion_tokens.into();
            }
            record
        });
        let usage = self.total_usage();
        let mut report = json!({
            "approach": approach, "model": model, "calls": self.calls.len(),
            "depth": self.calls.iter().map(|call| call.depth).max().unwrap_or_default(),
            "prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens,
            "ms": millis(self.started, now),
            "stages": stages.collect::<Vec<_>>(), "sub_calls": calls.collect::<Vec<_>>(),
        });
        if self.is_cost_known {
            report["cost"] = json!(self.cost as f64 / 1e6);
        }
        if !self.notes.is_empty() {
            report["notes"] = json!(self.notes);
        }
        report
    }
}
