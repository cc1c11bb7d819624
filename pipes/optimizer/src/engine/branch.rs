//! Sequences of calls, and calls side by side.

use super::Engine;
use crate::ask::{ModelRequest, Reply, Role};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use pipe_sdk::{ChunkStream, PipeError, Result};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// The shortest time for which calls that are slower than most are waited for.
const MIN_STRAGGLER_WAIT: Duration = Duration::from_secs(5);

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
