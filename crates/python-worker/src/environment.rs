//! Virtual environments: one for each set of requirements, made once.

use crate::{
    error::WorkerError,
    interpreter::Interpreter,
    output::{OutputSink, pump_lines},
    process::{Confinement, ProcessLimits, ProcessTree},
    requirements::Requirements,
};
use pipe_sdk::Task;
use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore},
    time::timeout,
};

/// The longest time that an environment may take to be made.
const INSTALL_LIMIT: Duration = Duration::from_secs(1800);

/// The memory of each process that makes an environment, in bytes: a package may be compiled.
const MAX_INSTALL_MEMORY: u64 = 4 << 30;

/// The most environments that are made at once.
const MAX_INSTALLS: usize = 4;

/// Variables that let an installer give up on servers that do not answer, after at most a minute
/// each: those of pip, uv and git. The operator's go before them.
const PATIENCE: [(&str, &str); 7] = [
    ("PIP_DEFAULT_TIMEOUT", "15"),
    ("PIP_RETRIES", "2"),
    ("UV_HTTP_TIMEOUT", "15"),
    ("UV_HTTP_RETRIES", "2"),
    ("GIT_HTTP_LOW_SPEED_LIMIT", "1000"),
    ("GIT_HTTP_LOW_SPEED_TIME", "30"),
    ("GIT_TERMINAL_PROMPT", "0"),
];

/// The file that marks a complete environment.
const COMPLETE: &str = ".complete";

/// The program that installs packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PackageInstaller {
    /// `pip` of the interpreter.
    #[default]
    Pip,
    /// `uv` at this path.
    Uv(PathBuf),
}

/// The environments in a folder.
pub struct EnvironmentCache {
    folder: PathBuf,
    installer: PackageInstaller,
    /// Variables for the installer alone, such as proxies and the address of an index.
    variables: BTreeMap<String, String>,
    readable: Vec<PathBuf>,
    /// The locks of environments that are being made, by their digest: files with the same
    /// requirements share one.
    locks: Mutex<HashMap<String, Weak<AsyncMutex<()>>>>,
    /// Bounds how many are made at once.
    turns: Semaphore,
}

impl EnvironmentCache {
    /// Returns the environments in this folder.
    pub fn new(
        folder: PathBuf,
        installer: PackageInstaller,
        variables: BTreeMap<String, String>,
        readable: Vec<PathBuf>,
    ) -> Self {
        let (locks, turns) = (Mutex::default(), Semaphore::new(MAX_INSTALLS));
        Self { folder, installer, variables, readable, locks, turns }
    }

    /// Returns the Python of the environment with these requirements, which is made if it is not
    /// there. What the installer prints goes to `progress`.
    ///
    /// # Errors
    /// Returns an error if the packages cannot be installed.
    pub async fn prepare(
        &self,
        interpreter: &Interpreter,
        requirements: &Requirements,
        progress: &OutputSink,
    ) -> Result<PathBuf, WorkerError> {
        if requirements.is_empty() {
            return Ok(interpreter.path.clone());
        }
        let digest = requirements.digest(&interpreter.version);
        let folder = self.folder.join(&digest);
        let python = folder.join("bin/python");
        let lock = self.lock(digest);
        let _guard = lock.lock().await;
        if folder.join(COMPLETE).exists() {
            return Ok(python);
        }
        let _turn = self.turns.acquire().await.map_err(|error| failed(&error.to_string()))?;
        let install = self.install(interpreter, requirements, &folder, progress);
        let installed = timeout(INSTALL_LIMIT, install).await;
        installed.map_err(|_| failed("it took longer than half an hour"))??;
        // If an installed package has put a link there, it is not followed.
        File::create_new(folder.join(COMPLETE)).map_err(|error| failed(&error.to_string()))?;
        Ok(python)
    }

