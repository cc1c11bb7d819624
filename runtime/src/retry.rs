//! When to try again, and when that would only make things worse.

use crate::{Attempt, Failure};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What all requests to a model in a region may spend on retries, together.
///
/// Each model has a purse of its own, so that a throttled one does not use up the retries of the others.
#[derive(Debug, Default)]
pub struct Retries {
    /// Only those that are not full.
    purses: Mutex<HashMap<String, u32>>,
}

/// The attempts of one request.
#[derive(Debug)]
pub struct Tries<'a> {
    retries: &'a Retries,
    region: &'a str,
    model: &'a str,
    attempt: Attempt,
    /// What the last retry has cost.
    paid: u32,
}

// The SDK's numbers (bedrock.md §4.3).
const FULL: u32 = 500;
const COST: u32 = 5;
const COST_AFTER_TIMEOUT: u32 = 10;

/// How many purses are kept. More models than an account has.
const MOST: usize = 1024;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// AWS may name a longer time to wait, but not so long that something else should answer.
const LONGEST_WISH: Duration = Duration::from_secs(5);

impl Retries {
    /// The first of so many attempts at a request to this model.
    pub fn tries<'a>(&'a self, region: &'a str, model: &'a str, max: u32) -> Tries<'a> {
        Tries { retries: self, region, model, attempt: Attempt { number: 1, max }, paid: 0 }
    }

    fn purses(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.purses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tries<'_> {
    /// The attempt to be made now.
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// How long to wait before the next attempt, now that this one has failed; `None` if there is none.
    pub fn after(&mut self, failure: &Failure) -> Option<Duration> {
        if self.attempt.number >= self.attempt.max || !failure.is_worth_a_retry() {
            return None;
        }
        let wish = failure.retry_after().unwrap_or_default();
        if wish > LONGEST_WISH || !self.pay(cost(failure)) {
            return None;
        }
        let pause = longest_pause(self.attempt.number).mul_f64(fastrand::f64());
        self.attempt.number += 1;
        Some(pause.max(wish))
    }

    /// One more attempt, at once and for nothing: not AWS was the reason, but we.
    pub fn again(&mut self) {
        self.attempt.number += 1;
        self.attempt.max += 1;
    }

    /// The attempt has succeeded, so others may be tried again.
    pub fn succeeded(self) {
        let mut purses = self.retries.purses();
        // Nothing is wrong with any model: the usual.
        if purses.is_empty() {
            return;
        }
        let key = self.key();
        if let Some(left) = purses.get_mut(&key) {
            *left += self.paid.max(1);
            if *left >= FULL {
                purses.remove(&key);
            }
        }
    }

    fn pay(&mut self, cost: u32) -> bool {
        let mut purses = self.retries.purses();
        let key = self.key();
        if purses.len() >= MOST && !purses.contains_key(&key) {
            forget_the_fullest(&mut purses);
        }
        let left = purses.entry(key).or_insert(FULL);
        let Some(rest) = left.checked_sub(cost) else { return false };
        *left = rest;
        self.paid = cost;
        true
    }

    fn key(&self) -> String {
        format!("{}/{}", self.region, self.model)
    }
}

fn cost(failure: &Failure) -> u32 {
    if matches!(failure, Failure::Timeout) { COST_AFTER_TIMEOUT } else { COST }
}

/// The pause after this attempt is anything up to this, so that many who failed together do not come back together.
fn longest_pause(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

fn forget_the_fullest(purses: &mut HashMap<String, u32>) {
    let fullest = purses.iter().max_by_key(|(_, left)| **left).map(|(key, _)| key.clone());
    if let Some(key) = fullest {
        purses.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Complaint;

    fn throttled(retry_after: Option<Duration>) -> Failure {
        let complaint = Complaint::in_stream("ThrottlingException", "Too many requests", 429);
        Failure::Said(Complaint { retry_after, ..complaint })
    }

    /// How many retries there are when everything fails so.
    fn retries_until_broke(retries: &Retries, model: &str, failure: &Failure) -> u32 {
        let mut tries = retries.tries("us-east-1", model, u32::MAX);
        (0..).find(|_| tries.after(failure).is_none()).unwrap()
    }

    #[test]
    fn there_are_as_many_attempts_as_are_allowed() {
        let retries = Retries::default();
        let mut tries = retries.tries("us-east-1", "m", 3);
        for number in [1, 2] {
            assert_eq!(tries.attempt(), Attempt { number, max: 3 });
            assert!(tries.after(&throttled(None)).is_some());
        }
        assert_eq!(tries.after(&throttled(None)), None);
    }

    #[test]
    fn an_attempt_that_costs_nothing_is_one_more() {
        let retries = Retries::default();
        let mut tries = retries.tries("us-east-1", "m", 1);
        tries.again();
        assert_eq!(tries.attempt(), Attempt { number: 2, max: 2 });
        assert_eq!(tries.after(&throttled(None)), None);
        assert!(retries.purses().is_empty());
    }

    #[test]
    fn pauses_grow_and_end_growing() {
        let milliseconds = [1, 2, 3, 4, 5, 100].map(|attempt| longest_pause(attempt).as_millis());
        assert_eq!(milliseconds, [200, 400, 800, 1600, 2000, 2000]);
        let retries = Retries::default();
        for _ in 0..50 {
            let mut tries = retries.tries("us-east-1", "m", 2);
            assert!(tries.after(&throttled(None)).unwrap() <= FIRST_PAUSE);
            tries.succeeded();
        }
    }

    #[test]
    fn what_aws_wishes_is_kept_if_it_is_short() {
        let retries = Retries::default();
        for (wish, pause) in [(3, Some(3)), (5, Some(5)), (6, None), (3600, None)] {
            let wish = throttled(Some(Duration::from_secs(wish)));
            let paused = retries.tries("us-east-1", "m", 2).after(&wish);
            assert_eq!(paused, pause.map(Duration::from_secs));
        }
    }

    #[test]
    fn what_will_not_change_is_not_tried_again() {
        let refused = Failure::Said(Complaint::in_stream("ValidationException", "no", 400));
        assert_eq!(Retries::default().tries("us-east-1", "m", 9).after(&refused), None);
    }

    #[test]
    fn retries_are_used_up_and_earned_again() {
        let retries = Retries::default();
        assert_eq!(retries_until_broke(&retries, "m", &throttled(None)), 100);
        assert_eq!(retries_until_broke(&retries, "m", &throttled(None)), 0);
        for _ in 0..5 {
            retries.tries("us-east-1", "m", 3).succeeded();
        }
        assert_eq!(retries_until_broke(&retries, "m", &throttled(None)), 1);
        assert_eq!(retries_until_broke(&retries, "others", &throttled(None)), 100);
    }

    #[test]
    fn a_timeout_costs_twice_as_much() {
        assert_eq!(retries_until_broke(&Retries::default(), "m", &Failure::Timeout), 50);
    }

    #[test]
    fn a_retry_that_succeeds_gives_back_what_it_cost() {
        let retries = Retries::default();
        let mut tries = retries.tries("us-east-1", "m", 3);
        tries.after(&Failure::Timeout).unwrap();
        tries.succeeded();
        assert!(retries.purses().is_empty());
    }

    #[test]
    fn no_more_is_remembered_than_fits() {
        let retries = Retries::default();
        retries_until_broke(&retries, "broke", &throttled(None));
        for number in 0..MOST {
            retries.tries("us-east-1", &number.to_string(), 2).after(&throttled(None)).unwrap();
        }
        assert_eq!(retries.purses().len(), MOST);
        assert_eq!(retries_until_broke(&retries, "broke", &throttled(None)), 0);
    }
}
