//! One chat: the first side, the other one where that fails, or both in a race.

use crate::{
    HybridRouter,
    failure::Failure,
    needs::is_task,
    party::Party,
    plan::{Bar, Plan},
    spoken::Spoken,
};
use futures_util::future::{Either, select};
use pipe_sdk::{Call, Chunk, ChunkStream, Event, Result, Side};
use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::timeout;

/// Who has spoken first, and why it was not the local side if it was not.
struct Won<'a> {
    party: &'a Party,
    spoken: Spoken,
    why: Option<&'static str>,
}

const UNWELL: &str = "the local model did not answer";
const SLOW: &str = "the local model is slow";

impl HybridRouter {
    /// Answers this chat by this side, whatever comes of it.
    pub(crate) async fn alone(&self, call: &Call, party: &Arc<Party>) -> Result<ChunkStream> {
        let won = self.only(call, party, None).await;
        Ok(self.told(won.map_err(|failure| failure.error)?, false))
    }

    /// Answers this chat by the side that is right for it.
    pub(crate) async fn smart(&self, call: &Call) -> Result<ChunkStream> {
        let now = SystemTime::now();
        let bar = Bar::of(call, &self.valves, now).await;
        let plan = Plan::of(call, &self.valves, now, bar)?;
        let (local, cloud) = (&self.local, self.cloud.as_ref());
        let won = match (plan, cloud) {
            (Plan::Only(Side::Cloud, why), Some(cloud)) => self.only(call, cloud, why).await,
            (Plan::First(Side::Cloud, why), Some(cloud)) => {
                self.in_turn(call, [cloud, local], why).await
            }
            (Plan::First(Side::Local, _), Some(cloud)) => self.local_first(call, cloud).await,
            // The plan knows whether there is a cloud.
            (Plan::Only(..) | Plan::First(..), _) => self.only(call, local, None).await,
        };
        Ok(self.told(won.map_err(|failure| failure.error)?, self.valves.show_side))
    }

    async fn only<'a>(
        &self,
        call: &Call,
        party: &'a Arc<Party>,
        why: Option<&'static str>,
    ) -> Result<Won<'a>, Failure> {
        let asked = party.ask(call).await;
        self.look_after_local(call);
        asked.map(|spoken| Won { party, spoken, why })
    }

    /// The local side first, unless it is known to be ill; it is then no more than the last resort.
    async fn local_first<'a>(
        &'a self,
        call: &Call,
        cloud: &'a Arc<Party>,
    ) -> Result<Won<'a>, Failure> {
        if !self.local.is_well() {
            self.look_after_local(call);
            return self.in_turn(call, [cloud, &self.local], Some(UNWELL)).await;
        }
        match self.valves.hedge_after_ms.filter(|_| !is_task(call)) {
            Some(after) => self.race(call, cloud, Duration::from_millis(after)).await,
            None => self.in_turn(call, [&self.local, cloud], None).await,
        }
    }

    /// One after the other.
    async fn in_turn<'a>(
        &self,
        call: &Call,
        [first, second]: [&'a Arc<Party>; 2],
        why: Option<&'static str>,
    ) -> Result<Won<'a>, Failure> {
        let failure = match self.only(call, first, why).await {
            Ok(won) => return Ok(won),
            Err(failure) => failure,
        };
        passed_on(first, second, &failure);
        let won = self.only(call, second, why_second(second)).await;
        won.map_err(|last| the_clouds(first, failure, last))
    }

    /// The local side, and after a while the cloud beside it. Who speaks first answers, and the other one is let go.
    async fn race<'a>(
        &'a self,
        call: &Call,
        cloud: &'a Arc<Party>,
        after: Duration,
    ) -> Result<Won<'a>, Failure> {
        let mut local = pin!(self.only(call, &self.local, None));
        match timeout(after, &mut local).await {
            Ok(Ok(won)) => return Ok(won),
            Ok(Err(failure)) => {
                passed_on(&self.local, cloud, &failure);
                return self.only(call, cloud, Some(UNWELL)).await;
            }
            Err(_) => {}
        }
        let cloud = pin!(self.only(call, cloud, Some(SLOW)));
        match select(local, cloud).await {
            Either::Left((Ok(won), _)) => Ok(won),
            Either::Right((Ok(won), _)) => {
                // Whether it was slow or is dead is not known, and the next chat should not wait to learn it.
                self.recovery.look_after(&self.local, &call.host);
                Ok(won)
            }
            Either::Left((Err(_), cloud)) => cloud.await,
            Either::Right((Err(failure), local)) => local.await.map_err(|_| failure),
        }
    }

    fn look_after_local(&self, call: &Call) {
        if self.local.is_resting() {
            self.recovery.look_after(&self.local, &call.host);
        }
    }

    /// The answer, with who gives it.
    fn told(&self, won: Won<'_>, is_shown: bool) -> ChunkStream {
        let Won { party, spoken, why } = won;
        let model = spoken.model.clone().unwrap_or_else(|| party.id().into());
        let line = match (party.side, why) {
            (Side::Local, _) => "Answered locally".to_owned(),
            (Side::Cloud, None) => format!("Answered in the cloud by {model}"),
            (Side::Cloud, Some(why)) => format!("Answered in the cloud by {model}: {why}"),
        };
        let shown = is_shown.then(|| Chunk::Event(Event::status(&line, true)));
        let head = [Chunk::Model(model), Chunk::Side(party.side)].into_iter().chain(shown);
        spoken.after(head.collect())
    }
}

fn why_second(party: &Party) -> Option<&'static str> {
    (party.side == Side::Cloud).then_some(UNWELL)
}

/// Of two errors, the cloud's: it is the side that can do more.
fn the_clouds(first: &Party, failure: Failure, last: Failure) -> Failure {
    if first.side == Side::Cloud { failure } else { last }
}

fn passed_on(from: &Party, to: &Party, failure: &Failure) {
    let (from, to, error) = (from.id(), to.id(), &failure.error);
    let kind = error.kind();
    tracing::warn!(model = from, "`{from}` does not answer, so `{to}` is asked: {kind}.");
    // An upstream may quote the prompt.
    tracing::debug!(model = from, %error, "Why `{from}` does not answer.");
}
