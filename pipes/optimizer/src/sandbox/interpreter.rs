//! The Python of this machine, and the files that it needs.

use serde::Deserialize;
use std::{path::Path, process::Stdio, time::Duration};
use tokio::{process::Command, time::timeout};

/// A Python, and the files that it needs.
#[derive(Debug, Deserialize)]
pub(super) struct Interpreter {
    pub program: String,
    /// Files and folders that must be in its sight, beside the system's libraries.
    pub files: Vec<String>,
}

/// Prints where the interpreter and its modules are.
const LAYOUT: &str = "
import json, os, sys
program = os.path.realpath(sys.executable)
files = {program, sys.executable, *sys.path}
if sys.base_prefix != '/usr':
    files.add(os.path.join(sys.base_prefix, 'lib'))
if sys.prefix != sys.base_prefix:
    files.add(sys.prefix)
files = sorted(path for path in files if os.path.exists(path))
print(json.dumps({'program': program, 'files': files}))
";

impl Interpreter {
    /// Asks a Python where its files are.
    pub async fn read(python: &Path) -> Option<Self> {
        let mut command = Command::new(python);
        command.args(["-I", "-c", LAYOUT]).stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.kill_on_drop(true).output();
        let output = timeout(Duration::from_secs(10), output).await.ok()?.ok()?;
        serde_json::from_slice(&output.stdout).ok()
    }
}
