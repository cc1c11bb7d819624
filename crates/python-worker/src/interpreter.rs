//! The Python that runs the files.

use crate::error::WorkerError;
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{process::Command, time::timeout};

/// A Python that can run the runner.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// The program itself, not a script that starts it.
    pub path: PathBuf,
    /// The version, as in `3.11.7`.
    pub version: String,
    /// The folders of its modules and programs.
    pub readable: Vec<PathBuf>,
}

/// The oldest version that can run the runner.
const MIN_VERSION: (u32, u32) = (3, 9);

/// The longest time that the interpreter may take to tell about itself.
const PROBE_LIMIT: Duration = Duration::from_secs(30);

/// The program that reports the interpreter's version and the modules that it lacks.
const PROBE: &str = "\
import importlib.util, json, os, sys
def is_missing(name):
    try:
        return importlib.util.find_spec(name) is None
    except ImportError:
        return True
folders = [sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable))]
print(json.dumps({'path': sys.executable, 'version': list(sys.version_info[:3]),
                  'folders': folders + [path for path in sys.path if path],
                  'missing': [name for name in sys.argv[1:] if is_missing(name)]}))
";

/// The report of an interpreter.
#[derive(Deserialize)]
struct Probe {
    path: PathBuf,
    version: (u32, u32, u32),
    folders: Vec<PathBuf>,
    missing: Vec<String>,
}

impl Interpreter {
    /// Finds the interpreter at this path, or the one of this name in `PATH`.
    ///
    /// # Errors
    /// Returns an error if there is none, or it is too old.
    pub async fn find(program: &Path) -> Result<Self, WorkerError> {
        let Probe { path, version: (major, minor, patch), folders, .. } =
            probe(program, &[]).await?;
        let version = format!("{major}.{minor}.{patch}");
        if (major, minor) < MIN_VERSION {
            let program = program.display();
            return Err(WorkerError::NoInterpreter(format!("{program} is Python {version}")));
        }
        Ok(Self { path, version, readable: folders })
    }

    /// Returns those of these modules that cannot be imported.
    ///
    /// # Errors
    /// Returns an error if the interpreter does not answer.
    pub async fn missing_modules(&self, modules: &[&str]) -> Result<Vec<String>, WorkerError> {
        if modules.is_empty() {
            return Ok(Vec::new());
        }
        Ok(probe(&self.path, modules).await?.missing)
    }
}

/// Runs the program that reports about the interpreter.
async fn probe(program: &Path, modules: &[&str]) -> Result<Probe, WorkerError> {
    let failed = |why: String| WorkerError::NoInterpreter(format!("{}: {why}", program.display()));
    let mut command = Command::new(program);
    command.args(["-I", "-c", PROBE]).args(modules).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PROBE_LIMIT, command.output()).await;
    let output = output.map_err(|_| failed("it does not answer".into()))?;
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}
