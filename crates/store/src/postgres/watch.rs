//! Listening for saved valves: a connection of its own, and a look from time to time.

use super::{Line, PATIENTLY, Postgres, failure, within};
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

/// How often one looks whether the connection still lives, and whether something was missed (some poolers let nobody listen).
const LOOKING: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

const VERSIONS: &str = "SELECT pipe, version FROM pipewright.saved_valves";

/// What happens to saved valves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The database is there, for the first time or again. What was turned meanwhile is told next.
    There,
    /// It is no longer there, or not yet.
    Away(StoreError),
    /// This pipe's valves were turned, or their save was deleted. Those that stand there at the beginning count as turned.
    Turned(String),
}

/// Who listens, and what is known.
struct Watcher {
    database: Postgres,
    line: Option<Line>,
    known: BTreeMap<String, i64>,
    /// What is to be told.
    told: VecDeque<Watched>,
    is_away: bool,
    pause: Duration,
}

pub(super) fn watch(database: Postgres) -> BoxStream<'static, Watched> {
    let watcher = Watcher {
        database,
        line: None,
        known: BTreeMap::new(),
        told: VecDeque::new(),
        is_away: false,
        pause: FIRST_PAUSE,
    };
    stream::unfold(watcher, |mut watcher| async {
        let next = watcher.next().await;
        Some((next, watcher))
    })
    .boxed()
}

impl Watcher {
    async fn next(&mut self) -> Watched {
        loop {
            if let Some(told) = self.told.pop_front() {
                return told;
            }
            if let Err(error) = self.look().await {
                self.line = None;
                // The same trouble is told once.
                if !self.is_away {
                    self.told.push_back(Watched::Away(error));
                } else {
                    sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
                self.is_away = true;
            }
        }
    }

    /// Waits for a ring, or a while, and compares.
    async fn look(&mut self) -> Result<()> {
        let is_new = self.line.is_none();
        let line = match &mut self.line {
            Some(line) => {
                match timeout(LOOKING, line.rings.recv()).await {
                    Ok(Some(())) | Err(_) => {}
                    Ok(None) => {
                        let lost = StoreError::Away("the connection was lost".into());
                        return self.database.noted(&self.database.0.writing, Err(lost));
                    }
                }
                line
            }
            None => {
                // The tables are those of today.
                self.database.ready(&self.database.0.writing).await?;
                let begun = Line::begin(&self.database.0.address, "LISTEN pipewright_valves");
                let begun =
                    self.database.noted(&self.database.0.writing, within(PATIENTLY, begun).await);
                self.line.insert(begun?)
            }
        };
        let versions =
            within(PATIENTLY, async { line.client.query(VERSIONS, &[]).await.map_err(failure) })
                .await?;
        let versions = versions
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<BTreeMap<String, i64>, tokio_postgres::Error>>()
            .map_err(failure)?;
        if is_new {
            (self.is_away, self.pause) = (false, FIRST_PAUSE);
            self.told.push_back(Watched::There);
        }
        let turned =
            versions.iter().filter(|(pipe, version)| self.known.get(*pipe) != Some(*version));
        let gone = self.known.keys().filter(|pipe| !versions.contains_key(*pipe));
        let turned = turned.map(|(pipe, _)| pipe).chain(gone).cloned().map(Watched::Turned);
        self.told.extend(turned);
        self.known = versions;
        Ok(())
    }
}
