//! The store: one database for usage, limits, conversations and saved valves.

use crate::{
    Result,
    clock::unix_millis,
    conversations::{self, ConversationEngine, Conversations},
    limits::{LimitStore, Limits, OutagePolicy},
    postgres::{Postgres, SavedValves},
    sqlite::{Sqlite, SqliteConversations},
    usage::{DAY, Ledger, Usage},
};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{task::JoinSet, time::interval};

/// The interval at which expired rows are deleted.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(600);

/// The settings of a store.
#[derive(Clone, Default)]
pub struct StoreSettings {
    /// The URL of a PostgreSQL, `postgres://…`; without it, a SQLite file in the data folder is
    /// used.
    pub database_url: Option<String>,
    /// The key that encrypts conversations, and saved valves in PostgreSQL; without it they are
    /// stored in clear text, including secrets.
    pub secret_key: Option<String>,
    /// The data folder.
    pub folder: PathBuf,
    /// The days for which single answers are stored; sums by day are never deleted. 0 stores
    /// answers for ever too.
    pub usage_days: u32,
    /// The behaviour of limits and budgets while the database is unavailable.
    pub outage_policy: OutagePolicy,
}

/// One database for usage, limits, conversations and saved valves.
pub struct Store {
    usage: Arc<Usage>,
    limits: Arc<Limits>,
    conversations: Arc<Conversations>,
    engine: Engine,
    saved_valves: Option<SavedValves>,
    /// The cleanup task; it ends with the store.
    _cleanup: Mutex<JoinSet<()>>,
}

/// The database behind the store.
enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// Opens the database and migrates its schema.
    ///
    /// A corrupt file is moved aside, and an in-memory database replaces a folder that cannot be
    /// written to; see [`health_problem`](Self::health_problem).
    ///
    /// A PostgreSQL may become available later, unless the outage policy is
    /// [closed](OutagePolicy::Closed).
    ///
    /// # Errors
    /// If a setting is invalid, the database refuses the login, or its schema is of a newer
    /// version.
    pub async fn open(settings: &StoreSettings) -> Result<Self> {
        let Some(url) = &settings.database_url else {
            let sqlite = Sqlite::open(&settings.folder).await?;
            let (ledger, limit_store) = (Arc::new(sqlite.clone()), Arc::new(sqlite.clone()));
            let conversations = Arc::new(SqliteConversations::new(sqlite.clone()));
            let engine = Engine::Sqlite(sqlite);
            return Self::with_engine(engine, ledger, limit_store, conversations, None, settings);
        };
        let postgres = Postgres::open(url, settings.outage_policy).await?;
        let valves = SavedValves::new(postgres.clone(), settings.secret_key.as_deref())?;
        let (ledger, limit_store) = (Arc::new(postgres.clone()), Arc::new(postgres.clone()));
        let conversations = Arc::new(postgres.clone());
        let (engine, valves) = (Engine::Postgres(postgres), Some(valves));
        Self::with_engine(engine, ledger, limit_store, conversations, valves, settings)
    }

    /// Creates the store on an open database.
    fn with_engine(
        engine: Engine,
        ledger: Arc<dyn Ledger>,
        limit_store: Arc<dyn LimitStore>,
        conversations: Arc<dyn ConversationEngine>,
        saved_valves: Option<SavedValves>,
        settings: &StoreSettings,
    ) -> Result<Self> {
        let conversations = Conversations::new(conversations, settings.secret_key.as_deref())?;
        let conversations = Arc::new(conversations);
        let usage = Arc::new(Usage::new(ledger));
        let limits = Arc::new(Limits::new(limit_store, settings.outage_policy));
        let mut tasks = JoinSet::new();
        tasks.spawn(run_cleanup(Arc::clone(&usage), Arc::clone(&limits), settings.usage_days));
        tasks.spawn(conversations::run_cleanup(Arc::clone(&conversations)));
        let _cleanup = Mutex::new(tasks);
        Ok(Self { usage, limits, conversations, engine, saved_valves, _cleanup })
    }

    /// Returns the saved valves, if replicas share them.
    pub fn saved_valves(&self) -> Option<&SavedValves> {
        self.saved_valves.as_ref()
    }

    /// Returns the usage of all answers.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Returns the store of conversations.
    pub fn conversations(&self) -> &Conversations {
        &self.conversations
    }

    /// Returns the limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the micro-dollars that a user has spent since this time, for a budget check; `None`
    /// if the database is unavailable and the outage policy is open.
    ///
    /// # Errors
    /// If the database is unavailable and the outage policy is [closed](OutagePolicy::Closed).
    pub async fn budget_spent(&self, user: &str, since: i64) -> Result<Option<i64>> {
        self.limits.apply_outage_policy(self.usage.spent(user, since).await)
    }

    /// Returns the problem of the database, if it has one, for the operator.
    pub fn health_problem(&self) -> Option<String> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.health_problem(),
            Engine::Postgres(postgres) => postgres.health_problem(),
        }
    }
}

async fn run_cleanup(usage: Arc<Usage>, limits: Arc<Limits>, days: u32) {
    let mut timer = interval(CLEANUP_INTERVAL);
    loop {
        timer.tick().await;
        if let Err(error) = limits.delete_expired().await {
            tracing::warn!(%error, "Expired rows of limits could not be deleted.");
        }
        if days > 0
            && let Err(error) = usage.delete_before(unix_millis() - i64::from(days) * DAY).await
        {
            tracing::warn!(%error, "Old usage could not be deleted.");
        }
    }
}
