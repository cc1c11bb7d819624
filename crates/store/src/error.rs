//! The errors of the store.

/// A result whose error is a [`StoreError`].
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// An error of the database, for the operator. No variant holds a password or a stored value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database cannot be reached or does not answer in time. It may be available again soon.
    #[error("the database is away: {0}")]
    Unavailable(String),
    /// The database refuses the login or a privilege.
    #[error("the database does not let this host in, look at DATABASE_URL: {0}")]
    Denied(String),
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// The database or its file is read-only.
    #[error("the database may not be written to")]
    ReadOnly,
    /// The file is not a valid database any more.
    #[error("the database is corrupt: {0}")]
    Corrupt(String),
    /// The schema is of a later version of this program.
    #[error(
        "the database has version {found} and this program knows {known}: start the newer program, or use another database"
    )]
    NewerSchema {
        /// The version of the schema.
        found: i64,
        /// The latest version that this program knows.
        known: i64,
    },
    /// Another host uses the same data folder.
    #[error(
        "the data folder {0} is used by another host: give each its own (PIPELINES_DIR), or let them share a PostgreSQL (DATABASE_URL)"
    )]
    DirectoryInUse(String),
    /// `DATABASE_URL` is invalid.
    #[error("DATABASE_URL {0}")]
    InvalidUrl(String),
    /// The secret that encrypts saved valves is too short.
    #[error(
        "PIPEWRIGHT_SECRET_KEY must have 32 random characters or more: `openssl rand -base64 32` makes them"
    )]
    InvalidSecretKey,
    /// The database refuses the statement or its data. A retry fails too.
    #[error("the database refused: {0}")]
    Refused(String),
}

impl StoreError {
    /// Returns true if a starting host should exit with this error, because waiting does not help.
    pub(crate) fn is_fatal_at_startup(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::NewerSchema { .. })
    }

    /// Returns true if a retry may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_)
                | Self::Denied(_)
                | Self::DiskFull
                | Self::ReadOnly
                | Self::Corrupt(_)
        )
    }
}
