//! Runs Python programs that models wrote, in a process that can reach nothing.
//!
//! [Bubblewrap](https://github.com/containers/bubblewrap) starts the machine's Python in namespaces
//! of its own (user, mount, network, process, IPC, host name, cgroup), without capabilities and
//! environment, with nothing in sight but the interpreter and the system's libraries, to be read
//! only. Before a program begins, limits of memory, time and files are set, and a filter of system
//! calls is loaded that knows no sockets, no processes and no signals to others. Before the first
//! program, all this is tried out; a machine where something holds no programs runs none.

mod interpreter;
#[cfg(target_os = "linux")]
mod system_calls;

use interpreter::Interpreter;
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    sync::{OnceCell, Semaphore},
    time::timeout,
};

/// The sandbox of this machine, or the reason why it has none.
static SANDBOX: OnceCell<Result<Sandbox, String>> = OnceCell::const_new();

/// The number of programs that run at once, for all requests.
static PERMITS: Semaphore = Semaphore::const_new(4);

/// The time-out of a program, in seconds.
pub(crate) const TIMEOUT_SECONDS: u64 = 10;

/// The memory limit of a program, in bytes.
const MEMORY_BYTES: u64 = 512 << 20;

/// The maximum size of a program, in bytes.
pub(crate) const MAX_PROGRAM_BYTES: usize = 64 << 10;

/// The maximum size of each of its outputs, in bytes.
const MAX_OUTPUT_BYTES: usize = 32 << 10;

/// The largest part of an error that is reported, in bytes: its end.
const MAX_ERROR_BYTES: usize = 2000;

/// The exit status of the bootstrap if it could not isolate the program.
const NOT_ISOLATED: i32 = 97;

/// The Python that limits itself and then runs the program.
const BOOTSTRAP: &str = include_str!("sandbox/bootstrap.py");
/// The program that tests the sandbox.
const SELF_TEST: &str = include_str!("sandbox/self_test.py");

/// The programs and the filter that make a sandbox.
struct Sandbox {
    bubblewrap: PathBuf,
    interpreter: Interpreter,
    /// The filter of system calls, as the kernel reads it.
    filter: Vec<u8>,
}

/// The reason why a program gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunError {
    /// The program failed: the end of its error output.
    Program(String),
    /// The sandbox could not run the program: the reason.
    Sandbox(String),
}

/// Returns an error unless this machine can run programs in isolation. Tries that out once.
///
/// # Errors
/// Returns the reason, and what to do.
pub(crate) async fn check_available() -> Result<(), String> {
    sandbox().await.map(|_| ())
}

/// Runs a Python program, and returns what it prints.
///
/// # Errors
/// Returns the program's error, or the reason why it could not be run.
pub(crate) async fn run(program: &str) -> Result<String, RunError> {
    let sandbox = sandbox().await.map_err(RunError::Sandbox)?;
    sandbox.run(program).await
}

/// Returns the sandbox of this machine, or the reason why it has none.
async fn sandbox() -> Result<&'static Sandbox, String> {
    SANDBOX.get_or_init(Sandbox::find).await.as_ref().map_err(Clone::clone)
}

impl Sandbox {
    /// Looks for the programs that the sandbox needs, and tests it.
    async fn find() -> Result<Self, String> {
        let bubblewrap = find_program("bwrap")
            .ok_or("the program `bwrap` (package bubblewrap) is not installed on the host")?;
        let python =
            find_program("python3").ok_or("the program `python3` is not installed on the host")?;
        let interpreter = Interpreter::read(&python)
            .await
            .ok_or("the program `python3` of the host cannot be run")?;
        let sandbox = Self { bubblewrap, interpreter, filter: system_call_filter()? };
        match sandbox.run(SELF_TEST).await {
            Ok(output) if output.trim() == "isolated" => Ok(sandbox),
            Ok(output) => Err(format!(
                "programs are not isolated on this host, as a test of the sandbox shows: {}",
                output.trim()
            )),
            Err(RunError::Program(reason) | RunError::Sandbox(reason)) => Err(format!(
                "the host cannot isolate programs (user namespaces may be forbidden): {reason}"
            )),
        }
    }

