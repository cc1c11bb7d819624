//! The host's side: starts a worker process for each file, and kills it when its time is over.

use crate::{
    document::Document,
    error::{FileError, ParseError},
    limits::Limits,
    worker::{WorkerRequest, WorkerResponse},
};
use std::{
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    thread,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    sync::Semaphore,
    task, time,
};

/// A parser that starts a process for each file. Its clones share the limit on concurrent
/// processes.
#[derive(Clone, Debug)]
pub struct DocumentParser {
    program: PathBuf,
    argument: OsString,
    permits: Arc<Semaphore>,
}

impl DocumentParser {
    /// Creates a parser that starts `program argument` for every file, at most one process per
    /// processor at a time. The program must call [`worker::run`](crate::worker::run).
    pub fn new(program: impl Into<PathBuf>, argument: impl Into<OsString>) -> Self {
        let permits = thread::available_parallelism().map_or(1, usize::from);
        Self {
            program: program.into(),
            argument: argument.into(),
            permits: Arc::new(Semaphore::new(permits)),
        }
    }

    /// Creates a parser that starts the current program.
    pub fn from_current_program(argument: impl Into<OsString>) -> io::Result<Self> {
        // This path stays the same program even if an update replaces the file.
        let proc_path = Path::new("/proc/self/exe");
        let program =
            if proc_path.exists() { proc_path.to_owned() } else { std::env::current_exe()? };
        Ok(Self::new(program, argument))
    }

    /// Parses one file. Its time begins when its process starts. Dropping the future kills the
    /// process.
    pub async fn parse(
        &self,
        bytes: &[u8],
        name: &str,
        limits: &Limits,
    ) -> Result<Document, FileError> {
        self.run_worker(bytes, name, limits)
            .await
            .map_err(|error| FileError { file_name: name.to_owned(), error })
    }

    async fn run_worker(&self, bytes: &[u8], name: &str, limits: &Limits) -> WorkerResponse {
        if bytes.is_empty() {
            return Err(ParseError::Empty);
        }
        if bytes.len() > limits.file_bytes {
            return Err(ParseError::TooLarge { bytes: bytes.len(), limit: limits.file_bytes });
        }
        let _permit = self.permits.acquire().await.map_err(|error| worker_error(&error))?;
        let mut child = self.spawn_worker().map_err(|error| worker_error(&error))?;
        let Ok(output) =
            time::timeout(limits.time, exchange(&mut child, bytes, name, limits)).await
        else {
            child.kill().await.map_err(|error| worker_error(&error))?;
            return Err(ParseError::TimedOut { limit: limits.time });
        };
        let output = output.map_err(|error| worker_error(&error))?;
        if !output.status.success() {
            return Err(exit_error(&output, limits));
        }
        // Deserializing a large document takes a while.
        task::spawn_blocking(move || {
            serde_json::from_slice(&output.stdout).map_err(|error| worker_error(&error))?
        })
        .await
        .map_err(|error| worker_error(&error))?
    }

    fn spawn_worker(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .arg(&self.argument)
            // The worker gets neither the host's secrets nor its working directory.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

fn worker_error(error: &impl ToString) -> ParseError {
    ParseError::Worker(error.to_string())
}

/// The output of a worker.
struct WorkerOutput {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Sends the request to the worker, and reads its output.
async fn exchange(
    child: &mut Child,
    bytes: &[u8],
    name: &str,
    limits: &Limits,
) -> io::Result<WorkerOutput> {
    let missing_pipe = || io::Error::other("a pipe is missing");
    let mut stdin = child.stdin.take().ok_or_else(missing_pipe)?;
    let stdout_pipe = child.stdout.take().ok_or_else(missing_pipe)?;
    let stderr_pipe = child.stderr.take().ok_or_else(missing_pipe)?;
    let mut request = serde_json::to_vec(&WorkerRequest { name: name.into(), limits: *limits })?;
    request.push(b'\n');
    let send = async move {
        let sent = async {
            stdin.write_all(&request).await?;
            stdin.write_all(bytes).await
        };
        // A worker that stops reading has ended, and its exit status says why.
        sent.await.or_else(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
        })
    };
    // In JSON a quote or a line end takes two bytes, and a block twice its counted overhead.
    let max_bytes = limits.text_bytes.saturating_mul(3).saturating_add(1 << 20);
    let ((), stdout, stderr) = tokio::try_join!(
        send,
        read_limited(stdout_pipe, max_bytes),
        read_limited(stderr_pipe, 1 << 16)
    )?;
    Ok(WorkerOutput { status: child.wait().await?, stdout, stderr })
}

/// Reads to the end, and returns at most the first `max_bytes`.
async fn read_limited(mut reader: impl AsyncRead + Unpin, max_bytes: usize) -> io::Result<Vec<u8>> {
    let mut output = Vec::new();
    (&mut reader)
        .take(u64::try_from(max_bytes).unwrap_or(u64::MAX))
        .read_to_end(&mut output)
        .await?;
    tokio::io::copy(&mut reader, &mut tokio::io::sink()).await?;
    Ok(output)
}

/// Returns the error for a worker that ended without a response.
fn exit_error(output: &WorkerOutput, limits: &Limits) -> ParseError {
    /// The signal that ends a process at once.
    const SIGKILL: i32 = 9;
    /// The signal of a process that has used up its CPU time.
    const SIGXCPU: i32 = 24;
    let has_printed = |words: &str| String::from_utf8_lossy(&output.stderr).contains(words);
    match output.status.signal() {
        // The kernel kills a process when the system runs out of memory before the limit is
        // reached.
        Some(SIGKILL) => ParseError::OutOfMemory { limit: limits.memory_bytes },
        Some(SIGXCPU) => ParseError::TimedOut { limit: limits.time },
        _ if has_printed("memory allocation of") => {
            ParseError::OutOfMemory { limit: limits.memory_bytes }
        }
        _ => ParseError::ParserCrash,
    }
}
