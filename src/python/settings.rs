//! The settings of Python pipelines.

use clap::{Args, ValueEnum};
use python_worker::UserId;
use std::path::PathBuf;

/// The settings of Python pipelines (`docs/python-pipelines.md`).
#[derive(Clone, Debug, Args)]
pub struct PythonSettings {
    /// Run the Python pipelines (`.py` files) of the data folder. `files` runs them; `on` also lets
    /// the holder of the API key upload, install and delete them, which means: run any code on this
    /// machine.
    #[arg(
        id = "python_pipelines",
        long = "python-pipelines",
        env = "PYTHON_PIPELINES",
        value_enum,
        default_value = "off"
    )]
    pub mode: PythonMode,
    /// The Python that runs them: a path, or a name that is looked for in `PATH`. Python 3.9 or
    /// later.
    #[arg(
        id = "python_program",
        long = "python-program",
        env = "PYTHON_PIPELINES_PYTHON",
        default_value = "python3",
        value_name = "PROGRAM"
    )]
    pub program: PathBuf,
    /// The environment variables that they get, separated by commas, for example
    /// `OPENAI_API_KEY,HTTPS_PROXY`. They get no others.
    #[arg(
        id = "python_env",
        long = "python-env",
        env = "PYTHON_PIPELINES_ENV",
        value_name = "NAME,…",
        value_delimiter = ','
    )]
    pub environment: Vec<String>,
    /// The files and folders that they may read, separated by commas, besides those of the system
    /// and of Python. Devices among them may be written. `/dev/shm` allows shared memory, which no
    /// limit of memory covers, and a socket allows Unix sockets.
    #[arg(
        id = "python_readable",
        long = "python-readable",
        env = "PYTHON_PIPELINES_READABLE",
        value_name = "PATH,…",
        value_delimiter = ','
    )]
    pub readable: Vec<PathBuf>,
    /// The user that they run as, as numeric ids, for example `1000:1000`. The server must run as
    /// root for it.
    #[arg(
        id = "python_user",
        long = "python-user",
        env = "PYTHON_PIPELINES_USER",
        value_name = "UID:GID",
        value_parser = parse_user
    )]
    pub user: Option<UserId>,
    /// The URLs of Python pipelines that are downloaded at startup, separated by semicolons.
    #[arg(
        id = "pipelines_urls",
        long = "pipelines-urls",
        env = "PIPELINES_URLS",
        value_name = "URL;…",
        value_delimiter = ';'
    )]
    pub urls: Vec<String>,
    /// A `requirements.txt` whose packages are installed for all Python pipelines.
    #[arg(
        id = "pipelines_requirements_path",
        long = "pipelines-requirements-path",
        env = "PIPELINES_REQUIREMENTS_PATH",
        value_name = "FILE"
    )]
    pub requirements_file: Option<PathBuf>,
    /// Delete all Python pipelines of the data folder at startup. Saved valves stay.
    #[arg(id = "reset_pipelines_dir", long = "reset-pipelines-dir", env = "RESET_PIPELINES_DIR")]
    pub resets_folder: bool,
}

/// The Python pipelines that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PythonMode {
    /// No Python files.
    Off,
    /// The Python files in the data folder.
    Files,
    /// The Python files in the data folder, and the API adds and deletes them.
    On,
}

fn parse_user(text: &str) -> Result<UserId, String> {
    let (user, group) = text.split_once(':').unwrap_or((text, text));
    let parse = |id: &str| id.parse().map_err(|_| "must be UID or UID:GID, in numbers".to_owned());
    Ok(UserId { user: parse(user)?, group: parse(group)? })
}
