//! The process of a worker: how it is started, what it may use, and how it ends.

use crate::{
    error::WorkerError,
    frame::{read_frame, write_frame},
    interpreter::Interpreter,
    output::{OutputSink, pump_lines},
    protocol::{Ready, WorkerFrame},
    system_calls::{self, Permissions},
};
use pipe_sdk::Task;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io,
    os::fd::OwnedFd,
    os::unix::{fs::FileTypeExt, net::UnixStream as StdUnixStream},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    net::UnixStream,
    process::{Child, ChildStderr, ChildStdout, Command},
    time::timeout,
};

/// The program that reads the modules of the runner from the first frame, and starts it.
const BOOTSTRAP: &str = "\
import json, os, sys, types
def read(count):
    data = b''
    while len(data) < count:
        data += os.read(0, count - len(data)) or os._exit(1)
    return data
def define(name, source, is_package=False):
    module = types.ModuleType(name)
    if is_package:
        module.__path__ = []
    sys.modules[name] = module
    exec(compile(source, '<' + name + '>', 'exec'), module.__dict__)
    return module
def load(sources):
    define('pipewright_runner', '', is_package=True)
    for name, source in sources:
        last = define('pipewright_runner.' + name, source)
    return last
runner = load(json.loads(read(int.from_bytes(read(4), 'big'))))
runner.main(runner.connect(), sys.argv[1:])
";

/// The modules of the runner: each imports from those before it, and the last one has `main`.
const RUNNER: [(&str, &str); 9] = [
    ("values", include_str!("runner/values.py")),
    ("channel", include_str!("runner/channel.py")),
    ("call", include_str!("runner/call.py")),
    ("functions", include_str!("runner/functions.py")),
    ("results", include_str!("runner/results.py")),
    ("pipeline", include_str!("runner/pipeline.py")),
    ("modules", include_str!("runner/modules.py")),
    ("errors", include_str!("runner/errors.py")),
    ("runner", include_str!("runner/runner.py")),
];

/// The modules of the program that begins each [`ProcessTree`].
const SUPERVISOR_SOURCES: [&str; 3] = [
    include_str!("runner/attributes.py"),
    include_str!("runner/supervise.py"),
    include_str!("runner/confine.py"),
];

/// The end of that program: in a child that has been confined, it becomes another program. The
/// first argument says whether that one gets the names of what the kernel lacks as arguments.
const CONFINED_EXEC: &str = r#"
supervisor = supervise()
settings = json.loads(sys.argv[1])
missing = confine(settings, supervisor)
program = sys.argv[2:] + (missing if settings["tells_missing"] else [])
os.execv(program[0], program)
"#;

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

/// The parts of the machine that a program may use.
pub struct Confinement<'a> {
    pub limits: ProcessLimits,
    /// Files and folders that it may read, beside those of the system and of Python. Devices among
    /// them it may write.
    pub readable: &'a [PathBuf],
    /// The folder in which it may write.
    pub writable: &'a Path,
    /// `true` if the program gets the names of what the kernel lacks as further arguments.
    pub tells_missing: bool,
}

impl Confinement<'_> {
    /// Returns the command that runs a program, given by its path and arguments, for a
    /// [`ProcessTree`]. It has no variables of the host's environment.
    pub fn command<'a>(
        &self,
        interpreter: &Interpreter,
        program: impl IntoIterator<Item = &'a OsStr>,
    ) -> Command {
        let Self { limits, readable, writable, tells_missing } = self;
        let shared_memory = readable.iter().any(|path| path == Path::new("/dev/shm"));
        let is_socket =
            |path: &PathBuf| path.metadata().is_ok_and(|metadata| metadata.file_type().is_socket());
        let permissions = Permissions {
            shared_memory,
            // Processes that share memory find each other by sockets.
            unix_sockets: shared_memory || readable.iter().any(is_socket),
        };
        let readable = [*readable, &*interpreter.readable].concat();
        let settings = json!({
            "memory_bytes": limits.memory_bytes, "open_files": limits.open_files,
            "processes": limits.processes, "readable": readable,
            "writable": [writable], "calls": system_calls::settings(permissions),
            "tells_missing": tells_missing,
        });
        let mut command = Command::new(&interpreter.path);
        // Without `site`, since that runs code of packages (`.pth` files, `sitecustomize`).
        command
            .args(["-I", "-S", "-c", &[&SUPERVISOR_SOURCES.concat(), CONFINED_EXEC].concat()])
            .arg(settings.to_string())
            .args(program)
            .env_clear();
        command
    }
}

