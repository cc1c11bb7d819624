//! What pipewright remembers: usage, limits and saved valves.
//!
//! A [`Store`] is one database behind all of them: SQLite in the data folder, or a PostgreSQL that replicas share. [`Usage`] is written in the
//! background and asked for reports, [`Limits`] are exact over sliding windows.
//! Whoever keeps other tables in the same PostgreSQL reaches it by an [`Address`] and a [`Line`].

mod claim;
mod clock;
mod error;
mod limits;
mod postgres;
mod sqlite;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod usage;

pub use claim::Claim;
pub use error::{Result, StoreError};
pub use limits::{
    Admitted, Booking, Charge, Exceeded, Limits, OutagePolicy, PAUSE, Refusal, Spending, Window,
};
pub use postgres::{Address, Line, SaveError, SavedValves, Version, Watched};
pub use store::{Store, StoreSettings};
pub use usage::{Field, Kind, ReportRow, Side, Status, Tokens, Usage, UsageQuery, UsageRow};
