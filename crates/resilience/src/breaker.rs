//! Leaves an upstream in peace that fails again and again, and tries now and then whether it is well.

use crate::Limits;
use pipe_sdk::BreakerState;
use std::time::Duration;
use tokio::time::Instant;

/// Closed, open, or open with one call under way that tries.
#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    phase: Phase,
    /// Which time between two openings this is. What began in an earlier one says nothing about now.
    generation: u64,
    most_failures: u32,
    first_rest: Duration,
    longest_rest: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// All calls go through. So many have failed in a row.
    Closed { failures: u32 },
    /// None does until then.
    Open { until: Instant, rest: Duration },
    /// One does, and tries.
    Probing { rest: Duration },
}

/// One attempt that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    generation: u64,
}

/// How soon to ask again while another call tries.
const WHILE_PROBING: Duration = Duration::from_secs(1);

impl CircuitBreaker {
    /// A closed one.
    pub fn new(limits: &Limits) -> Self {
        Self {
            phase: Phase::Closed { failures: 0 },
            generation: 0,
            most_failures: limits.failures,
            first_rest: limits.rest,
            longest_rest: limits.longest_rest,
        }
    }

    /// Lets an attempt through, or says how long to wait.
    pub fn admit(&mut self, now: Instant) -> Result<Ticket, Duration> {
        match self.phase {
            Phase::Closed { .. } => {}
            Phase::Open { until, .. } if now < until => return Err(until - now),
            Phase::Open { rest, .. } => {
                self.phase = Phase::Probing { rest };
                self.generation += 1;
            }
            Phase::Probing { .. } => return Err(WHILE_PROBING),
        }
        Ok(Ticket { generation: self.generation })
    }

    /// Whether a further attempt of a call that has failed would be let through.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }

    /// The answer has begun. That is enough to close an open breaker, and too little to forget failures.
    pub fn began(&mut self, ticket: Ticket) {
        if ticket.generation == self.generation && matches!(self.phase, Phase::Probing { .. }) {
            self.phase = Phase::Closed { failures: 0 };
        }
    }

    /// The upstream did as it should.
    pub fn succeeded(&mut self, ticket: Ticket) {
        if ticket.generation == self.generation && !matches!(self.phase, Phase::Open { .. }) {
            self.phase = Phase::Closed { failures: 0 };
        }
    }

    /// The upstream has failed.
    pub fn failed(&mut self, ticket: Ticket, now: Instant) {
        if ticket.generation != self.generation || self.most_failures == 0 {
            return;
        }
        match self.phase {
            Phase::Closed { failures } if failures + 1 < self.most_failures => {
                self.phase = Phase::Closed { failures: failures + 1 };
            }
            Phase::Closed { .. } => self.open(now, self.first_rest),
            Phase::Probing { rest } => {
                self.open(now, rest.saturating_mul(2).min(self.longest_rest));
            }
            Phase::Open { .. } => {}
        }
    }

    /// The caller has left before it was known. If it was the one that tried, the next one may.
    pub fn abandoned(&mut self, ticket: Ticket, now: Instant) {
        if let Phase::Probing { rest } = self.phase
            && ticket.generation == self.generation
        {
            self.phase = Phase::Open { until: now, rest };
        }
    }

