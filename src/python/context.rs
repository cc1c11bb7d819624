//! The state that all Python files of a host share.

use super::{
    form::{MEMORY, host_valve},
    settings::PythonSettings,
};
use crate::{
    slot::ConfigSources,
    valves::{Values, ValveStore},
};
use anyhow::Context as _;
use pipe_sdk::PipeError;
use python_worker::{
    EnvironmentCache, Interpreter, OutputSink, PackageInstaller, ProcessLimits, ProcessSettings,
    Requirements, UserId, WorkerError,
};
use std::{
    collections::BTreeMap,
    env,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, chown},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{sync::OnceCell, task::spawn_blocking};

/// The `PATH` of the processes of files.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The state that all Python files of a host share.
pub struct PythonContext {
    /// The data folder, as an absolute path.
    pub folder: PathBuf,
    /// The places that valves are read from.
    pub sources: ConfigSources,
    /// The store of saved valves.
    pub valve_store: Arc<dyn ValveStore>,
    /// The ids of the pipes that are compiled in.
    pub compiled: Vec<&'static str>,
    /// The Python that is used, or its name.
    pub program: PathBuf,
    /// The variables that files get of the host's environment.
    pub environment: BTreeMap<String, String>,
    /// Files and folders that all files may read.
    pub readable: Vec<PathBuf>,
    /// The user that files run as.
    pub user: Option<UserId>,
    /// A `requirements.txt` for all files.
    pub requirements_file: Option<PathBuf>,
    /// The environments of files.
    pub environments: EnvironmentCache,
    /// The Python, once it was found.
    pub interpreter: OnceCell<Interpreter>,
}

/// Variables of the host that the installer gets: proxies and certificates, and beside these all
/// that begin with `PIP_` or `UV_`.
const INSTALLER_VARIABLES: [&str; 9] = [
    "PATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
];

impl PythonContext {
    /// Returns the context for these settings.
    ///
    /// # Errors
    /// Returns an error if a path is wrong.
    pub fn new(
        settings: &PythonSettings,
        sources: &ConfigSources,
        valve_store: &Arc<dyn ValveStore>,
        compiled: Vec<&'static str>,
    ) -> anyhow::Result<Self> {
        let folder = std::path::absolute(&sources.folder).context("the data folder has no path")?;
        let variables = |is_wanted: &dyn Fn(&str) -> bool| -> BTreeMap<String, String> {
            let wanted = sources.environment.iter().filter(|(name, _)| is_wanted(name));
            wanted.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let is_installers = |name: &str| {
            INSTALLER_VARIABLES.contains(&name)
                || name.starts_with("PIP_")
                || name.starts_with("UV_")
        };
        let is_files = |name: &str| settings.environment.iter().any(|wanted| wanted == name);
        let program_path = sources.environment.get("PATH").map_or("", String::as_str);
        let installer = find_program("uv", program_path);
        let installer = installer.map_or(PackageInstaller::Pip, PackageInstaller::Uv);
        let mut readable = settings.readable.clone();
        readable.extend(settings.requirements_file.clone());
        let environments = folder.join("python/environments");
        Ok(Self {
            folder,
            sources: sources.clone(),
            valve_store: Arc::clone(valve_store),
            compiled,
            program: settings.program.clone(),
            environment: variables(&is_files),
            environments: EnvironmentCache::new(
                environments,
                installer,
                variables(&is_installers),
                readable.clone(),
            ),
            readable,
            user: settings.user,
            requirements_file: settings.requirements_file.clone(),
            interpreter: OnceCell::new(),
        })
    }

    /// Returns the path of a file.
    pub fn file(&self, stem: &str) -> PathBuf {
        self.folder.join(format!("{stem}.py"))
    }

    /// Returns the Python, which is looked for until it is found.
    pub async fn interpreter(&self) -> Result<&Interpreter, WorkerError> {
        self.interpreter.get_or_try_init(|| Interpreter::find(&self.program)).await
    }

    /// Returns the requirements with the operator's `requirements.txt`.
    pub async fn with_requirements_file(
        &self,
        requirements: Requirements,
    ) -> Result<Requirements, WorkerError> {
        let Some(path) = self.requirements_file.clone() else { return Ok(requirements) };
        let read = {
            let path = path.clone();
            run_blocking(move || crate::regular_file::read(&path)).await
        };
        let content = read.map_err(|error| {
            WorkerError::Install(format!("{} cannot be read: {error}", path.display()))
        })?;
        Ok(requirements.with_file(&path, content))
    }

    /// Returns the settings of the process of a file, and makes its working folder.
    pub async fn process_settings(
        &self,
        stem: &'static str,
        python: PathBuf,
        values: &Values,
        output: OutputSink,
    ) -> Result<ProcessSettings, WorkerError> {
        let folder = self.folder.join("python/work").join(stem);
        let (made, user) = (folder.clone(), self.user);
        let made = run_blocking(move || make_working_folder(&made, user)).await;
        made.map_err(WorkerError::Spawn)?;
        let programs = python.parent().map(|bin| bin.to_string_lossy().into_owned());
        let mut environment = self.environment.clone();
        let path = programs.map_or(SYSTEM_PATH.to_owned(), |bin| format!("{bin}:{SYSTEM_PATH}"));
        environment.entry("PATH".to_owned()).or_insert(path);
        environment.entry("LANG".to_owned()).or_insert("C.UTF-8".to_owned());
        let own = [self.file(stem)].into_iter();
        let environments = python.parent().and_then(Path::parent).map(Path::to_owned);
        Ok(ProcessSettings {
            interpreter: self.interpreter().await?.clone(),
            python,
            environment,
            folder,
            readable: own.chain(environments).chain(self.readable.iter().cloned()).collect(),
            limits: ProcessLimits {
                memory_bytes: host_valve(values, MEMORY) << 20,
                ..ProcessLimits::default()
            },
            user: self.user,
            output,
        })
    }
}

/// Returns the program with this name in one of the folders of a `PATH`.
fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    env::split_paths(path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Runs what may wait for the disk beside the threads that serve requests.
pub async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

fn make_working_folder(folder: &Path, user: Option<UserId>) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match user {
        Some(UserId { user, group }) => chown(folder, Some(user), Some(group)),
        None => Ok(()),
    }
}

/// Returns the error of an admin's request about a file.
pub fn file_error(message: impl Into<String>) -> PipeError {
    PipeError::Refused { status: 422, message: message.into(), retry_after: None }
}
