//! One of the two who can answer, and how it fares.

use crate::{
    LOCAL_ID,
    endpoint::{Endpoint, is_address},
    failure::{self, Failure},
    spoken::Spoken,
    valves::HybridValves,
};
use futures_util::FutureExt;
use pipe_sdk::{
    Body, BreakerState, Call, CallerId, Demand, Host, Message, PipeError, Result as PipeResult,
    Role, Side, UpstreamState, ValveError,
};
use resilience::{CallError, Limits, Upstream};
use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

/// One of the two who can answer.
#[derive(Debug)]
pub(crate) struct Party {
    pub side: Side,
    way: Way,
    /// How long its first token may take, if it is this house that counts.
    patience: Option<Duration>,
    calm: Arc<Upstream>,
    is_told_apart: bool,
    /// Until when it has asked not to be asked.
    busy_until: Mutex<Option<Instant>>,
}

#[derive(Debug)]
enum Way {
    /// A model of this host.
    Model(String),
    /// A server at an address.
    Endpoint(Endpoint),
}

/// A wait that a side asks for is kept up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How soon a side is tried again that has failed, but not often enough to rest.
const SOON: Duration = Duration::from_secs(1);

impl Party {
    /// The local side of these valves.
    pub fn local(valves: &HybridValves) -> PipeResult<Self> {
        let place = valves.local_endpoint.trim();
        let unfit = |rule| PipeError::BadValves(vec![ValveError::new("local_endpoint", rule)]);
        let way = if is_address(place) {
            Way::Endpoint(Endpoint::new(valves).map_err(unfit)?)
        } else {
            Way::Model(place.into())
        };
        let limits = valves.local_limits();
        Ok(Self::new(Side::Local, way, Some(limits.first_byte), limits, valves))
    }

    /// The cloud of these valves, if they name one. Its own pipe keeps it calm; here it is always asked.
    pub fn cloud(valves: &HybridValves) -> Option<Self> {
        let way = Way::Model(valves.cloud_model.as_ref()?.trim().into());
        let limits = Limits { attempts: 1, failures: 0, at_once: MANY, ..Limits::default() };
        Some(Self::new(Side::Cloud, way, None, limits, valves))
    }

    fn new(
        side: Side,
        way: Way,
        patience: Option<Duration>,
        limits: Limits,
        valves: &HybridValves,
    ) -> Self {
        let calm = Arc::new(Upstream::new(side.name(), limits));
        let is_told_apart = valves.cost_tracking;
        Self { side, way, patience, calm, is_told_apart, busy_until: Mutex::default() }
    }

    /// What it is known by.
    pub fn id(&self) -> &str {
        match &self.way {
            Way::Model(id) => id,
            Way::Endpoint(_) => LOCAL_ID,
        }
    }

    /// The model of this host that it is, if it is one.
    pub fn model(&self) -> Option<&str> {
        match &self.way {
            Way::Model(id) => Some(id),
            Way::Endpoint(_) => None,
        }
    }

    /// Whether it has failed, and is to be tried before it is asked again.
    pub fn is_resting(&self) -> bool {
        self.calm.state().breaker != BreakerState::Closed
    }

    /// Whether it is likely to answer.
    pub fn is_well(&self) -> bool {
        let is_busy = self.busy_until().is_some_and(|until| Instant::now() < until);
        !is_busy && !self.is_resting()
    }

    /// How it fares.
    pub fn state(&self) -> UpstreamState {
        self.calm.state()
    }

    /// Its answer to this chat, when the first token is there. It is asked even if it rests: that is for the caller to look at.
    pub async fn ask(&self, call: &Call) -> Result<Spoken, Failure> {
        let admitted = call.host.admit(self.id(), Demand::chat(&call.body)).await;
        if let Err(error @ (PipeError::Throttled { .. } | PipeError::Refused { .. })) = admitted {
            // A limit of one person's says nothing of the side.
            return Err(Failure::not_admitted(error));
        }
        let asked = self
            .calm
            .call(call.host.context().caller(), |_| Box::pin(self.spoken(&call.host, &call.body)))
            .await;
        let failure = match asked {
            Ok((spoken, running)) => return Ok(spoken.watched(running)),
            Err(unanswered) => failure::answered(unanswered, self.id()),
        };
        match failure {
            None => Box::pin(self.spoken(&call.host, &call.body)).await,
            Some(failure) => {
                self.heed(&failure.error);
                Err(failure)
            }
        }
    }

    /// Tries it, beside all chats, until it is well.
    pub async fn nurse(&self, host: &Host) {
        loop {
            let question = Message::new(Role::User, "ping");
            let body = Body { max_tokens: Some(1), ..Body::new(self.id(), vec![question]) };
            let tried =
                self.calm.call(CallerId::default(), |_| Box::pin(self.tried(host, &body))).await;
            match tried {
                Ok((_, running)) => return running.settle(None),
                Err(CallError::Resting { wait, .. }) => sleep(wait).await,
                Err(CallError::Full) => sleep(SOON).await,
                Err(CallError::Failed(failure)) => {
                    match resilience::Classify::verdict(&failure).kind {
                        Some(_) => sleep(SOON).await,
                        // It answers, if only that it does not like the question.
                        None => return,
                    }
                }
            }
        }
    }

    /// The same for what nobody has asked. A server that is not there is found out by its list, at no cost.
    async fn tried(&self, host: &Host, body: &Body) -> Result<Spoken, Failure> {
        if let Way::Endpoint(endpoint) = &self.way {
            endpoint.is_there().await?;
        }
        self.spoken(host, body).await
    }

    async fn spoken(&self, host: &Host, body: &Body) -> Result<Spoken, Failure> {
        let host = if self.is_told_apart { host.on_side(self.side) } else { host.clone() };
        let model = match &self.way {
            Way::Model(model) => model,
            Way::Endpoint(endpoint) => return endpoint.spoken(&host, body).await,
        };
        let spoken = async {
            let body = Body { model: model.clone(), ..body.clone() };
            Spoken::of(model, host.pipe(body).await?).await
        };
        // What is broken there is no reason for the other side not to answer.
        let spoken = AssertUnwindSafe(spoken).catch_unwind();
        let spoken = spoken.map(|caught| caught.unwrap_or_else(|_| Err(Failure::panicked())));
        let Some(patience) = self.patience else { return spoken.await };
        let late = |_| Failure::late(model, patience.as_secs());
        timeout(patience, spoken).await.map_err(late)?
    }

    /// Keeps the wait that it asks for, if it does.
    fn heed(&self, error: &PipeError) {
        if let PipeError::Throttled { retry_after: Some(wait), .. } = error {
            *self.busy_until() = Some(Instant::now() + (*wait).min(LONGEST_WAIT));
        }
    }

    fn busy_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.busy_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As many chats as nobody has.
const MANY: usize = 1 << 20;
