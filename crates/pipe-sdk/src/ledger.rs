//! What outlives a pipe and is shared by all hosts on one database: windows that count, and what people have spent.

use crate::Result;
use futures_util::future::BoxFuture;
use std::time::{Duration, SystemTime};

/// Counts in windows of time, and knows what has been spent.
///
/// Filters take by [`Admission::take`](crate::Admission::take), which takes nothing twice and releases what was reserved.
pub trait Ledger: Send + Sync {
    /// Takes from all of these windows, and reserves for this holder what they say; or none of it: the answer is the first that has too
    /// little left. What others have reserved counts as taken.
    fn take(&self, charges: Vec<Charge>, holder: String)
    -> BoxFuture<'_, Result<Option<Exceeded>>>;

    /// Books what could not be known beforehand, as the tokens of an answer. It is never refused.
    fn book(&self, bookings: Vec<Booking>) -> BoxFuture<'_, Result<()>>;

    /// Forgets what this holder has reserved, soon. What nobody releases, because a host has crashed, expires.
    fn release(&self, holder: String);

    /// What this person has spent since then, in millionths of a US dollar; quickest from a midnight of UTC.
    fn spent(&self, user: String, since: SystemTime) -> BoxFuture<'_, Result<u64>>;
}

/// So much, from a window that holds no more than that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Names the window: who is counted, and what.
    pub key: String,
    /// The time that the window looks at.
    pub window: Window,
    /// How much it holds.
    pub max: u64,
    /// How much is taken; with 0, a window that is full already refuses.
    pub amount: u64,
    /// How much is reserved for what will be booked when it is known.
    pub reserved: u64,
}

/// The time that a window looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// So far back from now.
    Sliding(Duration),
    /// A period of the calendar in which millionths of a US dollar are spent. Each period has a key of its own.
    Spending {
        /// When the period began.
        since: SystemTime,
        /// When it ends.
        until: SystemTime,
        /// Whose spending counts, an empty text being those of whom nothing is known; `None` for everybody's.
        user: Option<String>,
        /// The models whose answers count, with `*` for anything; `None` for all.
        models: Option<String>,
    },
}

/// What is booked without being asked for, because it has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// The key of the takes that look at it.
    pub key: String,
    /// How much.
    pub amount: u64,
    /// Whether those takes look at a [`Window::Spending`].
    pub is_spending: bool,
}

/// A window that has too little left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Which of the takes.
    pub index: usize,
    /// How much is in it.
    pub used: u64,
    /// How much others have reserved.
    pub held: u64,
    /// When enough will have left it; `None` when even an empty one would not hold it.
    pub retry_after: Option<Duration>,
}