/// The settings from which a process is started.
#[derive(Clone)]
pub struct ProcessSettings {
    /// The Python that confines it. No package of the file's environment runs in it.
    pub interpreter: Interpreter,
    /// The Python that runs it.
    pub python: PathBuf,
    /// All of its environment variables. Nothing of the host's environment is added.
    pub environment: BTreeMap<String, String>,
    /// The working folder, in which the process may write. It is also the home and the temporary
    /// folder of the process.
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
    pub tree: ProcessTree,
    pub socket: UnixStream,
    pub ready: Ready,
    pub output_tasks: [Task; 2],
}

/// A program that a [`Confinement`] runs, and all processes that it has started. They are
/// killed when this is dropped.
#[derive(Debug)]
pub struct ProcessTree(Child);

impl ProcessTree {
    /// Starts the program.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        command.process_group(0).spawn().map(Self)
    }

    /// Takes what the program writes to its standard output and error.
    pub fn take_output(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        Some((self.0.stdout.take()?, self.0.stderr.take()?))
    }

    /// Waits until the program has ended, and what it has started with it.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        // A program that has been waited for has no id any more.
        let Some(id) = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return };
        // The only error is that there is no such process.
        if cfg!(target_os = "linux") {
            // The supervisor kills the others, even if it was stopped.
            _ = kill_process(id, Signal::TERM);
            _ = kill_process(id, Signal::CONT);
        } else {
            _ = kill_process_group(id, Signal::KILL);
        }
    }
}

/// Returns the sources of the modules that pipelines import from their server.
pub fn helper_modules() -> Value {
    HELPERS.iter().map(|(name, source)| ((*name).to_owned(), Value::from(*source))).collect()
}

impl ProcessSettings {
    /// Starts the process, and waits until it is ready for calls.
    pub async fn spawn(&self) -> Result<Process, WorkerError> {
        let (ours, theirs) = StdUnixStream::pair().map_err(WorkerError::Spawn)?;
        ours.set_nonblocking(true).map_err(WorkerError::Spawn)?;
        let mut socket = UnixStream::from_std(ours).map_err(WorkerError::Spawn)?;
        let mut tree = ProcessTree::spawn(&mut self.command(theirs)).map_err(WorkerError::Spawn)?;
        let output_tasks = self.pump_output(&mut tree)?;
        let start = timeout(READY_LIMIT, self.start_runner(&mut socket)).await;
        let ready = match start {
            Ok(Ok(Some(ready))) => ready,
            Ok(Ok(None)) => return Err(exited(&describe_exit(tree.wait().await))),
            Ok(Err(error)) => return Err(WorkerError::Spawn(error)),
            Err(_) => return Err(WorkerError::Timeout(READY_LIMIT)),
        };
        Ok(Process { tree, socket, ready, output_tasks })
    }

    /// Returns the command that starts the process.
    fn command(&self, socket: StdUnixStream) -> Command {
        let program = [self.python.as_os_str()];
        let options = ["-I", "-u", "-c", BOOTSTRAP].map(OsStr::new);
        let confinement = Confinement {
            limits: self.limits,
            readable: &self.readable,
            writable: &self.folder,
            tells_missing: true,
        };
        let mut command =
            confinement.command(&self.interpreter, program.into_iter().chain(options));
        command
            .envs(&self.environment)
            .envs(["HOME", "TMPDIR"].map(|name| (name, &self.folder)))
            .current_dir(&self.folder)
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(UserId { user, group }) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn pump_output(&self, tree: &mut ProcessTree) -> Result<[Task; 2], WorkerError> {
        let missing = || WorkerError::Spawn(io::Error::other("it has no output"));
        let (stdout, stderr) = tree.take_output().ok_or_else(missing)?;
        let stdout = pump_lines(stdout, self.output.clone());
        let stderr = pump_lines(stderr, self.output.clone());
        Ok([Task::spawn(stdout), Task::spawn(stderr)])
    }

    async fn start_runner(&self, socket: &mut UnixStream) -> io::Result<Option<Ready>> {
        write_frame(socket, &serde_json::to_vec(&RUNNER)?).await?;
        let Some(frame) = read_frame(socket).await? else { return Ok(None) };
        let frame: WorkerFrame = serde_json::from_slice(&frame)?;
        Ok(frame.ready)
    }
}

/// Returns the error of a process that has ended.
fn exited(how: &str) -> WorkerError {
    WorkerError::Exited(how.to_owned())
}

/// Describes the exit of a process, as in `exit status: 1`.
pub fn describe_exit(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}
