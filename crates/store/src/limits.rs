//! Limits on the amount that may be used of a key in a time window.

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

/// A charge against one limit: adds `amount` to `key`, if at most `max` are used in the `window`
/// then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The limited resource, as in `user:4711:requests`. All windows over one key count the same
    /// hits.
    pub key: String,
    /// The time window.
    pub window: Window,
    /// The maximum amount in the window.
    pub max: u64,
    /// The amount to add now. 0 only checks that the limit is not reached, for amounts that are
    /// [booked](Limits::book) once they are known.
    pub amount: u64,
    /// The amount to reserve until the real amount is known.
    pub reserved: u64,
}

impl Charge {
    /// Creates a charge against a sliding window.
    pub fn sliding(key: impl Into<String>, window: Duration, max: u64, amount: u64) -> Self {
        Self { key: key.into(), window: Window::Sliding(window), max, amount, reserved: 0 }
    }
}

/// The time window of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// A window of this length that ends now.
    Sliding(Duration),
    /// A calendar period whose spending, in micro-dollars, is limited. Each period has its own key.
    Spending(Spending),
}

/// The spending that counts in a calendar period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// The begin of the period, in milliseconds since 1970.
    pub since: i64,
    /// The end of the period.
    pub until: i64,
    /// The user whose spending counts; an empty text for unknown users, `None` for all users.
    pub user: Option<String>,
    /// A pattern of the models that count, with `*` for any characters; `None` for all models.
    pub models: Option<String>,
}

/// An amount that is added without a check, because it has been used already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// The key of the charges that it counts for.
    pub key: String,
    /// The amount.
    pub amount: u64,
    /// True if the key is that of a [`Window::Spending`].
    pub is_spending: bool,
}

/// The result of an admitted request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// The used amount of each charge, this request included; empty if the database was unavailable
    /// and the outage policy is open.
    pub used: Vec<u64>,
}

/// The limit that is exceeded; of several, the one with the longest wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{used} of {max} are taken")]
pub struct Exceeded {
    /// The index of the charge.
    pub index: usize,
    /// The amount used in the window.
    pub used: u64,
    /// The amount that other requests have reserved.
    pub held: u64,
    /// The maximum amount.
    pub max: u64,
    /// The time until enough has expired, or [`RESERVATION_RETRY_AFTER`] if only reservations
    /// exceed the limit; `None` if the charge exceeds the limit even in an empty window.
    pub retry_after: Option<Duration>,
}

/// The reason why a request is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A limit is exceeded.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// The database is unavailable, and the outage policy is closed.
    #[error(transparent)]
    Unknown(#[from] StoreError),
}

/// The behaviour of limits and budgets while the database is unavailable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutagePolicy {
    /// All requests are admitted, and counted.
    #[default]
    Open,
    /// No request is admitted.
    Closed,
}

/// The time after which a reservation expires that is not released, for example because its host
/// crashed.
pub(crate) const RESERVATION_TTL: Duration = Duration::from_secs(15 * 60);

/// The time to wait if only reservations exceed a limit. The remaining time of running requests is
/// unknown.
pub const RESERVATION_RETRY_AFTER: Duration = Duration::from_secs(5);

/// A database that stores the hits and reservations of limits.
pub(crate) trait LimitStore: Send + Sync {
    /// Adds and reserves all charges or none. The keys are normalized.
    fn admit(
        &self,
        charges: Vec<Charge>,
        holder: String,
    ) -> BoxFuture<'_, Result<Result<Admitted, Exceeded>>>;
    /// Books more of keys.
    fn book(&self, bookings: Vec<Booking>) -> BoxFuture<'_, Result<()>>;
    /// Deletes the reservations of these holders.
    fn release(&self, holders: Vec<String>) -> BoxFuture<'_, Result<()>>;
    /// Returns the amount that was used in the window.
    fn used(&self, key: String, window: Duration) -> BoxFuture<'_, Result<u64>>;
    /// Forgets what no window looks at any more.
    fn delete_expired(&self) -> BoxFuture<'_, Result<()>>;
}

/// Exact limits over sliding windows, shared by all who share the database.
///
/// A hit counts from the moment that it is taken until the window's length later, to the
/// millisecond.
pub struct Limits {
    limit_store: Arc<dyn LimitStore>,
    outage_policy: OutagePolicy,
    unchecked: AtomicU64,
    is_unavailable: AtomicBool,
}

impl Limits {
    pub(crate) fn new(limit_store: Arc<dyn LimitStore>, outage_policy: OutagePolicy) -> Self {
        Self {
            limit_store,
            outage_policy,
            unchecked: AtomicU64::new(0),
            is_unavailable: AtomicBool::new(false),
        }
    }

    /// Takes all of this or nothing.
    ///
    /// Takes of one key are windows over the same hits: the key is booked once, with the largest
    /// amount.
    ///
    /// # Errors
    /// [`Refusal::Exceeded`] when one of them has no room; [`Refusal::Unknown`] when the database
    /// cannot be asked and limits are [closed](OutagePolicy::Closed) then.
    pub async fn admit(&self, charges: &[Charge]) -> Result<Admitted, Refusal> {
        self.reserve(charges, "").await
    }

