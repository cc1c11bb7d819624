//! What can go wrong with a database.

/// A result whose error is a [`StoreError`].
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What went wrong with the database, for the operator. No variant holds a password or a value that was to be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be reached, or does not answer in time. It may be back soon.
    #[error("the database is away: {0}")]
    Away(String),
    /// It is there, and does not let this host in, or lets it do too little.
    #[error("the database does not let this host in, look at DATABASE_URL: {0}")]
    Denied(String),
    /// There is no room for more.
    #[error("the disk is full")]
    Full,
    /// Nothing can be written.
    #[error("the database may not be written to")]
    ReadOnly,
    /// What stands in the file is no longer a database.
    #[error("the database is corrupt: {0}")]
    Corrupt(String),
    /// A later version of this program has changed its tables.
    #[error(
        "the database has version {found} and this program knows {known}: start the newer program, or use another database"
    )]
    Newer {
        /// What the database has.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// Another host uses the same data folder.
    #[error(
        "the data folder {0} is used by another host: give each its own (PIPELINES_DIR), or let them share a PostgreSQL (DATABASE_URL)"
    )]
    Taken(String),
    /// `DATABASE_URL` cannot be so.
    #[error("DATABASE_URL {0}")]
    BadUrl(String),
    /// The database does not take what it was told. Telling it again will not help.
    #[error("the database refused: {0}")]
    Refused(String),
}

impl StoreError {
    /// Whether a host that starts is better off telling its operator than waiting.
    pub(crate) fn is_hopeless(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::Newer { .. })
    }

    /// Whether the same may succeed later.
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Self::Away(_) | Self::Denied(_) | Self::Full | Self::ReadOnly | Self::Corrupt(_)
        )
    }
}
