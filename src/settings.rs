//! Settings of the host, read once at startup from command line flags and environment variables.

mod data_folder;
mod host;

pub use data_folder::{check_data_folder, describe_data_folder};

use crate::{
    http::{AllowedOrigins, DEFAULT_KEY, HostNames, TrustedProxies},
    log::{LogFormat, LogLevel},
    pipes::PIPES,
    python::PythonSettings,
    slot::{ConfigSources, PathRoots},
    valves::Pins,
};
use anyhow::ensure;
use clap::{
    Args, Command,
    builder::{BoolishValueParser, NonEmptyStringValueParser},
};
use host::parse_host;
use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Duration,
};
use store::{Cipher, OutagePolicy, StoreSettings};

/// The settings of the server.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// The IP address or host name to listen on. Without it, all addresses; or loopback only, if
    /// the API key is the public default.
    #[arg(long, env = "HOST", global = true, value_parser = parse_host)]
    pub host: Option<IpAddr>,
    /// The port to listen on. 0 chooses a free port.
    #[arg(long, env = "PORT", global = true, default_value_t = 9099)]
    pub port: u16,
    /// The API key that clients must send. The default is the public key of Open WebUI's Pipelines
    /// server; it grants access only if the server listens on loopback.
    #[arg(
        long,
        env = "PIPELINES_API_KEY",
        global = true,
        default_value = DEFAULT_KEY,
        hide_env_values = true,
        value_name = "KEY",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub api_key: String,
    /// Accept the default key from private addresses even if the server does not listen on
    /// loopback. Use it only in a network that you trust.
    #[arg(long, env = "ALLOW_DEFAULT_KEY", value_parser = BoolishValueParser::new())]
    pub allow_default_key: bool,
    /// The host names that are accepted with the default key, besides IP addresses and `localhost`,
    /// separated by commas, for example `pipewright,models.lan`. Other names are refused, which
    /// protects against DNS rebinding.
    #[arg(long, env = "HOST_NAMES", default_value = "", hide_default_value = true)]
    pub host_names: HostNames,
    /// The proxies whose `X-Forwarded-For` header is trusted: IP addresses and networks, separated
    /// by commas, for example `10.0.0.0/8,192.0.2.7`.
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "", hide_default_value = true)]
    pub trusted_proxies: TrustedProxies,
    /// The number of requests with a missing or wrong key that one address may send per minute.
    /// Further requests with a wrong key get status 429. Requests with a valid key are never
    /// limited by this.
    #[arg(long, env = "BAD_KEYS_PER_MINUTE", default_value_t = 20, value_name = "COUNT")]
    pub bad_keys_per_minute: u32,
    /// The origins of web pages that may call the model routes from a browser (CORS), separated by
    /// commas, for example `https://chat.example.com`, or `*` for all. Without it, no web page may.
    /// Admin routes are never open to web pages.
    #[arg(long, env = "ALLOWED_ORIGINS", default_value = "", hide_default_value = true)]
    pub allowed_origins: AllowedOrigins,
    /// The secret with which Open WebUI signs the user's identity, the same as
    /// `FORWARD_USER_INFO_HEADER_JWT_SECRET` in Open WebUI. If it is set, user information without
    /// a valid signature is ignored.
    #[arg(
        long,
        env = "FORWARD_USER_INFO_HEADER_JWT_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub user_jwt_secret: Option<String>,
    /// Additional API keys with names, for example `ci=secret,alice=other`. They grant access to
    /// the model routes only. Limits, budgets and usage reports show their names.
    #[arg(long, env = "PIPELINES_API_KEYS", hide_env_values = true, value_name = "NAME=KEY,…")]
    pub api_keys: Option<String>,
    /// Serve `/metrics` without an API key.
    #[arg(long, env = "METRICS_OPEN", value_parser = BoolishValueParser::new())]
    pub metrics_open: bool,
    /// A TOML file with your own prices, in US dollars per million tokens. See `docs/usage.md` for
    /// the format.
    #[arg(long, env = "PRICES_FILE", value_name = "FILE")]
    pub prices_file: Option<PathBuf>,
    /// The number of days for which single requests are kept in the usage data. Daily sums are kept
    /// forever. 0 keeps everything forever.
    #[arg(long, env = "USAGE_DAYS", default_value_t = 400)]
    pub usage_days: u32,
    /// The data folder. Valves saved in Open WebUI are stored in `<folder>/<pipe>/valves.json`.
    #[arg(
        long,
        env = "PIPELINES_DIR",
        global = true,
        default_value = "./pipelines",
        value_name = "FOLDER"
    )]
    pub pipelines_dir: PathBuf,
    /// The folders that may contain watched folders of the pipe `rag`, separated by commas (see
    /// `docs/trust.md`). Without it, `watched` in the data folder.
    #[arg(long, env = "WATCHED_ROOTS", value_name = "FOLDER,…", value_delimiter = ',')]
    pub watched_roots: Vec<PathBuf>,
    /// The folders that may contain index files of the pipe `rag`, separated by commas. Without it,
    /// `rag` in the data folder.
    #[arg(long, env = "INDEX_ROOTS", value_name = "FOLDER,…", value_delimiter = ',')]
    pub index_roots: Vec<PathBuf>,
    /// The folders that may contain local models, separated by commas. Without it, `models` in the
    /// data folder.
    #[arg(long, env = "MODEL_ROOTS", value_name = "FOLDER,…", value_delimiter = ',')]
    pub model_roots: Vec<PathBuf>,
    /// The URL of a PostgreSQL database that several replicas share, for example
    /// `postgres://user:password@host/database?sslmode=verify-full`. It stores usage, limits and
    /// saved valves. Without it, they are stored in the data folder.
    #[arg(long, env = "DATABASE_URL", global = true, hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// The key that encrypts saved valves and conversations, in files and in PostgreSQL: at least
    /// 32 random characters, the same on every replica.
    #[arg(
        long,
        env = "PIPEWRIGHT_SECRET_KEY",
        global = true,
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub secret_key: Option<String>,
    /// Refuse requests while the database is unreachable and limits cannot be checked. Without it,
    /// such requests are served.
    #[arg(long, env = "LIMITS_CLOSED", value_parser = BoolishValueParser::new())]
    pub limits_closed: bool,
    /// The file with the operator's valves. Without it, `valves.toml` in the working folder, if
    /// there is one.
    #[arg(long, env = "VALVES_FILE", global = true, value_name = "FILE")]
    pub valves_file: Option<PathBuf>,
    /// The log level. `RUST_LOG` sets levels per module.
    #[arg(long, env = "GLOBAL_LOG_LEVEL", default_value = "INFO", ignore_case = true)]
    pub log_level: LogLevel,
    /// The format of log lines. `auto` is `text` on a terminal and `json` elsewhere.
    #[arg(long, env = "LOG_FORMAT", default_value = "auto", ignore_case = true)]
    pub log_format: LogFormat,
    /// The number of threads that serve requests. 0 uses one thread per core.
    #[arg(long, env = "WORKERS", default_value_t = 0)]
    pub workers: usize,
    /// The number of seconds that running requests may take to finish after SIGTERM.
    #[arg(long, env = "DRAIN_SECONDS", default_value_t = 30)]
    pub drain_seconds: u64,
    /// The number of seconds after which a connection is closed if the client reads nothing. 0
    /// disables this limit.
    #[arg(long, env = "WRITE_IDLE_SECONDS", default_value_t = 60)]
    pub write_idle_seconds: u64,
    /// The total size of all request bodies in memory, and of long responses that are not sent yet,
    /// in MiB. A caller may hold two thirds of it, less if others hold some; further requests get
    /// status 429 with `Retry-After`. A body uses up to four times its size in memory until the
    /// response begins, so the default needs up to 768 MiB.
    #[arg(long, env = "MAX_BODIES_MIB", default_value_t = 192, value_name = "MIB")]
    pub max_bodies_mib: usize,
    /// The memory for embeddings of texts that may be embedded again, in MiB. A text that is found
    /// there is not sent to its model, and costs nothing. 0 disables the cache.
    #[arg(long, env = "EMBEDDING_CACHE_MIB", default_value_t = 64, value_name = "MIB")]
    pub embedding_cache_mib: usize,
    /// The port for local Lambda invocations, as in AWS's base images: `POST
    /// /2015-03-31/functions/function/invocations`. It is not needed on Lambda itself.
    #[arg(long, env = "INVOKE_PORT")]
    pub invoke_port: Option<u16>,
    /// The settings of Python pipelines.
    #[command(flatten)]
    pub python: PythonSettings,
    /// Use a built-in Amazon Bedrock emulator in place of AWS. It needs no AWS account and costs
    /// nothing.
    #[arg(long)]
    pub demo: bool,
    /// The base URL of an OpenAI-compatible server that answers for the demo's models, for example
    /// `http://127.0.0.1:11434/v1` (HTTP only).
    #[arg(long, requires = "demo", value_name = "URL")]
    pub demo_relay: Option<String>,
    /// The model that the relay server is asked for. Without it, the first model that it lists.
    #[arg(long, requires = "demo_relay", value_name = "MODEL")]
    pub demo_relay_model: Option<String>,
}

