//! A circuit breaker: it refuses calls of an upstream that fails for everyone, and now and then
//! lets one through as a probe.
//!
//! One caller must never be able to lock out the others: a prompt that makes a model fail says
//! nothing about the model. So a breaker opens by the share of failed calls in a sliding window, of
//! which each caller fills only a part, and only when several callers have seen failures. Failures
//! before any request is sent (a refused connection) need no such care, and open it at once.

use crate::{FailureKind, FailureSource, Limits, Verdict, window::Window};
use pipe_sdk::{BreakerState, CallerId};
use std::time::Duration;
use tokio::time::Instant;

/// A circuit breaker: closed, open, or open with one probe in flight.
#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    phase: BreakerPhase,
    /// The number of changes between closed and open so far. The result of a call that began in an
    /// earlier generation is ignored.
    generation: u64,
    window: Window,
    /// The number of consecutive calls without a connection.
    connect_failures: u32,
    /// The number of consecutive failed calls, by any caller.
    consecutive_failures: u32,
    /// The time of the last success.
    last_success: Option<Instant>,
    /// The kind of the last failure.
    last_failure: FailureKind,
    /// The callers that saw the failures that opened it. The probe must come from another one.
    witnesses: Vec<CallerId>,
    /// The number of consecutive probes whose failure may have been their own fault.
    doubtful_probes: u32,
    rules: BreakerRules,
}

/// The conditions under which it opens, and for how long.
#[derive(Debug)]
struct BreakerRules {
    failures: u32,
    callers: usize,
    is_probed: bool,
    open_duration: Duration,
    max_open_duration: Duration,
}

/// The phase of the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BreakerPhase {
    /// All calls go through.
    Closed,
    /// No call goes through until then.
    Open { until: Instant, period: OpenPeriod },
    /// One call goes through, as a probe.
    Probing { period: OpenPeriod },
}

/// The time for which the breaker stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OpenPeriod {
    /// The duration of this period.
    duration: Duration,
    /// The duration of the next period, if the probe fails.
    next: Duration,
}

/// A call that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallTicket {
    generation: u64,
    caller: CallerId,
    began: Instant,
    /// `true` if it was admitted although the breaker was open, and is no probe.
    is_extra: bool,
}

/// The refusal of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BreakerRefusal {
    pub wait: Duration,
    pub last_failure: FailureKind,
}

/// The wait that callers are given while a probe is in flight.
const PROBE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The wait before the owner probes a suspected upstream.
const SUSPECTED_OPEN_DURATION: Duration = Duration::from_millis(100);

/// A good answer within this time before a failure shows that the upstream is alive.
const ALIVE_WINDOW: Duration = Duration::from_secs(10);

/// The number of consecutive connection failures that opens it.
const MAX_CONNECT_FAILURES: u32 = 2;

/// The share of calls, in percent, that must have failed with errors of the upstream itself to open
/// the circuit breaker.
const MIN_OWNED_FAILURE_PERCENT: usize = 50;
/// The share of calls, in percent, that must have failed with errors of any kind. The holder of the
/// host's key may invent callers, and a prompt may make any model fail; while a tenth of the calls
/// succeeds, it is better to keep calling.
const MIN_FAILURE_PERCENT: usize = 90;

/// The number of failed probes, possibly by their own fault, after which the breaker opens again.
const MAX_DOUBTFUL_PROBES: u32 = 3;

/// The minimum number of calls in the window for an upstream whose owner sends probes.
const MIN_PROBED_CALLS: u32 = 20;

/// The maximum number of witnesses that are kept.
const MAX_WITNESSES: usize = 64;

