//! Limits the retries of all calls to an upstream together.

/// A token bucket that each call fills a little and each retry empties a lot, so that retries never
/// make an overload worse.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    /// The rest of the budget, in hundredths of a retry.
    left: u32,
    percent: u32,
}

/// The price of a retry. Each call adds `percent` to the budget.
const RETRY_COST: u32 = 100;

/// The capacity: ten retries in a row after a quiet time.
const CAPACITY: u32 = 10 * RETRY_COST;

impl RetryBudget {
    /// Returns a full budget, to which a hundred calls add this number of retries.
    pub fn new(percent: u32) -> Self {
        Self { left: CAPACITY, percent }
    }

    /// Adds the share of one call.
    pub fn deposit(&mut self) {
        self.left = self.left.saturating_add(self.percent).min(CAPACITY);
    }

    /// Takes the price of one retry; returns `false` if there is too little left.
    pub fn withdraw(&mut self) -> bool {
        let rest = self.left.checked_sub(RETRY_COST);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_long_run_there_is_one_retry_to_ten_calls() {
        let mut budget = RetryBudget::new(10);
        let mut retries = 0;
        for _ in 0..10_000 {
            budget.deposit();
            retries += (0..3).filter(|_| budget.withdraw()).count();
        }
        // The first call finds the bucket full.
        assert_eq!(retries, 9_999 / 10 + (CAPACITY / RETRY_COST) as usize);
    }

    #[test]
    fn a_quiet_time_is_worth_no_more_than_a_full_bucket() {
        let mut budget = RetryBudget::new(10);
        (0..10_000).for_each(|_| budget.deposit());
        assert_eq!((0..100).filter(|_| budget.withdraw()).count(), 10);
    }
}
