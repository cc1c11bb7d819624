//! Time-outs and limits of an upstream.

use std::time::Duration;

/// Time-outs and limits of an upstream. The defaults suit models that people wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The time-out of connecting. The caller's client enforces it.
    pub connect: Duration,
    /// The time-out until an answer begins, retries included.
    pub first_byte: Duration,
    /// The longest silence within an answer. There is no limit for the whole answer.
    pub idle: Duration,
    /// The maximum number of attempts of a call, the first one included.
    pub attempts: u32,
    /// The upper bound of the delay before the first retry. It doubles with each further one.
    pub base_delay: Duration,
    /// The upper bound of all delays, unless the upstream asks for a longer one.
    pub max_delay: Duration,
    /// The longest wait that an upstream may ask for. After a longer one the call is not retried.
    pub max_retry_after: Duration,
    /// The number of retries for a hundred calls, in the long run.
    pub retry_percent: u32,
    /// The circuit breaker opens when this number of calls have ended within
    /// [`window`](Self::window) and most of them have failed; 0: never.
    pub failures: u32,
    /// The number of callers that must have seen failures, if there are that many.
    pub callers: usize,
    /// The length of the sliding window.
    pub window: Duration,
    /// `true` if its owner probes it while the breaker is open. Then [`failures`](Self::failures)
    /// consecutive failures are enough to open it. If the request may be the cause, it opens only
    /// until a probe a moment later.
    pub is_probed: bool,
    /// The time for which the breaker first stays open. Then one call may probe.
    pub open_duration: Duration,
    /// The upper bound of that time, which doubles with each probe that fails.
    pub max_open_duration: Duration,
    /// The concurrency limit. There is no queue: calls beyond it are refused at once.
    pub max_concurrent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(120),
            attempts: 3,
            base_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(5),
            max_retry_after: Duration::from_secs(10),
            retry_percent: 10,
            failures: 20,
            callers: 3,
            window: Duration::from_secs(30),
            is_probed: false,
            open_duration: Duration::from_secs(10),
            max_open_duration: Duration::from_secs(120),
            // A waiting call costs some kilobytes here; it is the upstream that has a limit, and
            // most say so by themselves.
            max_concurrent: 2048,
        }
    }
}
