//! Where the index is: a file, or a database that may be away for a while.

use crate::valves::RagValves;
use pipe_sdk::{PipeError, Result, ValveError};
use retrieval::{Index, IndexError};
use std::path::{Path, PathBuf};
use tokio::sync::OnceCell;

/// Where the index is, and the index once it was reached.
pub(crate) struct Place {
    at: At,
    index: OnceCell<Index>,
}

#[derive(Clone, PartialEq)]
enum At {
    File(PathBuf),
    Database(String),
}

impl At {
    fn of(valves: &RagValves) -> Self {
        match valves.index_url.expose() {
            Some(url) => Self::Database(url.to_owned()),
            None => Self::File(PathBuf::from(&valves.index_file)),
        }
    }
}

impl Place {
    /// The place that these valves name. A database that is away is asked again whenever the index is wanted.
    pub(crate) async fn of(valves: &RagValves) -> Result<Self> {
        let place = Self { at: At::of(valves), index: OnceCell::new() };
        match place.index().await {
            Ok(_) | Err(PipeError::Unavailable { .. }) => Ok(place),
            Err(error) => Err(error),
        }
    }

    /// Whether these valves name it.
    pub(crate) fn matches(&self, valves: &RagValves) -> bool {
        self.at == At::of(valves)
    }

    /// The index.
    pub(crate) async fn index(&self) -> Result<&Index> {
        self.index.get_or_try_init(|| self.at.open()).await
    }

    /// Why there is none.
    pub(crate) fn health_problem(&self) -> Option<&'static str> {
        self.index.get().is_none().then_some("the database that holds the documents is away")
    }
}

impl At {
    async fn open(&self) -> Result<Index> {
        match self {
            Self::File(file) => in_file(file).await,
            Self::Database(url) => Index::connect(url).await.map_err(|error| match error {
                IndexError::InvalidInput(rule) => {
                    PipeError::BadValves(vec![ValveError::new("index_url", rule)])
                }
                error => away(&error),
            }),
        }
    }
}

async fn in_file(file: &Path) -> Result<Index> {
    let fault = |rule: &str| PipeError::BadValves(vec![ValveError::new("index_file", rule)]);
    if let Some(folder) = file.parent()
        && let Err(error) = tokio::fs::create_dir_all(folder).await
    {
        return Err(fault(&format!("must be in a folder that can be made: {error}")));
    }
    Index::open(file).await.map_err(|error| {
        tracing::error!(cause = ?error, "The index cannot be opened.");
        fault("must be a file that can be opened as an index: the log has the cause")
    })
}

/// An index that cannot be asked now. The cause goes to the log.
pub(crate) fn away(error: &IndexError) -> PipeError {
    tracing::error!(cause = ?error, "The index cannot be asked.");
    let message = "the documents cannot be asked now: the log has the cause".into();
    PipeError::Unavailable { message, retry_after: None }
}
