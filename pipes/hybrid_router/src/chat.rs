//! The answer to a chat: by one backend, by the first that answers, or by the winner of a race.

use crate::{
    HybridRouter,
    backend::Backend,
    backend_error::BackendError,
    cloud_budget::CloudBudget,
    local_limits::is_background_task,
    route_plan::{CloudDenied, RoutePlan},
    started_answer::StartedAnswer,
};
use futures_util::future::{Either, select};
use pipe_sdk::{Call, Chunk, ChunkStream, Event, Result, Side};
use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::timeout;

/// A chat, and the budget that its user has for the cloud.
struct Request<'a> {
    call: &'a Call,
    budget: Option<CloudBudget>,
}

/// The backend that answers, and why it is not the local one.
struct RaceWinner<'a> {
    backend: &'a Backend,
    answer: StartedAnswer,
    reason: Option<&'static str>,
}

/// The started answer of a backend, or its error.
type Outcome<'a> = Result<RaceWinner<'a>, BackendError>;

/// The reason that is shown when the cloud answers in place of the local model.
const LOCAL_FAILED: &str = "the local model did not answer";
/// The reason that is shown when the cloud begins to answer first.
const LOCAL_SLOW: &str = "the local model is slow";

impl HybridRouter {
    /// Answers a chat by this backend and no other.
    pub(crate) async fn answer_by(
        &self,
        call: &Call,
        backend: &Arc<Backend>,
    ) -> Result<ChunkStream> {
        let request = Request { call, budget: None };
        let winner = self.ask(&request, backend, None).await.map_err(|error| error.error)?;
        Ok(winner.into_chunks(false))
    }

    /// Answers a chat by the backend that the plan chooses.
    pub(crate) async fn answer_smart(&self, mut call: Call) -> Result<ChunkStream> {
        let now = SystemTime::now();
        let budget = CloudBudget::new(self.valves.cloud_budget_per_day, &call, now);
        let denied = CloudDenied::check(&call, &self.valves, budget.as_ref()).await;
        let plan = RoutePlan::new(&call, &self.valves, now, denied)?;
        // The first token decides which of two backends answers, so there has to be one.
        call.body.stream |= matches!(plan, RoutePlan::First(..));
        let request = Request { call: &call, budget };
        let (local, cloud) = (&self.local, self.cloud.as_ref());
        let outcome = match (plan, cloud) {
            (RoutePlan::Only(Side::Cloud, reason), Some(cloud)) => {
                self.ask(&request, cloud, reason).await
            }
            (RoutePlan::First(Side::Cloud, reason), Some(cloud)) => {
                self.ask_in_order(&request, [cloud, local], reason).await
            }
            (RoutePlan::First(Side::Local, _), Some(cloud)) => {
                self.ask_local_first(&request, cloud).await
            }
            // Only a plan with a cloud backend names it.
            (RoutePlan::Only(..) | RoutePlan::First(..), _) => {
                self.ask(&request, local, None).await
            }
        };
        let winner = outcome.map_err(|error| error.error)?;
        Ok(winner.into_chunks(self.valves.show_side))
    }

    /// Sends a chat to one backend.
    async fn ask<'a>(
        &self,
        request: &Request<'_>,
        backend: &'a Arc<Backend>,
        reason: Option<&'static str>,
    ) -> Outcome<'a> {
        let answer = backend.ask(request.call, request.budget.as_ref()).await;
        self.probe_local_if_failing(request.call);
        answer.map(|answer| RaceWinner { backend, answer, reason })
    }

    /// Asks the local backend first, unless it is known to fail; then it is the last resort.
    async fn ask_local_first<'a>(
        &'a self,
        request: &Request<'_>,
        cloud: &'a Arc<Backend>,
    ) -> Outcome<'a> {
        if !self.local.is_healthy() {
            self.probe_local_if_failing(request.call);
            let order = [cloud, &self.local];
            return self.ask_in_order(request, order, Some(LOCAL_FAILED)).await;
        }
        match self.valves.hedge_after_ms.filter(|_| !is_background_task(request.call)) {
            Some(after) => self.race(request, cloud, Duration::from_millis(after)).await,
            None => self.ask_in_order(request, [&self.local, cloud], None).await,
        }
    }

    /// Asks one backend, and the other one if it fails.
    async fn ask_in_order<'a>(
        &self,
        request: &Request<'_>,
        [first, second]: [&'a Arc<Backend>; 2],
        reason: Option<&'static str>,
    ) -> Outcome<'a> {
        let error = match self.ask(request, first, reason).await {
            Ok(winner) => return Ok(winner),
            Err(error) => error,
        };
        log_fallback(first, second, &error);
        let reason = (second.side == Side::Cloud).then_some(LOCAL_FAILED);
        let outcome = self.ask(request, second, reason).await;
        // Of two errors, the cloud's is shown: it can do more.
        outcome.map_err(|last| if first.side == Side::Cloud { error } else { last })
    }

    /// Asks the local backend, and after a while the cloud beside it. The first token decides, and
    /// the losing request is cancelled.
    async fn race<'a>(
        &'a self,
        request: &Request<'_>,
        cloud: &'a Arc<Backend>,
        after: Duration,
    ) -> Outcome<'a> {
        let mut local = pin!(self.ask(request, &self.local, None));
        match timeout(after, &mut local).await {
            Ok(Ok(winner)) => return Ok(winner),
            Ok(Err(error)) => {
                log_fallback(&self.local, cloud, &error);
                return self.ask(request, cloud, Some(LOCAL_FAILED)).await;
            }
            Err(_) => {}
        }
        let cloud = pin!(self.ask(request, cloud, Some(LOCAL_SLOW)));
        match select(local, cloud).await {
            Either::Left((Ok(winner), _)) => Ok(winner),
            Either::Right((Ok(winner), _)) => {
                // A probe finds out whether it was slow or is down, so that no chat has to wait.
                self.health_probe.spawn(&self.local, &request.call.host);
                Ok(winner)
            }
            Either::Left((Err(_), cloud)) => cloud.await,
            Either::Right((Err(error), local)) => local.await.map_err(|_| error),
        }
    }

    fn probe_local_if_failing(&self, call: &Call) {
        if self.local.is_failing() {
            self.health_probe.spawn(&self.local, &call.host);
        }
    }
}

impl RaceWinner<'_> {
    /// Returns the answer, with the model and the side that give it, and with a status line if the
    /// valves ask for one.
    fn into_chunks(self, has_status_line: bool) -> ChunkStream {
        let Self { backend, answer, reason } = self;
        let model = answer.model.clone().unwrap_or_else(|| backend.id().into());
        let line = match (backend.side, reason) {
            (Side::Local, _) => "Answered locally".to_owned(),
            (Side::Cloud, None) => format!("Answered in the cloud by {model}"),
            (Side::Cloud, Some(reason)) => format!("Answered in the cloud by {model}: {reason}"),
        };
        let status = has_status_line.then(|| Chunk::Event(Event::status(&line, true)));
        let head = [Chunk::Model(model), Chunk::Side(backend.side)].into_iter().chain(status);
        answer.into_chunks(head.collect())
    }
}

fn log_fallback(from: &Backend, to: &Backend, error: &BackendError) {
    let (from, to, error) = (from.id(), to.id(), &error.error);
    let kind = error.kind();
    tracing::warn!(model = from, "`{from}` does not answer, so `{to}` is called: {kind}.");
    // An upstream may quote the prompt.
    tracing::debug!(model = from, %error, "Why `{from}` does not answer.");
}
