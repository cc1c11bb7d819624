//! The process of a worker: how it is started, what it may use, and how it ends.

use crate::{
    error::WorkerError,
    frame::{read_frame, write_frame},
    output::{OutputSink, pump_lines},
    protocol::{Ready, WorkerFrame},
};
use pipe_sdk::Task;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    os::unix::net::UnixStream as StdUnixStream,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    net::UnixStream,
    process::{Child, Command},
    time::timeout,
};

/// The program that reads the runner from the first frame, and starts it.
const BOOTSTRAP: &str = "\
import os
def read(count):
    data = b''
    while len(data) < count:
        data += os.read(0, count - len(data)) or os._exit(1)
    return data
exec(compile(read(int.from_bytes(read(4), 'big')), '<pipewright runner>', 'exec'))
main(connect())
";

const RUNNER: &str = include_str!("runner/runner.py");
pub const CONFINE: &str = include_str!("runner/confine.py");

/// The modules that pipelines import from their server.
const HELPERS: [(&str, &str); 3] = [
    ("schemas", include_str!("runner/schemas.py")),
    ("utils.pipelines.main", include_str!("runner/utils_pipelines_main.py")),
    ("blueprints.function_calling_blueprint", include_str!("runner/function_calling_blueprint.py")),
];

/// The longest time from the start of a process to its first frame.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// The user and group that a process runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserId {
    /// The numeric id of the user.
    pub user: u32,
    /// The numeric id of the group.
    pub group: u32,
}

/// The resource limits of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessLimits {
    /// The largest size of its data, in bytes; 0 for no limit.
    pub memory_bytes: u64,
    /// The number of open files.
    pub open_files: u64,
    /// The number of processes and threads that may be added to those of its user.
    pub processes: u64,
}

impl Default for ProcessLimits {
    fn default() -> Self {
        Self { memory_bytes: 2 << 30, open_files: 4096, processes: 1024 }
    }
}

/// The settings from which a process is started.
#[derive(Clone)]
pub struct ProcessSettings {
    /// The Python that runs it.
    pub python: PathBuf,
    /// All of its environment variables. Nothing of the host's environment is added.
    pub environment: BTreeMap<String, String>,
    /// Its working folder, in which it may write. It is also its home and its temporary folder.
    pub folder: PathBuf,
    /// Files and folders that it may read, beside those of the system and of Python.
    pub readable: Vec<PathBuf>,
    /// The limits.
    pub limits: ProcessLimits,
    /// The user that it runs as, if it is not the host's.
    pub user: Option<UserId>,
    /// Receives what it prints.
    pub output: OutputSink,
}

/// A process that is ready for calls.
pub struct Process {
    pub child: Child,
    pub group: ProcessGroup,
    pub socket: UnixStream,
    pub ready: Ready,
    pub output_tasks: [Task; 2],
}

/// A process group, which is killed when this is dropped.
#[derive(Debug)]
pub struct ProcessGroup(Pid);

impl ProcessGroup {
    /// Returns the group that this process leads.
    pub fn new(leader: Pid) -> Self {
        Self(leader)
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // The only error is that no process of the group is left.
        _ = kill_process_group(self.0, Signal::KILL);
    }
}

/// Returns the sources of the modules that pipelines import from their server.
pub fn helper_modules() -> Value {
    HELPERS.iter().map(|(name, source)| ((*name).to_owned(), Value::from(*source))).collect()
}

impl ProcessSettings {
    /// Returns the settings for `confine.py`.
    pub fn confinement(&self) -> Value {
        json!({
            "memory_bytes": self.limits.memory_bytes,
            "open_files": self.limits.open_files,
            "processes": self.limits.processes,
            "readable": self.readable,
            "writable": [self.folder],
        })
    }

    /// Starts the process, and waits until it is ready for calls.
    pub async fn spawn(&self) -> Result<Process, WorkerError> {
        let (ours, theirs) = StdUnixStream::pair().map_err(WorkerError::Spawn)?;
        ours.set_nonblocking(true).map_err(WorkerError::Spawn)?;
        let mut socket = UnixStream::from_std(ours).map_err(WorkerError::Spawn)?;
        let mut child = self.command(theirs).spawn().map_err(WorkerError::Spawn)?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let group = ProcessGroup(pid.ok_or_else(|| exited("it ended at once"))?);
        let output_tasks = self.pump_output(&mut child)?;
        let start = timeout(READY_LIMIT, self.start_runner(&mut socket)).await;
        let ready = match start {
            Ok(Ok(Some(ready))) => ready,
            Ok(Ok(None)) => return Err(exited(&describe_exit(child.wait().await))),
            Ok(Err(error)) => return Err(WorkerError::Spawn(error)),
            Err(_) => return Err(WorkerError::Timeout(READY_LIMIT)),
        };
        Ok(Process { child, group, socket, ready, output_tasks })
    }

    fn command(&self, socket: StdUnixStream) -> Command {
        let mut command = Command::new(&self.python);
        command
            .args(["-I", "-u", "-c", BOOTSTRAP])
            .env_clear()
            .envs(&self.environment)
            .envs(["HOME", "TMPDIR"].map(|name| (name, &self.folder)))
            .current_dir(&self.folder)
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(UserId { user, group }) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn pump_output(&self, child: &mut Child) -> Result<[Task; 2], WorkerError> {
        let missing = || WorkerError::Spawn(io::Error::other("it has no output"));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let stdout = pump_lines(stdout.ok_or_else(missing)?, self.output.clone());
        let stderr = pump_lines(stderr.ok_or_else(missing)?, self.output.clone());
        Ok([Task::spawn(stdout), Task::spawn(stderr)])
    }

    async fn start_runner(&self, socket: &mut UnixStream) -> io::Result<Option<Ready>> {
        let settings = json!({"confine": CONFINE, "limits": self.confinement()});
        write_frame(socket, RUNNER.as_bytes()).await?;
        write_frame(socket, &serde_json::to_vec(&settings)?).await?;
        let Some(frame) = read_frame(socket).await? else { return Ok(None) };
        let frame: WorkerFrame = serde_json::from_slice(&frame)?;
        Ok(frame.ready)
    }
}

fn exited(how: &str) -> WorkerError {
    WorkerError::Exited(how.to_owned())
}

/// Describes the exit of a process, as in `exit status: 1`.
pub fn describe_exit(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}
