//! A database for each test, and the time that passes in it.

use rusqlite::Connection;
use std::time::Duration;
use store::{
    Store, StoreSettings,
    testing::{Server, execute},
};
use tempfile::TempDir;

/// A database of a test's own.
pub struct Fixture {
    pub folder: TempDir,
    /// The address of PostgreSQL, if the engine is PostgreSQL.
    pub url: Option<String>,
}

impl Fixture {
    pub fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), url: None }
    }

    /// `None` where there can be no PostgreSQL; why stands in the output.
    pub async fn postgres() -> Option<Self> {
        let server = tokio::task::spawn_blocking(Server::shared).await.unwrap()?;
        let url = server.database().await.unwrap();
        Some(Self { folder: tempfile::tempdir().unwrap(), url: Some(url) })
    }

    pub fn settings(&self) -> StoreSettings {
        StoreSettings {
            folder: self.folder.path().into(),
            database_url: self.url.clone(),
            ..StoreSettings::default()
        }
    }

    /// A store over the database; several are several replicas.
    pub async fn open(&self) -> Store {
        Store::open(&self.settings()).await.unwrap()
    }

    /// Makes everything that limits remember so much older, which is what time does.
    pub async fn pass(&self, time: Duration) {
        let (schema, ms) = (self.schema(), time.as_millis());
        if ms > 0 {
            // A key and its moment are one: what moves must not meet what has not yet moved, and
            // nobody may sweep in between.
            self.sql(&format!(
                "BEGIN; UPDATE {schema}limit_hit SET at = -at; UPDATE {schema}limit_hit SET at = -at - {ms}; \
                 UPDATE {schema}limit_window SET tail = tail - {ms}, asked = asked - {ms}; \
                 UPDATE {schema}limit_reservation SET expires = expires - {ms}; COMMIT"
            ))
            .await;
        }
    }

    /// Makes all conversations so much older.
    pub async fn age_conversations(&self, time: Duration) {
        let (schema, ms) = (self.schema(), time.as_millis());
        self.sql(&format!(
            "UPDATE {schema}conversation SET created = created - {ms}, updated = updated - {ms}, expires = expires - {ms}"
        ))
        .await;
    }

    /// Returns the prefix of the names of tables.
    pub fn schema(&self) -> &'static str {
        if self.url.is_some() { "pipewright." } else { "" }
    }

    /// Does this to the database behind the store's back.
    pub async fn sql(&self, text: &str) {
        match &self.url {
            Some(url) => _ = execute(url, text).await.unwrap(),
            None => self.connection().execute_batch(text).unwrap(),
        }
    }

    pub async fn number(&self, question: &str) -> i64 {
        match &self.url {
            Some(url) => execute(url, question).await.unwrap().unwrap(),
            None => self.connection().query_row(question, (), |row| row.get(0)).unwrap(),
        }
    }

    fn connection(&self) -> Connection {
        let connection = Connection::open(self.folder.path().join("store.db")).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection
    }
}

/// Runs each of these behaviours on every engine.
macro_rules! on_every_engine {
    ($($behaviour:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                super::$behaviour(&crate::fixture::Fixture::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                if let Some(fixture) = crate::fixture::Fixture::postgres().await {
                    super::$behaviour(&fixture).await;
                }
            })*
        }
    };
}
pub(crate) use on_every_engine;