impl CircuitBreaker {
    /// Returns a closed breaker.
    pub fn new(limits: &Limits) -> Self {
        let failures = limits.failures;
        let volume =
            if limits.is_probed { failures.max(MIN_PROBED_CALLS) } else { failures } as usize;
        let callers = limits.callers.min(volume);
        Self {
            phase: BreakerPhase::Closed,
            generation: 0,
            window: Window::new(limits.window, volume, callers),
            connect_failures: 0,
            consecutive_failures: 0,
            last_success: None,
            last_failure: FailureKind::Server,
            witnesses: Vec::new(),
            doubtful_probes: 0,
            rules: BreakerRules {
                failures,
                callers,
                is_probed: limits.is_probed,
                open_duration: limits.open_duration,
                max_open_duration: limits.max_open_duration,
            },
        }
    }

    /// Admits a call of this caller, or returns the wait and the last failure.
    pub fn admit(&mut self, caller: CallerId, now: Instant) -> Result<CallTicket, BreakerRefusal> {
        let refused = |wait| BreakerRefusal { wait, last_failure: self.last_failure };
        match self.phase {
            BreakerPhase::Closed => {}
            BreakerPhase::Open { until, .. } if now < until => return Err(refused(until - now)),
            BreakerPhase::Open { until, period } => {
                // If no other caller comes, one that saw the failures may probe after twice the
                // time. The host itself may always probe.
                let (anybody, is_host) = (until + period.duration, caller == CallerId::default());
                if now < anybody && !is_host && self.witnesses.contains(&caller) {
                    return Err(refused(anybody - now));
                }
                self.phase = BreakerPhase::Probing { period };
                self.generation += 1;
            }
            BreakerPhase::Probing { .. } => return Err(refused(PROBE_RETRY_AFTER)),
        }
        Ok(self.ticket(caller, now))
    }

    /// Admits a call without an alternative even if the breaker is open, unless the upstream cannot
    /// be connected to.
    pub fn admit_ignoring_state(
        &mut self,
        caller: CallerId,
        now: Instant,
    ) -> Result<CallTicket, BreakerRefusal> {
        self.admit(caller, now).or_else(|refused| match refused.last_failure {
            FailureKind::Connect => Err(refused),
            _ => Ok(CallTicket { is_extra: true, ..self.ticket(caller, now) }),
        })
    }