impl Settings {
    /// Checks settings that exclude each other, and files that are named but do not exist.
    ///
    /// # Errors
    /// A sentence that names the setting and the way out.
    pub fn check(&self) -> anyhow::Result<()> {
        if let Some(file) = &self.valves_file {
            ensure!(
                file.exists(),
                "the file `{}` does not exist: correct `--valves-file` (VALVES_FILE), or remove it",
                file.display()
            );
        }
        Ok(())
    }

    /// Returns the operator's file of valves. It need not exist.
    pub fn valves_file(&self) -> PathBuf {
        self.valves_file.clone().unwrap_or_else(|| "./valves.toml".into())
    }

    /// Returns the address to listen on.
    pub fn host(&self) -> IpAddr {
        let is_for_all = self.api_key != DEFAULT_KEY || self.allow_default_key;
        let usual = if is_for_all { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
        self.host.unwrap_or(usual.into())
    }

    /// Returns the time that running requests may take to finish after SIGTERM.
    pub fn drain_limit(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// Returns the settings of the database.
    pub fn store_settings(&self, folder: &Path) -> StoreSettings {
        // A variable that is set to nothing is not set.
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        StoreSettings {
            folder: folder.to_owned(),
            database_url: set(&self.database_url),
            secret_key: set(&self.secret_key),
            usage_days: self.usage_days,
            outage_policy: if self.limits_closed {
                OutagePolicy::Closed
            } else {
                OutagePolicy::Open
            },
        }
    }

    /// Returns the cipher of saved valves, if the operator has set a key.
    ///
    /// # Errors
    /// Returns an error if the key is too short.
    pub fn valves_cipher(&self) -> anyhow::Result<Option<Cipher>> {
        let secret = self.secret_key.as_deref().filter(|secret| !secret.is_empty());
        Ok(secret.map(Cipher::for_valves).transpose()?)
    }

    /// Returns the names of the environment variables that set one of these.
    pub fn variables() -> Vec<String> {
        let command = Self::augment_args(Command::new("pipewright"));
        let names = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
        names.map(str::to_owned).collect()
    }

    /// Returns the places that the pipes' valves are read from.
    pub fn config_sources(&self, pins: Pins) -> ConfigSources {
        ConfigSources {
            folder: self.pipelines_dir.clone(),
            file: self.valves_file(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            pins,
            roots: self.path_roots(),
        }
    }

    /// Returns the folders that paths in valves must lie in. A relative one counts from the folder
    /// that the host was started in.
    pub fn path_roots(&self) -> PathRoots {
        let absolute = |roots: &[PathBuf]| {
            let named = roots.iter().filter(|root| !root.as_os_str().is_empty());
            named.map(|root| std::path::absolute(root).unwrap_or_else(|_| root.clone())).collect()
        };
        PathRoots {
            watched: absolute(&self.watched_roots),
            index: absolute(&self.index_roots),
            models: absolute(&self.model_roots),
            pipe_folders: PIPES.iter().map(|pipe| pipe.id).collect(),
        }
    }
}

/// Environment variables of Open WebUI's Pipelines server that have no effect here while Python
/// pipelines are off.
pub const IGNORED_VARIABLES: [&str; 4] = [
    "PIPELINES_URLS",
    "PIPELINES_REQUIREMENTS_PATH",
    "RESET_PIPELINES_DIR",
    "INSTALL_FRONTMATTER_REQUIREMENTS",
];
