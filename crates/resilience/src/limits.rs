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
    /// The first pause between two attempts is anything up to this, and later ones up to twice the
    /// one before.
    pub first_pause: Duration,
    /// No pause is longer, unless the upstream asks for it.
    pub longest_pause: Duration,
    /// The longest wait that an upstream may ask for. After a longer one the call is not retried.
    pub longest_wish: Duration,
    /// The number of retries for a hundred calls, in the long run.
    pub retry_percent: u32,
    /// The upstream is refused when so many calls have ended within [`window`](Self::window) and
    /// most of them have failed; 0: never.
    pub failures: u32,
    /// So many callers must have seen failures, where there may be so many.
    pub callers: usize,
    /// The time whose calls count.
    pub window: Duration,
    /// `true` if its owner probes it while it is refused. Then [`failures`](Self::failures) calls
    /// that fail in a row are
    /// enough to refuse it, until it has been tried a moment later.
    pub is_probed: bool,
    /// For so long, at first. Then one call may try whether it is well again.
    pub rest: Duration,
    /// It doubles with each such try that fails, up to this.
    pub longest_rest: Duration,
    /// The concurrency limit. There is no queue: calls beyond it are refused at once.
    pub at_once: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(120),
            attempts: 3,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
            longest_wish: Duration::from_secs(10),
            retry_percent: 10,
            failures: 20,
            callers: 3,
            window: Duration::from_secs(30),
            is_probed: false,
            rest: Duration::from_secs(10),
            longest_rest: Duration::from_secs(120),
            // A waiting call costs some kilobytes here; it is the upstream that has a limit, and
            // most say so by themselves.
            at_once: 2048,
        }
    }
}
