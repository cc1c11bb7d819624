//! Saved valves in PostgreSQL, so that a change on one replica takes effect on all.

use super::{ADMIN_TIMEOUT, Parameter, Postgres, to_store_error, watch};
use crate::{Result, StoreError, cipher::Cipher};
use futures_util::stream::BoxStream;
use serde_json::{Map, Value};
use tokio_postgres::{Row, types::Type};

const LOAD: &str = "SELECT content, sealed, version FROM pipewright.saved_valves WHERE pipe = $1";
const SAVE_FIRST: &str = "INSERT INTO pipewright.saved_valves (pipe, content, sealed) VALUES ($1, $2, $3) \
     ON CONFLICT DO NOTHING RETURNING version";
const SAVE: &str = "UPDATE pipewright.saved_valves SET content = $2, sealed = $3, saved = now(), \
     version = nextval('pipewright.saved_valves_version') WHERE pipe = $1 AND version = $4 RETURNING version";
const DELETE: &str = "DELETE FROM pipewright.saved_valves WHERE pipe = $1";

/// The version of a pipe's saved valves. No two saves have the same.
pub type Version = i64;

/// The saved valves that replicas share.
#[derive(Clone)]
pub struct SavedValves {
    database: Postgres,
    cipher: Option<Cipher>,
}

/// The reason why valves were not saved. The saved valves are unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaveError {
    /// Another admin has saved them meanwhile.
    #[error("the valves were changed elsewhere meanwhile")]
    Conflict,
    /// The database failed.
    #[error(transparent)]
    Failed(#[from] StoreError),
}

impl SavedValves {
    pub(crate) fn new(database: Postgres, secret_key: Option<&str>) -> Result<Self> {
        let cipher = secret_key.map(Cipher::for_valves).transpose()?;
        Ok(Self { database, cipher })
    }

    /// Returns the saved valves of a pipe, with their version.
    ///
    /// # Errors
    /// If the database is unavailable, or the stored valves cannot be read.
    pub async fn load(&self, pipe: &str) -> Result<Option<(Map<String, Value>, Version)>> {
        let database = &self.database;
        let rows = database
            .query(&database.0.writing, ADMIN_TIMEOUT, LOAD, &[(&pipe, Type::TEXT)])
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (content, is_sealed, version) = columns(row).map_err(to_store_error)?;
        Ok(Some((self.read(pipe, content, is_sealed)?, version)))
    }

    /// Decrypts and parses the saved valves of a pipe.
    fn read(&self, pipe: &str, content: String, is_sealed: bool) -> Result<Map<String, Value>> {
        let content = match (is_sealed, &self.cipher) {
            (false, _) => content,
            (true, Some(cipher)) => cipher.decrypt(pipe, &content).ok_or_else(|| {
                let why = format!(
                    "the saved valves of `{pipe}` were sealed with another PIPEWRIGHT_SECRET_KEY"
                );
                StoreError::Refused(why)
            })?,
            (true, None) => {
                let why = format!(
                    "the saved valves of `{pipe}` are sealed: set the PIPEWRIGHT_SECRET_KEY that they were sealed with"
                );
                return Err(StoreError::Refused(why));
            }
        };
        serde_json::from_str(&content).map_err(|_| {
            StoreError::Refused(format!("the saved valves of `{pipe}` are no JSON object"))
        })
    }

    /// Saves a pipe's valves in place of the loaded ones, and returns the new version.
    ///
    /// # Errors
    /// [`SaveError::Conflict`] if the stored version is not `expected`; `None` expects no stored
    /// valves.
    pub async fn save(
        &self,
        pipe: &str,
        values: &Map<String, Value>,
        expected: Option<Version>,
    ) -> Result<Version, SaveError> {
        let content = serde_json::to_string(values)
            .map_err(|error| StoreError::Refused(error.to_string()))?;
        let (content, is_sealed) = match &self.cipher {
            Some(cipher) => (cipher.encrypt(pipe, &content)?, true),
            None => (content, false),
        };
        let mut parameters: Vec<Parameter<'_>> =
            vec![(&pipe, Type::TEXT), (&content, Type::TEXT), (&is_sealed, Type::BOOL)];
        if let Some(version) = &expected {
            parameters.push((version, Type::INT8));
        }
        let save = if expected.is_some() { SAVE } else { SAVE_FIRST };
        let database = &self.database;
        let saved = database.query(&database.0.writing, ADMIN_TIMEOUT, save, &parameters).await?;
        let saved = saved.first().ok_or(SaveError::Conflict)?;
        Ok(saved.try_get(0).map_err(to_store_error)?)
    }

    /// Deletes the saved valves of a pipe, if there are any.
    ///
    /// # Errors
    /// If the database is unavailable or may not be written to.
    pub async fn delete(&self, pipe: &str) -> Result<()> {
        let database = &self.database;
        let parameters: &[Parameter<'_>] = &[(&pipe, Type::TEXT)];
        database.query(&database.0.writing, ADMIN_TIMEOUT, DELETE, parameters).await?;
        Ok(())
    }

    /// Returns an endless stream of the changes from now on.
    pub fn watch(&self) -> BoxStream<'static, watch::WatchEvent> {
        watch::watch(self.database.clone())
    }
}

/// Returns the content of a row, whether it is encrypted, and its version.
fn columns(row: &Row) -> Result<(String, bool, Version), tokio_postgres::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}
