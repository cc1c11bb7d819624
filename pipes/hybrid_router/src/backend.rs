//! One of the two backends, and its health.

use crate::{
    backend_error::BackendError,
    cloud_budget::CloudBudget,
    endpoint::Endpoint,
    pipe_id::LOCAL_MODEL_ID,
    started_answer::StartedAnswer,
    valves::{HybridValves, LocalEndpoint},
};
use futures_util::FutureExt;
use pipe_sdk::{
    Body, BreakerState, Call, CallerId, Demand, Host, Message, PipeError, Result as PipeResult,
    Role, Side, UpstreamState, ValveError,
};
use resilience::{CallError, Classify, Limits, Upstream};
use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

/// One of the two backends.
#[derive(Debug)]
pub(crate) struct Backend {
    pub side: Side,
    target: Target,
    /// `true` if the time until the first token is limited here; the pipe of a cloud model has its
    /// own limit.
    has_first_token_timeout: bool,
    upstream: Arc<Upstream>,
    tracks_cost: bool,
    /// The end of the wait that the backend has asked for.
    busy_until: Mutex<Option<Instant>>,
}

/// The model or server that a backend calls.
#[derive(Debug)]
enum Target {
    /// A model of this host.
    Model(String),
    /// A server at a URL.
    Endpoint(Endpoint),
}

/// The longest wait that a backend may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The pause between probes of a backend whose breaker is closed.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// A concurrency limit that no host reaches.
const UNLIMITED: usize = 1 << 20;

impl Backend {
    /// Creates the local backend of these valves.
    pub fn local(valves: &HybridValves) -> PipeResult<Self> {
        let endpoint = valves.local_endpoint.parse();
        let target = match endpoint {
            Ok(LocalEndpoint::Model(id)) => Target::Model(id),
            Ok(LocalEndpoint::Server(apis)) => Target::Endpoint(Endpoint::new(apis, valves)),
            Err(rule) => {
                return Err(PipeError::BadValves(vec![ValveError::new("local_endpoint", rule)]));
            }
        };
        Ok(Self::new(Side::Local, target, valves.local_limits(), valves))
    }

    /// Creates the cloud backend of these valves, if they name one. The pipe of its model has a
    /// breaker, so this one is never open.
    pub fn cloud(valves: &HybridValves) -> Option<Self> {
        let target = Target::Model(valves.cloud_model.as_ref()?.trim().into());
        let limits =
            Limits { attempts: 1, failures: 0, max_concurrent: UNLIMITED, ..Limits::default() };
        Some(Self::new(Side::Cloud, target, limits, valves))
    }

    fn new(side: Side, target: Target, limits: Limits, valves: &HybridValves) -> Self {
        Self {
            side,
            target,
            has_first_token_timeout: side == Side::Local,
            upstream: Arc::new(Upstream::new(side.name(), limits)),
            tracks_cost: valves.cost_tracking,
            busy_until: Mutex::default(),
        }
    }

    /// Returns the id of the model that answers.
    pub fn id(&self) -> &str {
        self.model().unwrap_or(LOCAL_MODEL_ID)
    }

    /// Returns the id of the model of this host, if the backend is one.
    pub fn model(&self) -> Option<&str> {
        match &self.target {
            Target::Model(id) => Some(id),
            Target::Endpoint(_) => None,
        }
    }

    /// Returns whether its circuit breaker is open, so that it is probed before it is asked again.
    pub fn is_failing(&self) -> bool {
        self.upstream.state().breaker != BreakerState::Closed
    }

    /// Returns whether it is likely to answer.
    pub fn is_healthy(&self) -> bool {
        let is_busy = self.busy_until().is_some_and(|until| Instant::now() < until);
        !is_busy && !self.is_failing()
    }

    /// Returns the state of the calls to it.
    pub fn state(&self) -> UpstreamState {
        self.upstream.state()
    }

