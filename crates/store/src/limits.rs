//! Limits: how much of a key may be taken in a sliding window.

use crate::{Result, StoreError};
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};
use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// What is asked of one limit: `amount` more of `key`, so that no more than `max` were taken in the last `window`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What is limited, as in `user:4711:requests`. One name is one row of hits, whatever windows look at it.
    pub key: String,
    /// The time that is looked at.
    pub window: Window,
    /// How much may be taken in that time.
    pub max: u64,
    /// How much is taken now; 0 only asks whether anything is left, for what is [booked](Limits::book) when it is known.
    pub amount: u64,
    /// How much is reserved until it is known.
    pub reserved: u64,
}

impl Charge {
    /// So much of a sliding window.
    pub fn sliding(key: impl Into<String>, window: Duration, max: u64, amount: u64) -> Self {
        Self { key: key.into(), window: Window::Sliding(window), max, amount, reserved: 0 }
    }
}

/// The time that a limit looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// So far back from now.
    Sliding(Duration),
    /// A period of the calendar in which micro-dollars are spent. Each period has a key of its own.
    Spending(Spending),
}

/// What is spent in a period of the calendar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// When the period began, in ms since 1970.
    pub since: i64,
    /// When it ends.
    pub until: i64,
    /// Whose spending counts, an empty text being those of whom nothing is known; `None` for everybody's.
    pub user: Option<String>,
    /// The models whose answers count, with `*` for anything; `None` for all.
    pub models: Option<String>,
}

/// What is booked without being asked for, because it has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// The key of the takes that look at it.
    pub key: String,
    /// How much.
    pub amount: u64,
    /// Whether the key is that of a [`Window::Spending`].
    pub is_spending: bool,
}

/// What was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// What each of the takes now has in its window; empty when the database was away and limits are open then.
    pub used: Vec<u64>,
}

/// The limit that stands in the way; of several, the one that does so the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{used} of {max} are taken")]
pub struct Exceeded {
    /// Which of the takes.
    pub index: usize,
    /// What is in its window.
    pub used: u64,
    /// What others have reserved of it.
    pub held: u64,
    /// What may be.
    pub max: u64,
    /// When enough has fallen out of the window, or [`PAUSE`] where only reservations stand in the way; `None` when even an empty
    /// window has no room.
    pub retry_after: Option<Duration>,
}

/// Why nothing was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too much was taken before.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// Nobody knows what was taken before, and limits are to be closed then.
    #[error(transparent)]
    Unknown(#[from] StoreError),
}

/// What limits and budgets do when the database cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutagePolicy {
    /// They let everybody pass, and count them.
    #[default]
    Open,
    /// They let nobody pass.
    Closed,
}

/// How long a reservation counts that nobody releases, as that of a host that has crashed.
pub(crate) const HOLD: Duration = Duration::from_secs(15 * 60);

/// How long to wait where only reservations stand in the way: how long requests under way still take is not known.
pub const PAUSE: Duration = Duration::from_secs(5);

/// Where hits are kept.
pub(crate) trait Windows: Send + Sync {
    /// Takes and reserves all or nothing. Keys are fit to be stored.
    fn admit(
        &self,
        charges: Vec<Charge>,
        holder: String,
    ) -> BoxFuture<'_, Result<Result<Admitted, Exceeded>>>;
    /// Books more of keys.
    fn book(&self, bookings: Vec<Booking>) -> BoxFuture<'_, Result<()>>;
    /// Forgets what these holders have reserved.
    fn release(&self, holders: Vec<String>) -> BoxFuture<'_, Result<()>>;
    /// What is in the window.
    fn used(&self, key: String, window: Duration) -> BoxFuture<'_, Result<u64>>;
    /// Forgets what no window looks at any more.
    fn sweep(&self) -> BoxFuture<'_, Result<()>>;
}

/// Exact limits over sliding windows, shared by all who share the database.
///
/// A hit counts from the moment that it is taken until the window's length later, to the millisecond.
pub struct Limits {
    windows: Arc<dyn Windows>,
    when_away: OutagePolicy,
    passed: AtomicU64,
    is_away: AtomicBool,
}

impl Limits {
    pub(crate) fn new(windows: Arc<dyn Windows>, when_away: OutagePolicy) -> Self {
        Self { windows, when_away, passed: AtomicU64::new(0), is_away: AtomicBool::new(false) }
    }

    /// Takes all of this or nothing.
    ///
    /// Takes of one key are windows over the same hits: the key is booked once, with the largest amount.
    ///
    /// # Errors
    /// [`Refusal::Exceeded`] when one of them has no room; [`Refusal::Unknown`] when the database cannot be asked and limits are
    /// [closed](OutagePolicy::Closed) then.
    pub async fn admit(&self, charges: &[Charge]) -> Result<Admitted, Refusal> {
        self.reserve(charges, "").await
    }

