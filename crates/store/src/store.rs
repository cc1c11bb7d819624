//! One database, and everything that is kept in it.

use crate::{
    Result,
    clock::wall,
    limits::{Limits, OutagePolicy, Windows},
    postgres::{Postgres, SavedValves},
    sqlite::Sqlite,
    usage::{DAY, Ledger, Usage},
};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{task::JoinSet, time::interval};

/// How often what has had its time is forgotten.
const TIDYING: Duration = Duration::from_secs(600);

/// Which database, and how it is used.
#[derive(Clone, Default)]
pub struct StoreSettings {
    /// `postgres://…`, as PostgreSQL's own clients read it; without it, the data folder holds the database.
    pub database_url: Option<String>,
    /// What saved valves are sealed with in PostgreSQL; without it they stand there in clear, secrets too.
    pub secret_key: Option<String>,
    /// The data folder.
    pub folder: PathBuf,
    /// How many days single answers are kept; their sums by day stay for ever. 0 keeps them for ever too.
    pub usage_days: u32,
    /// What limits and budgets do when the database cannot be asked.
    pub when_away: OutagePolicy,
}

/// One database, and everything that is kept in it.
pub struct Store {
    usage: Arc<Usage>,
    limits: Arc<Limits>,
    engine: Engine,
    saved_valves: Option<SavedValves>,
    /// Ends with the store.
    _tidying: Mutex<JoinSet<()>>,
}

enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// Opens the database, and brings its tables up to date.
    ///
    /// A file that is corrupt is moved aside, and a folder that cannot be written to is replaced by memory: see [`trouble`](Self::trouble).
    ///
    /// A PostgreSQL need not be there yet; it is used as soon as it is. Where nobody may pass while it is away, it must be.
    ///
    /// # Errors
    /// When a setting cannot be so, or the database lets nobody in or belongs to a newer program.
    pub async fn open(settings: &StoreSettings) -> Result<Self> {
        let Some(url) = &settings.database_url else {
            let sqlite = Sqlite::open(&settings.folder).await?;
            let (ledger, windows) = (Arc::new(sqlite.clone()), Arc::new(sqlite.clone()));
            return Ok(Self::over(Engine::Sqlite(sqlite), ledger, windows, None, settings));
        };
        let postgres = Postgres::open(url, settings.when_away).await?;
        let valves = SavedValves::new(postgres.clone(), settings.secret_key.as_deref())?;
        let (ledger, windows) = (Arc::new(postgres.clone()), Arc::new(postgres.clone()));
        Ok(Self::over(Engine::Postgres(postgres), ledger, windows, Some(valves), settings))
    }

    fn over(
        engine: Engine,
        ledger: Arc<dyn Ledger>,
        windows: Arc<dyn Windows>,
        saved_valves: Option<SavedValves>,
        settings: &StoreSettings,
    ) -> Self {
        let usage = Arc::new(Usage::new(ledger));
        let limits = Arc::new(Limits::new(windows, settings.when_away));
        let mut tasks = JoinSet::new();
        tasks.spawn(tidy(Arc::clone(&usage), Arc::clone(&limits), settings.usage_days));
        Self { usage, limits, engine, saved_valves, _tidying: Mutex::new(tasks) }
    }

    /// Saved valves, when replicas share them.
    pub fn saved_valves(&self) -> Option<&SavedValves> {
        self.saved_valves.as_ref()
    }

    /// What was answered, for whom, and what it cost.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// How much of a key may be taken.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What a user has spent since then, in micro-dollars, for whoever decides about more; `None` when that is not known and the user may
    /// pass.
    ///
    /// # Errors
    /// When it is not known and budgets are [closed](OutagePolicy::Closed) then.
    pub async fn spent_of_budget(&self, user: &str, since: i64) -> Result<Option<i64>> {
        self.limits.known(self.usage.spent(user, since).await)
    }

    /// What is wrong with the database, for the operator.
    pub fn health_problem(&self) -> Option<String> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.health_problem(),
            Engine::Postgres(postgres) => postgres.health_problem(),
        }
    }
}

async fn tidy(usage: Arc<Usage>, limits: Arc<Limits>, days: u32) {
    let mut times = interval(TIDYING);
    loop {
        times.tick().await;
        if let Err(error) = limits.sweep().await {
            tracing::warn!(%error, "What limits no longer need could not be forgotten.");
        }
        if days > 0
            && let Err(error) = usage.forget(wall() - i64::from(days) * DAY).await
        {
            tracing::warn!(%error, "Old usage could not be forgotten.");
        }
    }
}