    /// Runs a program, and returns its output.
    async fn run(&self, program: &str) -> Result<String, RunError> {
        if program.len() > MAX_PROGRAM_BYTES {
            let fault = format!("the program is longer than {MAX_PROGRAM_BYTES} bytes");
            return Err(RunError::Program(fault));
        }
        let closed = |_| RunError::Sandbox("the host runs no programs any more".into());
        let _permit = PERMITS.acquire().await.map_err(closed)?;
        let started = self.command().spawn();
        let mut child = started.map_err(|error| {
            RunError::Sandbox(format!("the sandbox could not be started: {}", error.kind()))
        })?;
        let seconds = Duration::from_secs(TIMEOUT_SECONDS + 2);
        timeout(seconds, self.talk(&mut child, program)).await.unwrap_or_else(|_| Err(too_slow()))
    }

    /// Returns the command that starts the interpreter in a sandbox.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.bubblewrap);
        command
            .args(["--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"])
            .args(["--die-with-parent", "--new-session", "--clearenv"])
            .args(["--hostname", "sandbox", "--uid", "65534", "--gid", "65534"]);
        for folder in ["/usr/lib", "/usr/lib64", "/lib", "/lib64"] {
            command.args(["--ro-bind-try", folder, folder]);
        }
        for path in &self.interpreter.files {
            command.arg("--ro-bind-try").args([path, path]);
        }
        command
            .args(["--dev-bind", "/dev/null", "/dev/null"])
            .args(["--remount-ro", "/", "--chdir", "/"])
            .args(["--setenv", "OPENBLAS_NUM_THREADS", "1"])
            .arg(&self.interpreter.program)
            .args(["-I", "-B", "-c", BOOTSTRAP])
            .arg(MEMORY_BYTES.to_string())
            .arg(TIMEOUT_SECONDS.to_string())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Gives a process its program, and reads what becomes of it.
    async fn talk(&self, child: &mut Child, program: &str) -> Result<String, RunError> {
        let broken = || RunError::Sandbox("the sandbox could not be started".into());
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(broken());
        };
        let write = async {
            let length = u32::try_from(self.filter.len()).unwrap_or_default().to_le_bytes();
            let input = [&length[..], &self.filter, program.as_bytes()].concat();
            // A process that stops reading has something to say.
            _ = stdin.write_all(&input).await;
            drop(stdin);
            Ok::<_, RunError>(())
        };
        let ((), output, errors) = tokio::try_join!(write, read(stdout), read(stderr))?;
        let status = child.wait().await.map_err(|_| broken())?;
        match status.code() {
            Some(0) => Ok(output),
            Some(NOT_ISOLATED) => Err(RunError::Sandbox(errors.trim().to_owned())),
            // Bubblewrap's way to tell of signals: SIGKILL and SIGXCPU.
            Some(137 | 152) => Err(too_slow()),
            _ if errors.starts_with("bwrap: ") => Err(RunError::Sandbox(errors.trim().to_owned())),
            _ => {
                let end = errors.trim_end();
                let from = end.ceil_char_boundary(end.len().saturating_sub(MAX_ERROR_BYTES));
                Err(RunError::Program(end.get(from..).unwrap_or_default().to_owned()))
            }
        }
    }
}

/// Returns the error of a program that did not end in time.
fn too_slow() -> RunError {
    RunError::Program(format!("the program ran for longer than {TIMEOUT_SECONDS} s"))
}

/// Returns all that a process writes.
async fn read(output: impl AsyncRead + Unpin) -> Result<String, RunError> {
    let mut bytes = Vec::new();
    let mut limited = output.take(MAX_OUTPUT_BYTES as u64 + 1);
    let read = limited.read_to_end(&mut bytes).await;
    read.map_err(|_| RunError::Sandbox("the sandbox could not be read".into()))?;
    if bytes.len() > MAX_OUTPUT_BYTES {
        let fault = format!("the program printed more than {MAX_OUTPUT_BYTES} bytes");
        return Err(RunError::Program(fault));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn find_program(name: &str) -> Option<PathBuf> {
    // The system's own before those of a user.
    let usual = ["/usr/bin", "/usr/local/bin"].map(PathBuf::from).into_iter();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = usual.chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

#[cfg(target_os = "linux")]
fn system_call_filter() -> Result<Vec<u8>, String> {
    system_calls::build_filter()
        .map_err(|error| format!("system calls cannot be filtered: {error}"))
}

#[cfg(not(target_os = "linux"))]
fn system_call_filter() -> Result<Vec<u8>, String> {
    Err("programs can be isolated on Linux alone".into())
}

#[cfg(test)]
mod tests;