    /// The same, and reserves for this holder what it says, until that is [released](Self::release). What others have reserved counts as
    /// taken; what the holder itself has reserved does not stand in its own way.
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub async fn reserve(&self, charges: &[Charge], holder: &str) -> Result<Admitted, Refusal> {
        if charges.is_empty() {
            return Ok(Admitted::default());
        }
        let fit = |take: &Charge| Charge {
            key: fit(&take.key),
            max: clamped(take.max),
            amount: clamped(take.amount),
            reserved: clamped(take.reserved),
            window: take.window.clone(),
        };
        let charges = charges.iter().map(fit).collect();
        match self.windows.admit(charges, holder.to_owned()).await {
            Ok(verdict) => {
                self.is_back();
                Ok(verdict?)
            }
            Err(error) => Ok(self.unknown(error)?),
        }
    }

    /// Books more of a key, whether or not there is room: what an answer turned out to cost.
    ///
    /// # Errors
    /// When the database cannot be asked; nothing is booked then.
    pub async fn add(&self, key: &str, amount: u64) -> Result<()> {
        self.book(&[Booking { key: key.into(), amount, is_spending: false }]).await
    }

    /// Books more of several keys at once.
    ///
    /// # Errors
    /// When the database cannot be asked; nothing is booked then.
    pub async fn book(&self, bookings: &[Booking]) -> Result<()> {
        let bookings = bookings.iter().filter(|booking| booking.amount > 0);
        let bookings: Vec<_> = bookings
            .map(|booking| Booking {
                key: fit(&booking.key),
                amount: clamped(booking.amount),
                is_spending: booking.is_spending,
            })
            .collect();
        if bookings.is_empty() {
            return Ok(());
        }
        self.windows.book(bookings).await
    }

    /// Forgets what these holders have reserved.
    ///
    /// # Errors
    /// When the database cannot be asked; the reservations expire then.
    pub async fn release(&self, holders: Vec<String>) -> Result<()> {
        if holders.is_empty() {
            return Ok(());
        }
        self.windows.release(holders).await
    }

    /// What of a key is in this window. Hits are known for as long as the longest window that asked for the key.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn used(&self, key: &str, window: Duration) -> Result<u64> {
        self.windows.used(fit(key), window).await
    }

    /// How many were let pass because the database could not be asked.
    pub fn passed_unknown(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    pub(crate) async fn sweep(&self) -> Result<()> {
        self.windows.sweep().await
    }

    /// What is known, or `None` when it is not and whoever asks may pass.
    pub(crate) fn known<T>(&self, asked: Result<T>) -> Result<Option<T>> {
        match asked {
            Ok(known) => {
                self.is_back();
                Ok(Some(known))
            }
            Err(error) => self.unknown(error),
        }
    }

    /// Nothing in particular for whoever may pass.
    fn unknown<T: Default>(&self, error: StoreError) -> Result<T> {
        let is_news = !self.is_away.swap(true, Ordering::Relaxed);
        match self.when_away {
            OutagePolicy::Open => {
                self.passed.fetch_add(1, Ordering::Relaxed);
                if is_news {
                    tracing::warn!(%error, "Limits cannot be checked: everybody passes.");
                }
                Ok(T::default())
            }
            OutagePolicy::Closed => {
                if is_news {
                    tracing::warn!(%error, "Limits cannot be checked: nobody passes.");
                }
                Err(error)
            }
        }
    }

    fn is_back(&self) {
        if self.is_away.load(Ordering::Relaxed) && self.is_away.swap(false, Ordering::Relaxed) {
            tracing::info!("Limits are checked again.");
        }
    }
}

/// Sums of a great many such amounts stay within what both engines can add.
fn clamped(amount: u64) -> u64 {
    amount.min(1_000_000_000_000)
}

/// The key itself, or what stands for one that is too long for an index or holds what a text cannot.
fn fit(key: &str) -> String {
    if key.len() <= 256 && !key.contains('\0') {
        return key.to_owned();
    }
    Sha256::digest(key).iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a text cannot fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// The pattern as `LIKE` with the escape `\` knows it.
pub(crate) fn like(pattern: &str) -> String {
    let mut like = String::with_capacity(pattern.len());
    for letter in pattern.chars() {
        match letter {
            '*' => like.push('%'),
            '%' | '_' | '\\' => like.extend(['\\', letter]),
            '\0' => {}
            letter => like.push(letter),
        }
    }
    like
}

/// In ms, and never nothing.
pub(crate) fn span(window: Duration) -> i64 {
    i64::try_from(window.as_millis()).unwrap_or(i64::MAX / 4).clamp(1, i64::MAX / 4)
}

pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
