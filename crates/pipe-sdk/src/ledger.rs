//! State that outlives a pipe and is shared by all hosts on one database: limits in windows of
//! time, and spending.

use crate::Result;
use futures_util::future::BoxFuture;
use std::time::{Duration, SystemTime};

/// Counts in windows of time, and knows the spending.
///
/// Filters call [`Admission::take`](crate::Admission::take), which takes nothing twice and releases
/// reservations.
pub trait Ledger: Send + Sync {
    /// Takes from all of these windows and reserves for this holder, or does neither and returns
    /// the first window that has too little left. Reservations of others count as taken.
    fn take(&self, charges: Vec<Charge>, holder: String)
    -> BoxFuture<'_, Result<Option<Exceeded>>>;

    /// Books what was not known beforehand, as the tokens of an answer. It never fails for lack of
    /// room.
    fn book(&self, bookings: Vec<Booking>) -> BoxFuture<'_, Result<()>>;

    /// Releases the reservations of this holder, soon. Those that a crashed host never releases
    /// expire.
    fn release(&self, holder: String);

    /// Returns the spending of this user since then, in millionths of a US dollar; fastest from a
    /// midnight in UTC.
    fn spent(&self, user: String, since: SystemTime) -> BoxFuture<'_, Result<u64>>;
}

/// An amount that is taken from a window, and the window's capacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Names the window: who is counted, and what.
    pub key: String,
    /// The time that the window looks at.
    pub window: Window,
    /// The capacity of the window.
    pub max: u64,
    /// The amount that is taken; with 0, a window that is full refuses all the same.
    pub amount: u64,
    /// The amount that is reserved for a later booking.
    pub reserved: u64,
}

/// The time that a window looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// The time up to now, of this length.
    Sliding(Duration),
    /// A period of the calendar in which millionths of a US dollar are spent. Each period has a key
    /// of its own.
    Spending {
        /// The start of the period.
        since: SystemTime,
        /// The end of the period.
        until: SystemTime,
        /// The user whose spending counts, an empty text for unknown users; `None` for all.
        user: Option<String>,
        /// The models whose answers count, with `*` for anything; `None` for all.
        models: Option<String>,
    },
}

/// An amount that is booked unconditionally, because it has been used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// The key of the window.
    pub key: String,
    /// The amount.
    pub amount: u64,
    /// `true` if the charges with this key count a [`Window::Spending`].
    pub is_spending: bool,
}

/// A window that has too little left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The index of the charge.
    pub index: usize,
    /// The amount in it.
    pub used: u64,
    /// The amount that others have reserved.
    pub held: u64,
    /// The time until enough has left it; `None` if even an empty window would be too small.
    pub retry_after: Option<Duration>,
}
