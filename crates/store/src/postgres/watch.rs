//! Watches saved valves for changes, on a connection of its own.

use super::{ADMIN_TIMEOUT, Connection, Postgres, to_store_error, with_timeout};
use crate::{Result, StoreError};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// The interval of polling beside the notifications, because some connection poolers do not pass
/// them on.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
const MIN_RETRY_DELAY: Duration = Duration::from_millis(250);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);

/// Selects the version of each pipe's saved valves.
const SELECT_VERSIONS: &str = "SELECT pipe, version FROM pipewright.saved_valves";

/// A change of saved valves, or of the connection to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// The database is available, for the first time or again. An event follows for each pipe whose
    /// valves changed meanwhile.
    Connected,
    /// The database is not available.
    Disconnected(StoreError),
    /// The valves of this pipe were saved or deleted. Valves that exist at the beginning count as
    /// saved.
    Changed(String),
}

/// Follows the saved valves, which other replicas may change.
struct Watcher {
    database: Postgres,
    connection: Option<Connection>,
    /// The version of each pipe's valves at the last poll.
    versions: BTreeMap<String, i64>,
    /// Events that were not returned yet.
    pending: VecDeque<WatchEvent>,
    is_disconnected: bool,
    retry_delay: Duration,
}

/// Returns the changes of saved valves, as a stream without end.
pub(super) fn watch(database: Postgres) -> BoxStream<'static, WatchEvent> {
    let watcher = Watcher {
        database,
        connection: None,
        versions: BTreeMap::new(),
        pending: VecDeque::new(),
        is_disconnected: false,
        retry_delay: MIN_RETRY_DELAY,
    };
    stream::unfold(watcher, |mut watcher| async {
        let event = watcher.next_event().await;
        Some((event, watcher))
    })
    .boxed()
}

impl Watcher {
    async fn next_event(&mut self) -> WatchEvent {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return event;
            }
            if let Err(error) = self.poll_versions().await {
                self.connection = None;
                // Only the first of several failures is an event.
                if !self.is_disconnected {
                    self.pending.push_back(WatchEvent::Disconnected(error));
                } else {
                    sleep(self.retry_delay).await;
                    self.retry_delay = (self.retry_delay * 2).min(MAX_RETRY_DELAY);
                }
                self.is_disconnected = true;
            }
        }
    }

    /// Waits for a notification or the next poll, and queues an event for each changed version.
    async fn poll_versions(&mut self) -> Result<()> {
        let is_new = self.connection.is_none();
        if let Some(connection) = &mut self.connection {
            match timeout(POLL_INTERVAL, connection.notifications.recv()).await {
                Ok(Some(())) | Err(_) => {}
                Ok(None) => {
                    let lost = StoreError::Unavailable("the connection was lost".into());
                    return self.database.track_failure(&self.database.0.writing, Err(lost));
                }
            }
        }
        let connection = match &self.connection {
            Some(connection) => connection,
            None => &*self.connection.insert(listen(&self.database).await?),
        };
        let rows = with_timeout(ADMIN_TIMEOUT, async {
            connection.client.query(SELECT_VERSIONS, &[]).await.map_err(to_store_error)
        });
        let versions = rows
            .await?
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<BTreeMap<String, i64>, tokio_postgres::Error>>()
            .map_err(to_store_error)?;
        if is_new {
            (self.is_disconnected, self.retry_delay) = (false, MIN_RETRY_DELAY);
            self.pending.push_back(WatchEvent::Connected);
        }
        self.push_changes(versions);
        Ok(())
    }

    /// Queues an event for each pipe whose version has changed.
    fn push_changes(&mut self, versions: BTreeMap<String, i64>) {
        let saved =
            versions.iter().filter(|(pipe, version)| self.versions.get(*pipe) != Some(*version));
        let deleted = self.versions.keys().filter(|pipe| !versions.contains_key(*pipe));
        let changed = saved.map(|(pipe, _)| pipe).chain(deleted).cloned();
        self.pending.extend(changed.map(WatchEvent::Changed));
        self.versions = versions;
    }
}

/// Opens a connection that receives the notifications.
async fn listen(database: &Postgres) -> Result<Connection> {
    database.ensure_migrated(&database.0.writing).await?;
    let opening = Connection::open(&database.0.address, "LISTEN pipewright_valves");
    let opened = with_timeout(ADMIN_TIMEOUT, opening).await;
    database.track_failure(&database.0.writing, opened)
}