    /// Sends a chat, and returns the answer once it has its first token. The chat is sent even if
    /// the breaker is open: whether to ask is the caller's decision.
    pub async fn ask(
        &self,
        call: &Call,
        budget: Option<&CloudBudget>,
    ) -> Result<StartedAnswer, BackendError> {
        let demand = Demand::chat(&call.body);
        if let Some(budget) = budget.filter(|_| self.side == Side::Cloud) {
            let reserved = budget.reserve(call, self.id(), &demand).await;
            reserved.map_err(BackendError::not_admitted)?;
        }
        let admitted = call.host.admit(self.id(), demand).await;
        if let Err(error @ (PipeError::Throttled { .. } | PipeError::Refused { .. })) = admitted {
            return Err(BackendError::not_admitted(error));
        }
        let caller = call.host.context().caller();
        let send = |_| Box::pin(self.start_answer(&call.host, &call.body));
        let error = match self.upstream.call(caller, send).await {
            Ok((answer, in_flight)) => return Ok(answer.with_call(in_flight)),
            Err(error) => error,
        };
        match BackendError::from_call(error, self.id()) {
            None => Box::pin(self.start_answer(&call.host, &call.body)).await,
            Some(error) => {
                self.apply_retry_after(&error.error);
                Err(error)
            }
        }
    }

    /// Probes the backend until it is healthy.
    pub async fn probe_until_healthy(&self, host: &Host) {
        loop {
            let message = Message::new(Role::User, "ping");
            let body =
                Body { max_tokens: Some(1), stream: true, ..Body::new(self.id(), vec![message]) };
            let send = |_| Box::pin(self.probe(host, &body));
            match self.upstream.call(CallerId::default(), send).await {
                Ok((_, in_flight)) => return in_flight.complete(None),
                Err(CallError::CircuitOpen { wait, .. }) => sleep(wait).await,
                Err(CallError::ConcurrencyLimit) => sleep(PROBE_INTERVAL).await,
                Err(CallError::Failed(error)) => match error.verdict().kind {
                    Some(_) => sleep(PROBE_INTERVAL).await,
                    // It answers, if only to refuse the request.
                    None => return,
                },
            }
        }
    }

    /// Sends a probe. The model list, which costs nothing, shows first whether a server is there.
    async fn probe(&self, host: &Host, body: &Body) -> Result<StartedAnswer, BackendError> {
        if let Target::Endpoint(endpoint) = &self.target {
            endpoint.probe().await?;
        }
        self.start_answer(host, body).await
    }

    async fn start_answer(&self, host: &Host, body: &Body) -> Result<StartedAnswer, BackendError> {
        let host = if self.tracks_cost { host.on_side(self.side) } else { host.clone() };
        let model = match &self.target {
            Target::Model(model) => model,
            Target::Endpoint(endpoint) => return endpoint.start_answer(&host, body).await,
        };
        let answer = async {
            let body = Body { model: model.clone(), ..body.clone() };
            StartedAnswer::wait_for_output(model, host.pipe(body).await?).await
        };
        // A panic in the pipe of one backend is no reason for the other not to answer.
        let answer = AssertUnwindSafe(answer).catch_unwind();
        let answer = answer.map(|caught| caught.unwrap_or_else(|_| Err(BackendError::panic())));
        if !self.has_first_token_timeout {
            return answer.await;
        }
        let Limits { first_byte, idle, .. } = self.upstream.limits();
        // Without a stream, the first token comes with the last one.
        let limit = if body.stream { *first_byte } else { *first_byte.max(idle) };
        let timed_out = |_| BackendError::first_token_timeout(model, limit);
        timeout(limit, answer).await.map_err(timed_out)?
    }

    /// Leaves the backend alone for as long as it asks for.
    fn apply_retry_after(&self, error: &PipeError) {
        if let PipeError::Throttled { retry_after: Some(wait), .. } = error {
            *self.busy_until() = Some(Instant::now() + (*wait).min(MAX_RETRY_AFTER));
        }
    }

    /// Locks the time until which the backend has asked to be left alone.
    fn busy_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.busy_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
