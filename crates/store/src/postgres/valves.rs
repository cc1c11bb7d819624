//! Saved valves in PostgreSQL, so that what is turned on one replica is turned on all.

use super::{PATIENTLY, Parameter, Postgres, failure, seal::Seal, watch};
use crate::{Result, StoreError};
use futures_util::stream::BoxStream;
use serde_json::{Map, Value};
use tokio_postgres::{Row, types::Type};

const LOAD: &str = "SELECT content, sealed, version FROM pipewright.saved_valves WHERE pipe = $1";
const SAVE_FIRST: &str = "INSERT INTO pipewright.saved_valves (pipe, content, sealed) VALUES ($1, $2, $3) \
     ON CONFLICT DO NOTHING RETURNING version";
const SAVE: &str = "UPDATE pipewright.saved_valves SET content = $2, sealed = $3, saved = now(), \
     version = nextval('pipewright.saved_valves_version') WHERE pipe = $1 AND version = $4 RETURNING version";

/// Which save of a pipe's valves. No two have the same.
pub type Version = i64;

/// Saved valves, shared by replicas.
#[derive(Clone)]
pub struct SavedValves {
    database: Postgres,
    seal: Option<Seal>,
}

/// Why valves were not saved. What was saved before is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaveError {
    /// Somebody else has saved meanwhile.
    #[error("the valves were turned elsewhere meanwhile")]
    Conflict,
    /// The database did not take them.
    #[error(transparent)]
    Failed(#[from] StoreError),
}

impl SavedValves {
    pub(crate) fn new(database: Postgres, secret_key: Option<&str>) -> Result<Self> {
        Ok(Self { database, seal: secret_key.map(Seal::of).transpose()? })
    }

    /// What was saved of a pipe, and which save it is.
    ///
    /// # Errors
    /// When the database cannot be asked, or what stands there cannot be read.
    pub async fn load(&self, pipe: &str) -> Result<Option<(Map<String, Value>, Version)>> {
        let database = &self.database;
        let rows =
            database.ask(&database.0.writing, PATIENTLY, LOAD, &[(&pipe, Type::TEXT)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (content, is_sealed, version) = columns(row).map_err(failure)?;
        Ok(Some((self.read(pipe, content, is_sealed)?, version)))
    }

    fn read(&self, pipe: &str, content: String, is_sealed: bool) -> Result<Map<String, Value>> {
        let content = match (is_sealed, &self.seal) {
            (false, _) => content,
            (true, Some(seal)) => seal.open(pipe, &content)?,
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

    /// Saves a pipe's valves in place of those that were loaded, and says which save it is.
    ///
    /// # Errors
    /// [`SaveError::Conflict`] when `expected` is not what stands there; `None` expects nothing.
    pub async fn save(
        &self,
        pipe: &str,
        values: &Map<String, Value>,
        expected: Option<Version>,
    ) -> Result<Version, SaveError> {
        let content = serde_json::to_string(values)
            .map_err(|error| StoreError::Refused(error.to_string()))?;
        let (content, is_sealed) = match &self.seal {
            Some(seal) => (seal.close(pipe, &content)?, true),
            None => (content, false),
        };
        let mut parameters: Vec<Parameter<'_>> =
            vec![(&pipe, Type::TEXT), (&content, Type::TEXT), (&is_sealed, Type::BOOL)];
        if let Some(version) = &expected {
            parameters.push((version, Type::INT8));
        }
        let save = if expected.is_some() { SAVE } else { SAVE_FIRST };
        let database = &self.database;
        let saved = database.ask(&database.0.writing, PATIENTLY, save, &parameters).await?;
        let saved = saved.first().ok_or(SaveError::Conflict)?;
        Ok(saved.try_get(0).map_err(failure)?)
    }

    /// What happens to saved valves from now on, and whether it can be heard. It never ends.
    pub fn watch(&self) -> BoxStream<'static, watch::Watched> {
        watch::watch(self.database.clone())
    }
}

fn columns(row: &Row) -> Result<(String, bool, Version), tokio_postgres::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}
