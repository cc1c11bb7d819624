//! What pipewright remembers: usage, limits and saved valves.
//!
//! A [`Store`] is one database behind all of them: SQLite in the data folder, or a PostgreSQL that replicas share. [`Usage`] is written in the
//! background and asked for reports, [`Limits`] are exact over sliding windows.

mod claim;
mod clock;
mod error;
mod limits;
mod sqlite;
mod store;
mod usage;

pub use claim::Claim;
pub use error::{Result, StoreError};
pub use limits::{Admitted, Exceeded, Limits, Refusal, Take, WhenAway};
pub use store::{Store, StoreSettings};
pub use usage::{Field, Kind, ReportRow, Side, Status, Tokens, Usage, UsageQuery, UsageRow};
