//! The database of pipewright, which stores usage, limits, conversations and saved valves.
//!
//! A [`Store`] is backed by SQLite in the data folder, or by a PostgreSQL that replicas share.
//! [`Usage`] is written in the background and queried for reports; [`Limits`] are exact over
//! sliding windows. Other crates open connections to the same PostgreSQL by an [`Address`] and a
//! [`Connection`].
//!
//! ```no_run
//! use std::time::Duration;
//! use store::{Charge, Store, StoreSettings};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open(&StoreSettings::default()).await?;
//! // At most 60 requests in a minute.
//! let charge = Charge::sliding("user:4711:requests", Duration::from_secs(60), 60, 1);
//! let admitted = store.limits().admit(&[charge]).await?;
//! assert_eq!(admitted.used, [1]);
//! # Ok(())
//! # }
//! ```

mod cipher;
mod clock;
mod conversations;
mod directory_lock;
mod error;
mod limits;
mod postgres;
mod sqlite;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod usage;

pub use cipher::Cipher;
pub use conversations::{
    ConversationEntry, ConversationName, ConversationSave, ConversationVersion, Conversations,
};
pub use directory_lock::DirectoryLock;
pub use error::{Result, StoreError};
pub use limits::{
    Admitted, Booking, Charge, Exceeded, Limits, OutagePolicy, RESERVATION_RETRY_AFTER, Refusal,
    Spending, Window,
};
pub use postgres::{Address, Connection, SaveError, SavedValves, Version, WatchEvent};
pub use store::{Store, StoreSettings};
pub use usage::{
    ReportRow, Tokens, Usage, UsageField, UsageKind, UsageQuery, UsageRow, UsageSide, UsageStatus,
};