    /// What metrics say of it.
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { until, .. } if now < until => BreakerState::Open,
            Phase::Open { .. } | Phase::Probing { .. } => BreakerState::HalfOpen,
        }
    }

    fn open(&mut self, now: Instant, rest: Duration) {
        self.phase = Phase::Open { until: now + rest, rest };
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn breaker() -> CircuitBreaker {
        CircuitBreaker::new(&Limits::default())
    }

    /// Fails so often in a row.
    fn fail(breaker: &mut CircuitBreaker, times: u32, now: Instant) {
        for _ in 0..times {
            let ticket = breaker.admit(now).unwrap();
            breaker.failed(ticket, now);
        }
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_four_do_not() {
        let (mut breaker, now) = (breaker(), Instant::now());
        fail(&mut breaker, 4, now);
        let ticket = breaker.admit(now).unwrap();
        breaker.succeeded(ticket);
        fail(&mut breaker, 4, now);
        assert_eq!(breaker.state(now), BreakerState::Closed);
        fail(&mut breaker, 1, now);
        assert_eq!(breaker.state(now), BreakerState::Open);
        assert_eq!(breaker.admit(now), Err(Duration::from_secs(10)));
    }

    #[test]
    fn after_its_rest_one_call_tries_and_each_failure_doubles_the_rest_up_to_two_minutes() {
        let (mut breaker, mut now) = (breaker(), Instant::now());
        fail(&mut breaker, 5, now);
        for rest in [10, 20, 40, 80, 120, 120] {
            let rest = Duration::from_secs(rest);
            assert_eq!(breaker.admit(now), Err(rest));
            now += rest;
            let probe = breaker.admit(now).unwrap();
            assert_eq!(breaker.admit(now), Err(WHILE_PROBING), "one call is enough to try");
            breaker.failed(probe, now);
        }
    }

    #[test]
    fn an_answer_that_begins_closes_it() {
        let (mut breaker, mut now) = (breaker(), Instant::now());
        fail(&mut breaker, 5, now);
        now += Duration::from_secs(10);
        let probe = breaker.admit(now).unwrap();
        breaker.began(probe);
        fail(&mut breaker, 4, now);
        breaker.failed(probe, now);
        assert_eq!(breaker.admit(now), Err(Duration::from_secs(10)), "its rest is the first again");
    }

    #[test]
    fn answers_that_begin_and_break_off_open_it_too() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for _ in 0..5 {
            let ticket = breaker.admit(now).unwrap();
            breaker.began(ticket);
            breaker.failed(ticket, now);
        }
        assert_eq!(breaker.state(now), BreakerState::Open);
    }

    #[test]
    fn whoever_tries_and_leaves_hands_it_on() {
        let (mut breaker, mut now) = (breaker(), Instant::now());
        fail(&mut breaker, 5, now);
        now += Duration::from_secs(10);
        let probe = breaker.admit(now).unwrap();
        breaker.abandoned(probe, now);
        assert_eq!(breaker.state(now), BreakerState::HalfOpen);
        breaker.admit(now).unwrap();
    }

    #[test]
    fn without_a_number_of_failures_it_never_opens() {
        let mut breaker = CircuitBreaker::new(&Limits { failures: 0, ..Limits::default() });
        fail(&mut breaker, 1000, Instant::now());
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Admit,
        Wait(u64),
        Begin(usize),
        Succeed(usize),
        Fail(usize),
        Leave(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Admit),
            1 => (0..30u64).prop_map(Step::Wait),
            1 => (0..8usize).prop_map(Step::Begin),
            1 => (0..8usize).prop_map(Step::Succeed),
            4 => (0..8usize).prop_map(Step::Fail),
            1 => (0..8usize).prop_map(Step::Leave),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        /// In whichever order calls begin and end: while it rests nobody gets through, while one tries nobody else does, no rest is longer
        /// than the longest, and once all have ended somebody gets through again.
        #[test]
        fn it_holds_in_any_order(steps in steps()) {
            let (mut breaker, mut now) = (breaker(), Instant::now());
            let mut under_way: Vec<Ticket> = Vec::new();
            for step in steps {
                let before = breaker.state(now);
                let mut take = |place: usize| (place < under_way.len()).then(|| under_way.swap_remove(place));
                match step {
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                    Step::Admit => {
                        let probing = matches!(breaker.phase, Phase::Probing { .. });
                        match breaker.admit(now) {
                            Ok(ticket) => {
                                prop_assert!(before != BreakerState::Open && !probing);
                                under_way.push(ticket);
                            }
                            Err(wait) => {
                                prop_assert!(before != BreakerState::Closed);
                                prop_assert!(wait <= Limits::default().longest_rest);
                            }
                        }
                    }
                    Step::Begin(place) => if let Some(ticket) = under_way.get(place) { breaker.began(*ticket) },
                    Step::Succeed(place) => if let Some(ticket) = take(place) { breaker.succeeded(ticket) },
                    Step::Fail(place) => if let Some(ticket) = take(place) { breaker.failed(ticket, now) },
                    Step::Leave(place) => if let Some(ticket) = take(place) { breaker.abandoned(ticket, now) },
                }
                if matches!(breaker.phase, Phase::Probing { .. }) {
                    prop_assert_eq!(under_way.iter().filter(|ticket| ticket.generation == breaker.generation).count(), 1);
                }
            }
            for ticket in under_way {
                breaker.abandoned(ticket, now);
            }
            now += Limits::default().longest_rest;
            prop_assert!(breaker.admit(now).is_ok());
        }
    }
}
