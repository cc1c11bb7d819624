//! The index of the valves: a file, or a database that may be unavailable for a while.

use crate::valves::RagValves;
use pipe_sdk::{PipeError, Result, ValveError};
use retrieval::{Index, IndexError};
use std::path::{Path, PathBuf};
use tokio::sync::OnceCell;

/// A handle to the index, which is opened when it is first available.
pub(crate) struct IndexHandle {
    location: IndexLocation,
    index: OnceCell<Index>,
}

/// The place of the index: a file, or the URL of a database.
#[derive(Clone, PartialEq)]
enum IndexLocation {
    File(PathBuf),
    Database(String),
}

impl IndexHandle {
    /// Opens the index that these valves name. An unavailable database is tried again with each
    /// use.
    pub(crate) async fn open(valves: &RagValves) -> Result<Self> {
        let handle = Self { location: IndexLocation::new(valves), index: OnceCell::new() };
        match handle.get().await {
            Ok(_) | Err(PipeError::Unavailable { .. }) => Ok(handle),
            Err(error) => Err(error),
        }
    }

    /// Returns true if these valves name the same index.
    pub(crate) fn matches(&self, valves: &RagValves) -> bool {
        self.location == IndexLocation::new(valves)
    }

    /// Returns the index.
    pub(crate) async fn get(&self) -> Result<&Index> {
        self.index.get_or_try_init(|| self.location.open()).await
    }

    /// Returns the reason why the index was not opened yet, if so.
    pub(crate) fn health_problem(&self) -> Option<&'static str> {
        self.index.get().is_none().then_some("the database that holds the documents is away")
    }
}

impl IndexLocation {
    fn new(valves: &RagValves) -> Self {
        match valves.index_url.expose() {
            Some(url) => Self::Database(url.to_owned()),
            None => Self::File(PathBuf::from(&valves.index_file)),
        }
    }

    /// Opens the index.
    async fn open(&self) -> Result<Index> {
        match self {
            Self::File(file) => open_file(file).await,
            Self::Database(url) => Index::connect(url).await.map_err(|error| match error {
                IndexError::InvalidInput(rule) => {
                    PipeError::BadValves(vec![ValveError::new("index_url", rule)])
                }
                error => unavailable_error(&error),
            }),
        }
    }
}

async fn open_file(file: &Path) -> Result<Index> {
    let valve_error = |rule: &str| PipeError::BadValves(vec![ValveError::new("index_file", rule)]);
    if let Some(folder) = file.parent()
        && let Err(error) = tokio::fs::create_dir_all(folder).await
    {
        return Err(valve_error(&format!("must be in a folder that can be made: {error}")));
    }
    Index::open(file).await.map_err(|error| {
        tracing::error!(cause = ?error, "The index cannot be opened.");
        valve_error("must be a file that can be opened as an index: the log has the cause")
    })
}

/// Returns the error for an index that fails. The cause goes to the log only.
pub(crate) fn unavailable_error(error: &IndexError) -> PipeError {
    tracing::error!(cause = ?error, "The document index cannot be queried.");
    let message = "the document index cannot be opened or queried: the log has the cause".into();
    PipeError::Unavailable { message, retry_after: None }
}
