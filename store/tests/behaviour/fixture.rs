//! A database for each test, and the time that passes in it.

use pipewright_store::{Store, StoreSettings};
use rusqlite::Connection;
use std::time::Duration;
use tempfile::TempDir;

/// A database of a test's own.
pub struct Fixture {
    pub folder: TempDir,
}

impl Fixture {
    pub fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn settings(&self) -> StoreSettings {
        StoreSettings { folder: self.folder.path().into(), ..StoreSettings::default() }
    }

    /// A store over the database; several are several replicas.
    pub async fn open(&self) -> Store {
        Store::open(&self.settings()).await.unwrap()
    }

    /// Makes everything that limits remember so much older, which is what time does.
    pub async fn pass(&self, time: Duration) {
        let ms = time.as_millis();
        self.sql(&format!(
            "UPDATE {0}limit_hit SET at = at - {ms}; UPDATE {0}limit_window SET tail = tail - {ms}, asked = asked - {ms};",
            self.schema()
        ))
        .await;
    }

    pub fn schema(&self) -> &'static str {
        ""
    }

    /// Does this to the database behind the store's back.
    pub async fn sql(&self, text: &str) {
        self.connection().execute_batch(text).unwrap();
    }

    pub async fn number(&self, question: &str) -> i64 {
        self.connection().query_row(question, (), |row| row.get(0)).unwrap()
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
    };
}
pub(crate) use on_every_engine;
