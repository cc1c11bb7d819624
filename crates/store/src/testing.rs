//! PostgreSQL servers for tests: one per process, with one database per test.

mod proxy;

pub use proxy::Proxy;

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// A server that stops when this is dropped, or with the process.
pub struct Server {
    url: String,
    /// The server stops when its standard input is closed.
    _script: Child,
}

impl Server {
    /// Returns the server of this process; `None` if it cannot be started, with the reason on
    /// standard error.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[])).as_ref()
    }

    /// Returns the server of this process that has pgvector.
    pub fn with_vectors() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[("POSTGRES_VECTORS", OsStr::new("1"))])).as_ref()
    }

    /// Starts a server that uses TLS with `server.crt` and `server.key` of this folder.
    pub fn with_tls(folder: &Path) -> Option<Self> {
        Self::start(&[("POSTGRES_TLS", folder.as_os_str())])
    }

    /// Starts a server that syncs to disk, for benchmarks.
    pub fn durable() -> Option<Self> {
        Self::start(&[("POSTGRES_DURABLE", OsStr::new("1"))])
    }

    #[expect(clippy::print_stderr, reason = "whoever tests is to see what was not tested")]
    fn start(settings: &[(&str, &OsStr)]) -> Option<Self> {
        let started = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres"))
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut script = match started {
            Ok(script) => script,
            Err(error) => {
                eprintln!("Skipped: PostgreSQL cannot be started ({error}).");
                return None;
            }
        };
        let mut url = String::new();
        BufReader::new(script.stdout.take()?).read_line(&mut url).ok()?;
        if url.is_empty() {
            let mut why = String::new();
            script.stderr.take()?.read_to_string(&mut why).ok()?;
            eprintln!("Skipped: PostgreSQL cannot be started: {why}");
            return None;
        }
        Some(Self { url: url.trim().to_owned(), _script: script })
    }

    /// Creates a database, and returns its URL.
    ///
    /// # Errors
    /// If it cannot be created.
    pub async fn database(&self) -> Result<String, tokio_postgres::Error> {
        self.create_database("").await
    }

    /// Creates a database whose tables are in this folder, and returns its URL.
    ///
    /// # Errors
    /// If it cannot be created.
    pub async fn database_in(&self, folder: &Path) -> Result<String, tokio_postgres::Error> {
        let (url, folder) = (format!("{}/postgres", self.url), folder.display());
        execute(&url, &format!("CREATE TABLESPACE elsewhere LOCATION '{folder}'")).await?;
        self.create_database("TABLESPACE elsewhere").await
    }

    async fn create_database(&self, place: &str) -> Result<String, tokio_postgres::Error> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let make = format!("CREATE DATABASE {name} {place}");
        execute(&format!("{}/postgres", self.url), &make).await?;
        Ok(format!("{}/{name}", self.url))
    }
}

/// Runs SQL, and returns the number in its result, if there is one.
///
/// # Errors
/// If the database refuses it.
pub async fn execute(url: &str, sql: &str) -> Result<Option<i64>, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(async { _ = connection.await });
    let answers = client.simple_query(sql).await?;
    Ok(answers.iter().find_map(|answer| match answer {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    }))
}