    /// Admits a request and reserves its amounts for this holder until they are
    /// [released](Self::release). Reservations of other holders count as used; those of the holder
    /// itself do not.
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub async fn reserve(&self, charges: &[Charge], holder: &str) -> Result<Admitted, Refusal> {
        if charges.is_empty() {
            return Ok(Admitted::default());
        }
        let normalize = |charge: &Charge| Charge {
            key: normalize_key(&charge.key),
            max: clamp_amount(charge.max),
            amount: clamp_amount(charge.amount),
            reserved: clamp_amount(charge.reserved),
            window: charge.window.clone(),
        };
        let charges = charges.iter().map(normalize).collect();
        match self.limit_store.admit(charges, holder.to_owned()).await {
            Ok(verdict) => {
                self.log_recovery();
                Ok(verdict?)
            }
            Err(error) => Ok(self.handle_outage(error)?),
        }
    }

    /// Adds to a key without a check, for example the tokens of an answer.
    ///
    /// # Errors
    /// If the database is unavailable; nothing is added then.
    pub async fn add(&self, key: &str, amount: u64) -> Result<()> {
        self.book(&[Booking { key: key.into(), amount, is_spending: false }]).await
    }

    /// Adds to several keys in one transaction, without a check.
    ///
    /// # Errors
    /// If the database is unavailable; nothing is added then.
    pub async fn book(&self, bookings: &[Booking]) -> Result<()> {
        let bookings = bookings.iter().filter(|booking| booking.amount > 0);
        let bookings: Vec<_> = bookings
            .map(|booking| Booking {
                key: normalize_key(&booking.key),
                amount: clamp_amount(booking.amount),
                is_spending: booking.is_spending,
            })
            .collect();
        if bookings.is_empty() {
            return Ok(());
        }
        self.limit_store.book(bookings).await
    }

    /// Deletes the reservations of these holders.
    ///
    /// # Errors
    /// If the database is unavailable; the reservations expire then.
    pub async fn release(&self, holders: Vec<String>) -> Result<()> {
        if holders.is_empty() {
            return Ok(());
        }
        self.limit_store.release(holders).await
    }

    /// Returns the amount of a key in this window. Hits are stored for as long as the longest
    /// window over the key.
    ///
    /// # Errors
    /// Returns an error if the database is unavailable.
    pub async fn used(&self, key: &str, window: Duration) -> Result<u64> {
        self.limit_store.used(normalize_key(key), window).await
    }

    /// Returns the number of requests that were admitted without a check, because the database was
    /// unavailable.
    pub fn unchecked_admissions(&self) -> u64 {
        self.unchecked.load(Ordering::Relaxed)
    }

    pub(crate) async fn delete_expired(&self) -> Result<()> {
        self.limit_store.delete_expired().await
    }

    /// Turns an error into `None` if the outage policy is open.
    pub(crate) fn apply_outage_policy<T>(&self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => {
                self.log_recovery();
                Ok(Some(value))
            }
            Err(error) => self.handle_outage(error),
        }
    }

    /// Returns the default value if the outage policy is open, and logs the first error of an
    /// outage.
    fn handle_outage<T: Default>(&self, error: StoreError) -> Result<T> {
        let is_first = !self.is_unavailable.swap(true, Ordering::Relaxed);
        match self.outage_policy {
            OutagePolicy::Open => {
                self.unchecked.fetch_add(1, Ordering::Relaxed);
                if is_first {
                    tracing::warn!(%error, "Limits cannot be checked: everybody passes.");
                }
                Ok(T::default())
            }
            OutagePolicy::Closed => {
                if is_first {
                    tracing::warn!(%error, "Limits cannot be checked: nobody passes.");
                }
                Err(error)
            }
        }
    }

    fn log_recovery(&self) {
        if self.is_unavailable.load(Ordering::Relaxed)
            && self.is_unavailable.swap(false, Ordering::Relaxed)
        {
            tracing::info!("Limits are checked again.");
        }
    }
}

/// Limits an amount, so that sums do not overflow 64 bits in either engine.
fn clamp_amount(amount: u64) -> u64 {
    amount.min(1_000_000_000_000)
}

/// Returns the key, or its hash if it is too long for an index or contains a NUL, which PostgreSQL
/// cannot store.
fn normalize_key(key: &str) -> String {
    if key.len() <= 256 && !key.contains('\0') {
        return key.to_owned();
    }
    Sha256::digest(key).iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// Converts a pattern with `*` into one for SQL's `LIKE … ESCAPE '\'`.
pub(crate) fn glob_to_like(pattern: &str) -> String {
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

/// Returns a window in milliseconds, at least 1.
pub(crate) fn to_millis(window: Duration) -> i64 {
    i64::try_from(window.as_millis()).unwrap_or(i64::MAX / 4).clamp(1, i64::MAX / 4)
}

pub(crate) fn to_unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
