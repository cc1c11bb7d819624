//! Stores of saved valves: files of this host, or a database that replicas share.

use super::{LoadedValves, Values, ValvesFile};
use futures_util::future::BoxFuture;
use pipe_sdk::{PipeError, Result};
use std::{io, path::PathBuf, time::Duration};
use store::{Cipher, SaveError, SavedValves, StoreError, Version};
use tokio::task::spawn_blocking;

const NOT_SAVED: &str = "the valves were not saved, and nothing was changed";
const NOT_DELETED: &str = "the saved valves were not deleted";
const UNWRITABLE_FOLDER: &str = "the data folder cannot be written to";

/// A store of saved valves.
pub trait ValveStore: Send + Sync {
    /// Returns the saved valves of a pipe. On an error it is unknown whether any exist.
    fn load(&self, pipe: &'static str) -> BoxFuture<'_, Result<LoadedValves>>;
    /// Saves a pipe's valves over this version. On an error the saved valves are unchanged.
    fn save(
        &self,
        pipe: &'static str,
        values: Values,
        over: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Version>>>;
    /// Deletes the saved valves of a pipe, and copies of them. On an error some may be left.
    fn delete(&self, pipe: &'static str) -> BoxFuture<'_, Result<()>>;
}

/// A store in files of the data folder, which only this host writes.
pub struct FileValveStore {
    /// The data folder.
    pub folder: PathBuf,
    /// The cipher of the files, if the operator has set a key.
    pub cipher: Option<Cipher>,
}

impl FileValveStore {
    /// Returns the file of a pipe's saved valves.
    fn file(&self, pipe: &str) -> ValvesFile {
        ValvesFile::new(&self.folder, pipe, self.cipher.as_ref())
    }
}

impl ValveStore for FileValveStore {
    fn load(&self, pipe: &'static str) -> BoxFuture<'_, Result<LoadedValves>> {
        let saved = self.file(pipe);
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
        let saved = self.file(pipe);
        Box::pin(async move {
            let saved = spawn_blocking(move || saved.save(&values)).await;
            saved.map_err(PipeError::internal)?.map_err(|error| file_save_error(&error))?;
            Ok(None)
        })
    }

    fn delete(&self, pipe: &'static str) -> BoxFuture<'_, Result<()>> {
        let saved = self.file(pipe);
        Box::pin(async move {
            let deleted = spawn_blocking(move || saved.delete()).await;
            deleted.map_err(PipeError::internal)?.map_err(|error| {
                tracing::error!(%error, "The saved valves could not be deleted.");
                insufficient_storage_error(format!("{NOT_DELETED}: {UNWRITABLE_FOLDER}"))
            })
        })
    }
}

/// Returns the error of a failed save, in an admin's words. The running valves and the file are
/// unchanged.
fn file_save_error(error: &io::Error) -> PipeError {
    tracing::error!(%error, "The valves could not be saved.");
    let why = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full",
        io::ErrorKind::ReadOnlyFilesystem => "the data folder is read-only",
        io::ErrorKind::InvalidInput => "they are encrypted with another PIPEWRIGHT_SECRET_KEY",
        io::ErrorKind::PermissionDenied => "the host may not write to its data folder",
        _ => UNWRITABLE_FOLDER,
    };
    insufficient_storage_error(format!("{NOT_SAVED}: {why}"))
}

fn insufficient_storage_error(message: String) -> PipeError {
    PipeError::Refused { status: 507, message, retry_after: None }
}

impl ValveStore for SavedValves {
    fn load(&self, pipe: &'static str) -> BoxFuture<'_, Result<LoadedValves>> {
        Box::pin(async move {
            let loaded = Self::load(self, pipe).await.map_err(|error| to_read_error(&error))?;
            Ok(loaded.map_or_else(LoadedValves::default, |(values, version)| LoadedValves {
                values,
                version: Some(version),
                problem: None,
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
                    "the valves were changed on another replica meanwhile: load the page again, then change them".into(),
                ),
                SaveError::Failed(error) => save_error(&error),
            })
        })
    }

    fn delete(&self, pipe: &'static str) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let deleted = Self::delete(self, pipe).await;
            deleted.map_err(|error| write_error(NOT_DELETED, &error))
        })
    }
}

/// Returns the error of saved valves that cannot be read.
fn to_read_error(error: &StoreError) -> PipeError {
    match error {
        StoreError::Refused(why) => PipeError::Credentials(why.clone()),
        _ => unavailable_error(format!("saved valves cannot be read: {error}")),
    }
}

fn save_error(error: &StoreError) -> PipeError {
    write_error(NOT_SAVED, error)
}

/// Returns the error of a failed write to the database, which begins with `outcome`.
fn write_error(outcome: &str, error: &StoreError) -> PipeError {
    tracing::error!(%error, "The saved valves could not be changed.");
    match error {
        StoreError::DiskFull => {
            insufficient_storage_error(format!("{outcome}: the database's disk is full"))
        }
        StoreError::ReadOnly => {
            insufficient_storage_error(format!("{outcome}: the database may not be written to"))
        }
        _ => unavailable_error(format!("{outcome}: the database is away")),
    }
}

fn unavailable_error(message: String) -> PipeError {
    PipeError::Unavailable { message, retry_after: Some(Duration::from_secs(5)) }
}

/// Copies the saved valves of a pipe from its file into a database that has none of it.
///
/// # Errors
/// Returns an error if the database is unavailable or refuses the values.
pub async fn migrate_file(
    pipe: &'static str,
    files: &FileValveStore,
    database: &SavedValves,
) -> Result<()> {
    if SavedValves::load(database, pipe).await.map_err(|error| to_read_error(&error))?.is_some() {
        return Ok(());
    }
    let values = files.file(pipe).load_if_readable();
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
