//! The database of pipewright, which stores usage, limits, conversations and saved valves.
//!
//! A [`Store`] is backed by SQLite in the data folder, or by a PostgreSQL that replicas share.
//! [`Usage`] is written in the background and queried for reports; [`Limits`] are exact over
//! sliding windows. Other crates open connections to the same PostgreSQL by an [`Address`] and a
//! [`Connection`].

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
