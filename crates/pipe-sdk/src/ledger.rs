//! What outlives a pipe and is shared by all hosts on one database: windows that count, and what people have spent.

use crate::Result;
use futures_util::future::BoxFuture;
use std::time::{Duration, SystemTime};

/// Counts in sliding windows, and knows what has been spent.
pub trait Ledger: Send + Sync {
    /// Takes from all of these windows, or from none: the answer is the first that has too little left.
    fn take(&self, takes: Vec<Take>) -> BoxFuture<'_, Result<Option<Exceeded>>>;

    /// Books what could not be known beforehand, as the tokens of an answer. It is never refused.
    fn book(&self, key: String, amount: u64) -> BoxFuture<'_, Result<()>>;

    /// What this person has spent since then, in millionths of a US dollar; quickest from a midnight of UTC.
    fn spent(&self, user: String, since: SystemTime) -> BoxFuture<'_, Result<u64>>;
}

/// So much, from a window that holds no more than that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// Names the window: who is counted, and what.
    pub key: String,
    /// How long the window is.
    pub window: Duration,
    /// How much it holds.
    pub max: u64,
    /// How much is taken; with 0, a window that is full already refuses.
    pub amount: u64,
}

/// A window that has too little left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Which of the takes.
    pub index: usize,
    /// How much is in it.
    pub used: u64,
    /// When enough will have left it; `None` when even an empty one would not hold it.
    pub retry_after: Option<Duration>,
}
