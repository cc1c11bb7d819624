//! Where the valves that admins turned are kept: files of this host's own, or a database that replicas share.

use super::{Values, ValvesFile};
use futures_util::future::BoxFuture;
use pipe_sdk::{PipeError, Result};
use std::{io, path::PathBuf, time::Duration};
use store::{SaveError, SavedValves, StoreError, Version};
use tokio::task::spawn_blocking;

/// Where saved valves are kept.
pub trait ValveStore: Send + Sync {
    /// What was saved of a pipe. On an error nobody knows.
    fn load(&self, pipe: &'static str) -> BoxFuture<'_, Result<LoadedValves>>;
    /// Saves a pipe's valves in place of those of this version. On an error what was saved before is as it was.
    fn save(
        &self,
        pipe: &'static str,
        values: Values,
        over: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Version>>>;
}

/// What was saved.
#[derive(Debug, Default, PartialEq)]
pub struct LoadedValves {
    /// The valves, empty if none were saved.
    pub values: Values,
    /// Which save it is, where others save too.
    pub version: Option<Version>,
    /// What was wrong with the file, and what was done.
    pub trouble: Option<String>,
}

/// Files in the data folder. Nobody else writes them.
pub struct FileValveStore(pub PathBuf);

impl ValveStore for FileValveStore {
    fn load(&self, pipe: &'static str) -> BoxFuture<'_, Result<LoadedValves>> {
        let saved = ValvesFile::new(&self.0, pipe);
        Box::pin(
            async move { spawn_blocking(move || saved.load()).await.map_err(PipeError::internal) },
        )
    }

    fn save(
        &self,
        pipe: &'static str,
        values: Values,
        _over: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Version>>> {
        let saved = ValvesFile::new(&self.0, pipe);
        Box::pin(async move {
            let saved = spawn_blocking(move || saved.save(&values)).await;
            saved.map_err(PipeError::internal)?.map_err(|error| file_save_error(&error))?;
            Ok(None)
        })
    }
}

/// A save that failed, in an admin's words. The running valves and the file are as they were.
fn file_save_error(error: &io::Error) -> PipeError {
    tracing::error!(%error, "The valves could not be saved.");
    insufficient_storage_error(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full",
        io::ErrorKind::ReadOnlyFilesystem => "the data folder is read-only",
        io::ErrorKind::PermissionDenied => "the host may not write to its data folder",
        _ => "the data folder cannot be written to",
    })
}

fn insufficient_storage_error(why: &str) -> PipeError {
    let message = format!("the valves were not saved, and nothing was changed: {why}");
    PipeError::Refused { status: 507, message, retry_after: None }
}

impl ValveStore for SavedValves {
    fn load(&self, pipe: &'static str) -> BoxFuture<'_, Result<LoadedValves>> {
        Box::pin(async move {
            let loaded = Self::load(self, pipe).await.map_err(|error| read_error(&error))?;
            Ok(loaded.map_or_else(LoadedValves::default, |(values, version)| LoadedValves {
                values,
                version: Some(version),
                trouble: None,
            }))
        })
    }

    fn save(
        &self,
        pipe: &'static str,
        values: Values,
        over: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Version>>> {
        Box::pin(async move {
            Self::save(self, pipe, &values, over).await.map(Some).map_err(|error| match error {
                SaveError::Conflict => PipeError::Conflict(
                    "the valves were turned on another replica meanwhile: load the page again, then turn them".into(),
                ),
                SaveError::Failed(error) => save_error(&error),
            })
        })
    }
}

fn read_error(error: &StoreError) -> PipeError {
    match error {
        StoreError::Refused(why) => PipeError::Credentials(why.clone()),
        _ => unavailable_error(format!("saved valves cannot be read: {error}")),
    }
}

fn save_error(error: &StoreError) -> PipeError {
    tracing::error!(%error, "The valves could not be saved.");
    match error {
        StoreError::Full => insufficient_storage_error("the database's disk is full"),
        StoreError::ReadOnly => insufficient_storage_error("the database may not be written to"),
        _ => unavailable_error(
            "the valves were not saved, and nothing was changed: the database is away".to_owned(),
        ),
    }
}

fn unavailable_error(message: String) -> PipeError {
    PipeError::Unavailable { message, retry_after: Some(Duration::from_secs(5)) }
}

/// Takes what files hold into a database that has nothing of the pipe: whoever moves to one keeps their valves.
///
/// # Errors
/// When the database cannot be asked, or does not take them.
pub async fn migrate_file(
    pipe: &'static str,
    files: &FileValveStore,
    database: &SavedValves,
) -> Result<()> {
    if SavedValves::load(database, pipe).await.map_err(|error| read_error(&error))?.is_some() {
        return Ok(());
    }
    let values = ValvesFile::new(&files.0, pipe).load_if_readable();
    if values.is_empty() {
        return Ok(());
    }
    match SavedValves::save(database, pipe, &values, None).await {
        Ok(_) => {
            tracing::info!(
                pipe.id = pipe,
                "Took the valves of `{pipe}` from their file into the database."
            );
            Ok(())
        }
        // Another replica was quicker.
        Err(SaveError::Conflict) => Ok(()),
        Err(SaveError::Failed(error)) => Err(save_error(&error)),
    }
}