    /// Returns whether a further attempt of a failed call would be admitted.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, BreakerPhase::Closed)
    }

    /// Records that an answer has begun. That closes an open breaker, but does not clear the
    /// failures.
    pub fn record_start(&mut self, ticket: CallTicket) {
        if ticket.generation == self.generation && !self.is_closed() {
            self.close();
        }
    }

    /// Records a success.
    pub fn record_success(&mut self, ticket: CallTicket, now: Instant) {
        if ticket.generation != self.generation {
            return;
        }
        if !self.is_closed() {
            self.close();
        }
        (self.connect_failures, self.consecutive_failures, self.last_success) = (0, 0, Some(now));
        self.window.push(now, ticket.caller, None);
    }

    /// Records a failure.
    pub fn record_failure(&mut self, ticket: CallTicket, verdict: Verdict, now: Instant) {
        let Some(kind) = verdict.kind else { return };
        if ticket.generation != self.generation || self.rules.failures == 0 {
            return;
        }
        match self.phase {
            BreakerPhase::Closed => {
                self.last_failure = kind;
                self.window.push(now, ticket.caller, Some(verdict.failure_source()));
                self.consecutive_failures = self.consecutive_failures.saturating_add(1);
                let is_connect_failure = kind == FailureKind::Connect;
                self.connect_failures =
                    if is_connect_failure { self.connect_failures.saturating_add(1) } else { 0 };
                if let Some(period) = self.open_period_after(ticket, verdict.failure_source(), now)
                {
                    self.witnesses = self.window.witnesses(MAX_WITNESSES);
                    self.open(now, period);
                }
            }
            BreakerPhase::Probing { period } if !ticket.is_extra => {
                self.last_failure = kind;
                if self.witnesses.len() < MAX_WITNESSES {
                    self.witnesses.push(ticket.caller);
                }
                self.doubtful_probes += 1;
                let is_sure =
                    verdict.failure_source() == FailureSource::Upstream || self.rules.is_probed;
                if is_sure || self.doubtful_probes >= MAX_DOUBTFUL_PROBES {
                    self.open(now, self.open_period(period.next));
                } else {
                    // Somebody else may try at once: it may have been this request's own fault.
                    self.phase = BreakerPhase::Open { until: now, period };
                }
            }
            // A call that went through anyway has found what is known.
            BreakerPhase::Probing { .. } | BreakerPhase::Open { .. } => {}
        }
    }

    /// Records that a caller left before the outcome was known. If it was the probe, the next call
    /// may probe.
    pub fn record_cancellation(&mut self, ticket: CallTicket, now: Instant) {
        if let BreakerPhase::Probing { period } = self.phase
            && ticket.generation == self.generation
            && !ticket.is_extra
        {
            // A caller that leaves as soon as it may try must not keep the others waiting.
            self.phase = BreakerPhase::Open {
                until: now,
                period: OpenPeriod { duration: Duration::ZERO, ..period },
            };
        }
    }

    /// Returns the state for metrics.
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.phase {
            BreakerPhase::Closed => BreakerState::Closed,
            BreakerPhase::Open { until, .. } if now < until => BreakerState::Open,
            BreakerPhase::Open { .. } | BreakerPhase::Probing { .. } => BreakerState::HalfOpen,
        }
    }

    /// Returns the period for which it opens after this failure; `None` if it stays closed.
    fn open_period_after(
        &mut self,
        ticket: CallTicket,
        failure_source: FailureSource,
        now: Instant,
    ) -> Option<OpenPeriod> {
        let BreakerRules { failures, callers, is_probed, open_duration, .. } = self.rules;
        let first = self.open_period(open_duration);
        if self.connect_failures >= MAX_CONNECT_FAILURES.min(failures) {
            return Some(first);
        }
        if is_probed && self.consecutive_failures >= failures && !self.is_alive(ticket, now) {
            return Some(match failure_source {
                FailureSource::Upstream => first,
                // The request may have caused the failure. The result of the running probe decides.
                FailureSource::Either | FailureSource::Request => {
                    OpenPeriod { duration: SUSPECTED_OPEN_DURATION, next: open_duration }
                }
            });
        }
        let seen = self.window.totals(now);
        let needed = if seen.clear == 0 { callers.max(2) } else { callers };
        let share = |failed: usize, percent: usize| failed * 100 >= seen.calls * percent;
        let is_failing =
            share(seen.owned, MIN_OWNED_FAILURE_PERCENT) || share(seen.failed, MIN_FAILURE_PERCENT);
        (seen.calls >= self.window.min_calls() && seen.callers >= needed && is_failing)
            .then_some(first)
    }

    /// Returns whether other calls succeeded since this call began, or shortly before.
    fn is_alive(&self, ticket: CallTicket, now: Instant) -> bool {
        self.last_success.is_some_and(|at| at >= ticket.began || now - at <= ALIVE_WINDOW)
    }

    /// Returns the ticket of a call in the present generation.
    fn ticket(&self, caller: CallerId, began: Instant) -> CallTicket {
        CallTicket { generation: self.generation, caller, began, is_extra: false }
    }

    fn open_period(&self, now: Duration) -> OpenPeriod {
        OpenPeriod { duration: now, next: now.saturating_mul(2).min(self.rules.max_open_duration) }
    }

    /// Opens the breaker for a period, which begins a generation.
    fn open(&mut self, now: Instant, period: OpenPeriod) {
        self.phase = BreakerPhase::Open { until: now + period.duration, period };
        self.generation += 1;
        self.window.clear();
        (self.connect_failures, self.consecutive_failures, self.doubtful_probes) = (0, 0, 0);
    }

    /// Closes the breaker.
    fn close(&mut self) {
        self.phase = BreakerPhase::Closed;
        self.witnesses.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn breaker() -> CircuitBreaker {
        CircuitBreaker::new(&Limits::default())
    }

    fn caller(number: u64) -> CallerId {
        CallerId::from_name(&number)
    }

    fn unavailable() -> Verdict {
        Verdict::failure(FailureKind::Server).with_failure_source(FailureSource::Upstream)
    }

    fn late() -> Verdict {
        Verdict::failure(FailureKind::Timeout)
    }

    /// Lets this number of calls, by this number of callers in turn, end with this verdict.
    fn fail(breaker: &mut CircuitBreaker, verdict: Verdict, calls: u64, callers: u64) {
        let now = Instant::now();
        for number in 0..calls {
            let Ok(ticket) = breaker.admit(caller(number % callers), now) else { return };
            breaker.record_failure(ticket, verdict, now);
        }
    }

    fn succeed(breaker: &mut CircuitBreaker, calls: u64, callers: u64) {
        let now = Instant::now();
        for number in 0..calls {
            let ticket = breaker.admit(caller(1000 + number % callers), now).unwrap();
            breaker.record_success(ticket, now);
        }
    }

    fn is_open(breaker: &CircuitBreaker) -> bool {
        !breaker.is_closed()
    }

    #[tokio::test(start_paused = true)]
    async fn twenty_failures_of_three_callers_open_it_and_fewer_do_not() {
        for (calls, callers, opens) in
            [(19, 3, false), (20, 3, true), (1000, 2, false), (20, 20, true)]
        {
            for verdict in [unavailable(), late(), Verdict::failure(FailureKind::Server)] {
                let mut breaker = breaker();
                fail(&mut breaker, verdict, calls, callers);
                assert_eq!(is_open(&breaker), opens, "{calls} {callers} {verdict:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_number_of_failures_of_one_caller_opens_it_though_two_others_fail_once() {
        let mut breaker = breaker();
        succeed(&mut breaker, 10, 5);
        fail(&mut breaker, unavailable(), 10_000, 1);
        for number in 1..3 {
            let ticket = breaker.admit(caller(number), Instant::now()).unwrap();
            breaker.record_failure(ticket, unavailable(), Instant::now());
        }
        fail(&mut breaker, unavailable(), 10_000, 1);
        assert!(!is_open(&breaker));
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_the_calls_are_enough_where_the_upstream_owns_up_and_nine_tenths_else() {
        for (verdict, good, opens) in [
            (unavailable(), 21, true),
            (unavailable(), 30, false),
            (late(), 2, true),
            (late(), 3, false),
            (Verdict::failure(FailureKind::Server), 2, true),
            (Verdict::failure(FailureKind::Server), 3, false),
        ] {
            let mut breaker = breaker();
            succeed(&mut breaker, good, 30);
            fail(&mut breaker, verdict, 21, 3);
            assert_eq!(is_open(&breaker), opens, "{verdict:?} {good}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_half_a_minute_is_forgotten() {
        let mut breaker = breaker();
        for _ in 0..10 {
            fail(&mut breaker, unavailable(), 6, 6);
            tokio::time::advance(Duration::from_secs(11)).await;
        }
        assert!(!is_open(&breaker));
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_call_that_finds_no_connection_opens_it_whoever_makes_it() {
        let mut breaker = breaker();
        let refused = Verdict::failure(FailureKind::Connect);
        fail(&mut breaker, refused, 1, 1);
        succeed(&mut breaker, 1, 1);
        fail(&mut breaker, refused, 1, 1);
        assert!(!is_open(&breaker));
        fail(&mut breaker, refused, 1, 1);
        let refused = breaker.admit(caller(9), Instant::now()).unwrap_err();
        assert_eq!(
            refused,
            BreakerRefusal { wait: Duration::from_secs(10), last_failure: FailureKind::Connect }
        );
    }

    #[tokio::test(start_paused = true)]
    async fn after_its_rest_somebody_else_tries_and_each_failure_doubles_the_rest_up_to_two_minutes()
     {
        let (mut breaker, mut now) = (breaker(), Instant::now());
        fail(&mut breaker, unavailable(), 20, 3);
        for (number, period) in [10, 20, 40, 80, 120, 120].into_iter().enumerate() {
            let (period, other) = (Duration::from_secs(period), caller(100 + number as u64));
            assert_eq!(breaker.admit(other, now).unwrap_err().wait, period);
            now += period;
            assert_eq!(
                breaker.admit(caller(0), now).unwrap_err().wait,
                period,
                "not who saw it fail"
            );
            let probe = breaker.admit(other, now).unwrap();
            assert_eq!(breaker.admit(caller(99), now).unwrap_err().wait, PROBE_RETRY_AFTER);
            breaker.record_failure(probe, unavailable(), now);
        }
        now += Duration::from_secs(240);
        breaker.admit(caller(0), now).expect("where nobody else comes, the same may try");
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_may_have_failed_by_its_own_fault_leaves_the_next_to_somebody_else() {
        let (mut breaker, mut now) = (breaker(), Instant::now());
        fail(&mut breaker, late(), 20, 3);
        now += Duration::from_secs(10);
        for number in 10..13 {
            let probe = breaker.admit(caller(number), now).unwrap();
            breaker.record_failure(probe, late(), now);
            breaker.admit(caller(number), now).unwrap_err();
        }
        assert_eq!(breaker.admit(caller(20), now).unwrap_err().wait, Duration::from_secs(20));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_begins_closes_it() {
        let (mut breaker, mut now) = (breaker(), Instant::now());
        fail(&mut breaker, unavailable(), 20, 3);
        now += Duration::from_secs(10);
        let probe = breaker.admit(caller(9), now).unwrap();
        breaker.record_start(probe);
        assert!(!is_open(&breaker));
        fail(&mut breaker, unavailable(), 19, 3);
        breaker.record_failure(probe, unavailable(), now);
        let wait = breaker.admit(caller(9), now).unwrap_err().wait;
        assert_eq!(wait, Duration::from_secs(10), "its rest is the first again");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_begin_and_break_off_open_it_too() {
        let (mut breaker, now) = (breaker(), Instant::now());
        for number in 0..21 {
            let ticket = breaker.admit(caller(number % 3), now);
            let Ok(ticket) = ticket else { break };
            breaker.record_start(ticket);
            breaker.record_failure(ticket, Verdict::failure(FailureKind::Truncated), now);
        }
        assert!(is_open(&breaker));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_dropped_is_left_to_the_next_call() {
        let (mut breaker, mut now) = (breaker(), Instant::now());
        fail(&mut breaker, unavailable(), 20, 3);
        now += Duration::from_secs(10);
        let probe = breaker.admit(caller(9), now).unwrap();
        breaker.record_cancellation(probe, now);
        assert_eq!(breaker.state(now), BreakerState::HalfOpen);
        breaker.admit(caller(9), now).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_has_nowhere_else_to_go_passes_and_closes_it_by_its_answer() {
        let (mut breaker, now) = (breaker(), Instant::now());
        fail(&mut breaker, unavailable(), 20, 3);
        let in_vain = breaker.admit_ignoring_state(caller(0), now).unwrap();
        breaker.record_failure(in_vain, unavailable(), now);
        assert!(is_open(&breaker));
        let extra = breaker.admit_ignoring_state(caller(0), now).unwrap();
        breaker.record_start(extra);
        assert!(!is_open(&breaker));
        fail(&mut breaker, Verdict::failure(FailureKind::Connect), 2, 1);
        breaker.admit_ignoring_state(caller(0), now).expect_err("nobody is there");
    }

    #[tokio::test(start_paused = true)]
    async fn where_its_owner_probes_one_failure_is_enough_unless_others_are_answered() {
        let limits = Limits { failures: 1, is_probed: true, ..Limits::default() };
        for (verdict, wait) in
            [(late(), SUSPECTED_OPEN_DURATION), (unavailable(), limits.open_duration)]
        {
            let mut breaker = CircuitBreaker::new(&limits);
            fail(&mut breaker, verdict, 1, 1);
            assert_eq!(breaker.admit(caller(5), Instant::now()).unwrap_err().wait, wait);
        }
        let mut breaker = CircuitBreaker::new(&limits);
        succeed(&mut breaker, 3, 3);
        fail(&mut breaker, late(), 19, 19);
        assert!(!is_open(&breaker));
        fail(&mut breaker, late(), 10, 30);
        assert!(is_open(&breaker), "of whom nine tenths are not");
    }

    #[test]
    fn without_a_number_of_failures_it_never_opens() {
        let mut breaker = CircuitBreaker::new(&Limits { failures: 0, ..Limits::default() });
        fail(&mut breaker, Verdict::failure(FailureKind::Connect), 1000, 1);
        fail(&mut breaker, unavailable(), 1000, 100);
        assert!(!is_open(&breaker));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Admit(u64, bool),
        Wait(u64),
        Begin(usize),
        Succeed(usize),
        Fail(usize, bool),
        Leave(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => (0..9u64, any::<bool>()).prop_map(|(caller, anyway)| Step::Admit(caller, anyway)),
            1 => (0..30u64).prop_map(Step::Wait),
            1 => (0..8usize).prop_map(Step::Begin),
            1 => (0..8usize).prop_map(Step::Succeed),
            8 => (0..8usize, any::<bool>()).prop_map(|(place, own)| Step::Fail(place, own)),
            1 => (0..8usize).prop_map(Step::Leave),
        ];
        proptest::collection::vec(step, 0..300)
    }

    proptest! {
        /// For calls that begin and end in any order: while the breaker is open, only calls that
        /// ignore it get through; while a probe runs, no other call does; no rest is longer than
        /// twice the longest, and once all have ended anybody gets through again.
        #[test]
        fn it_holds_in_any_order(steps in steps()) {
            let limits = Limits { failures: 6, ..Limits::default() };
            let (mut breaker, mut now) = (CircuitBreaker::new(&limits), Instant::now());
            let mut under_way: Vec<CallTicket> = Vec::new();
            for step in steps {
                let before = breaker.state(now);
                let mut take = |place: usize| (place < under_way.len()).then(|| under_way.swap_remove(place));
                match step {
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                    Step::Admit(number, anyway) => {
                        let probing = matches!(breaker.phase, BreakerPhase::Probing { .. });
                        let admitted = if anyway {
                            breaker.admit_ignoring_state(caller(number), now)
                        } else {
                            breaker.admit(caller(number), now)
                        };
                        match admitted {
                            Ok(ticket) => {
                                prop_assert!(ticket.is_extra || before != BreakerState::Open && !probing);
                                under_way.push(ticket);
                            }
                            Err(refused) => {
                                prop_assert!(before != BreakerState::Closed && !anyway);
                                prop_assert!(refused.wait <= limits.max_open_duration * 2);
                            }
                        }
                    }
                    Step::Begin(place) => if let Some(ticket) = under_way.get(place) { breaker.record_start(*ticket) },
                    Step::Succeed(place) => if let Some(ticket) = take(place) { breaker.record_success(ticket, now) },
                    Step::Fail(place, own) => if let Some(ticket) = take(place) {
                        breaker.record_failure(ticket, if own { late() } else { unavailable() }, now);
                    },
                    Step::Leave(place) => if let Some(ticket) = take(place) { breaker.record_cancellation(ticket, now) },
                }
                if matches!(breaker.phase, BreakerPhase::Probing { .. }) {
                    let tries = |ticket: &&CallTicket| ticket.generation == breaker.generation && !ticket.is_extra;
                    prop_assert_eq!(under_way.iter().filter(tries).count(), 1);
                }
            }
            for ticket in under_way {
                breaker.record_cancellation(ticket, now);
            }
            now += limits.max_open_duration * 2;
            prop_assert!(breaker.admit(caller(0), now).is_ok());
        }
    }
}