    /// Returns the lock of the environment with this digest.
    fn lock(&self, digest: String) -> Arc<AsyncMutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(&digest).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::default();
        locks.insert(digest, Arc::downgrade(&lock));
        lock
    }

    /// Creates a virtual environment in a folder, and installs packages in it.
    async fn install(
        &self,
        interpreter: &Interpreter,
        requirements: &Requirements,
        folder: &Path,
        progress: &OutputSink,
    ) -> Result<(), WorkerError> {
        progress("the environment is being made");
        // The folder is left of an attempt that was broken off.
        remove_folder(folder).map_err(|error| failed(&error.to_string()))?;
        fs::create_dir_all(folder.join("tmp")).map_err(|error| failed(&error.to_string()))?;
        let python = folder.join("bin/python");
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let installer = self.usable_installer(interpreter, folder, progress).await;
        let venv = ["-I", "-m", "venv", "--system-site-packages"].map(str::to_owned);
        let venv = [text(&interpreter.path)].into_iter().chain(venv);
        // To install pip takes longer than all the rest.
        let without_pip = (installer != PackageInstaller::Pip).then(|| "--without-pip".to_owned());
        let venv = venv.chain(without_pip).chain([text(folder)]);
        self.run(interpreter, folder, venv.collect(), progress).await?;
        let install = match &installer {
            PackageInstaller::Pip => {
                let options = ["-I", "-m", "pip", "install", "--no-input", "--no-cache-dir"];
                let more = ["--disable-pip-version-check", "--progress-bar=off"];
                let all = options.into_iter().chain(more).map(str::to_owned);
                [text(&python)].into_iter().chain(all).collect::<Vec<_>>()
            }
            PackageInstaller::Uv(uv) => {
                let options = ["pip", "install", "--no-cache", "--python"].map(str::to_owned);
                [text(uv)].into_iter().chain(options).chain([text(&python)]).collect()
            }
        };
        let install = install.into_iter().chain(requirements.arguments()).collect();
        self.run(interpreter, folder, install, progress).await
    }

    /// Returns the installer; `pip` where `uv` cannot be run within the limits of [`Self::run`], as
    /// a script that starts one in a folder of its own.
    async fn usable_installer(
        &self,
        interpreter: &Interpreter,
        folder: &Path,
        progress: &OutputSink,
    ) -> PackageInstaller {
        let PackageInstaller::Uv(uv) = &self.installer else { return PackageInstaller::Pip };
        let version = vec![uv.to_string_lossy().into_owned(), "--version".to_owned()];
        match self.run(interpreter, folder, version, progress).await {
            Ok(()) => self.installer.clone(),
            Err(_) => {
                // `progress` has got the reason.
                tracing::warn!("`{}` cannot be run: pip installs the packages.", uv.display());
                PackageInstaller::Pip
            }
        }
    }

    /// Runs a program that may write nowhere but in the folder of the environment.
    async fn run(
        &self,
        interpreter: &Interpreter,
        folder: &Path,
        arguments: Vec<String>,
        progress: &OutputSink,
    ) -> Result<(), WorkerError> {
        let program = arguments.first().map(PathBuf::from);
        let mut readable = self.readable.clone();
        readable.extend(program.as_deref().and_then(Path::parent).map(Path::to_owned));
        let confinement = Confinement {
            limits: ProcessLimits { memory_bytes: MAX_INSTALL_MEMORY, ..ProcessLimits::default() },
            readable: &readable,
            writable: folder,
            tells_missing: false,
        };
        let arguments = arguments.iter().map(OsStr::new);
        let mut command = confinement.command(interpreter, arguments);
        command
            .envs(PATIENCE)
            .envs(&self.variables)
            .env("HOME", folder)
            .env("TMPDIR", folder.join("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut tree =
            ProcessTree::spawn(&mut command).map_err(|error| failed(&error.to_string()))?;
        let reason = Arc::new(Mutex::new(Reason::default()));
        let output = keep_reason(progress, &reason);
        let (stdout, errors) = tree.take_output().ok_or_else(|| failed("it has no output"))?;
        let stdout = Task::spawn(pump_lines(stdout, output.clone()));
        pump_lines(errors, output).await;
        let status = tree.wait().await.map_err(|error| failed(&error.to_string()))?;
        drop(stdout);
        if status.success() {
            return Ok(());
        }
        let reason = reason.lock().unwrap_or_else(PoisonError::into_inner);
        Err(failed(&reason.describe()))
    }
}

/// The reason why an installer has failed, as far as it has said so.
#[derive(Default)]
struct Reason {
    last_line: String,
    /// `true` if a server did not answer in time.
    has_timed_out: bool,
}

impl Reason {
    fn describe(&self) -> String {
        let line = &*self.last_line;
        match (line, self.has_timed_out) {
            ("", _) => "the installer has failed".to_owned(),
            (line, false) => line.to_owned(),
            (line, true) => {
                format!("{line} (a server did not answer in time: check its address and proxy)")
            }
        }
    }
}

fn keep_reason(progress: &OutputSink, reason: &Arc<Mutex<Reason>>) -> OutputSink {
    let (progress, reason) = (progress.clone(), Arc::clone(reason));
    Arc::new(move |line| {
        // The reason is in lines with the word `error`; other lines after them are advice.
        let mut reason = reason.lock().unwrap_or_else(PoisonError::into_inner);
        let lower = line.to_lowercase();
        if lower.contains("error") || reason.last_line.is_empty() {
            line.clone_into(&mut reason.last_line);
        }
        reason.has_timed_out |= lower.contains("timed out") || lower.contains("timeouterror");
        progress(line);
    })
}

/// Returns the error of an installation.
fn failed(why: &str) -> WorkerError {
    WorkerError::Install(why.to_owned())
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
