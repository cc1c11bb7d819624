//! The host's side: one process a file, killed when its time is over.

use crate::{
    document::Document,
    error::{Error, Reason},
    limits::Limits,
    worker::{Answer, Order},
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

/// Reads files, each in a process of its own. Clones share the places that there are.
#[derive(Clone, Debug)]
pub struct Parser {
    program: PathBuf,
    argument: OsString,
    places: Arc<Semaphore>,
}

impl Parser {
    /// A parser that starts `program argument` for every file, as many at once as there are processors. What it starts has to call
    /// [`worker::run`](crate::worker::run).
    pub fn new(program: impl Into<PathBuf>, argument: impl Into<OsString>) -> Self {
        let places = thread::available_parallelism().map_or(1, usize::from);
        Self {
            program: program.into(),
            argument: argument.into(),
            places: Arc::new(Semaphore::new(places)),
        }
    }

    /// A parser that starts the program that is running now.
    pub fn of_this_program(argument: impl Into<OsString>) -> io::Result<Self> {
        // It stays the same program when the file is replaced by a newer one.
        let linux = Path::new("/proc/self/exe");
        let program = if linux.exists() { linux.to_owned() } else { std::env::current_exe()? };
        Ok(Self::new(program, argument))
    }

    /// Reads one file. Its time begins when a place is free for it; dropping the future ends its process.
    pub async fn parse(
        &self,
        bytes: &[u8],
        name: &str,
        limits: &Limits,
    ) -> Result<Document, Error> {
        self.read(bytes, name, limits)
            .await
            .map_err(|reason| Error { name: name.to_owned(), reason })
    }

    async fn read(&self, bytes: &[u8], name: &str, limits: &Limits) -> Answer {
        if bytes.is_empty() {
            return Err(Reason::Empty);
        }
        if bytes.len() > limits.bytes {
            return Err(Reason::TooLarge { bytes: bytes.len(), limit: limits.bytes });
        }
        let _place = self.places.acquire().await.map_err(|error| worker(&error))?;
        let mut child = self.start().map_err(|error| worker(&error))?;
        let Ok(heard) = time::timeout(limits.time, converse(&mut child, bytes, name, limits)).await
        else {
            child.kill().await.map_err(|error| worker(&error))?;
            return Err(Reason::Time { limit: limits.time });
        };
        let heard = heard.map_err(|error| worker(&error))?;
        if !heard.status.success() {
            return Err(cause(&heard, limits));
        }
        // A large answer takes a while to read.
        task::spawn_blocking(move || {
            serde_json::from_slice(&heard.answer).map_err(|error| worker(&error))?
        })
        .await
        .map_err(|error| worker(&error))?
    }

    fn start(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .arg(&self.argument)
            // Neither the host's secrets nor its folder.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

fn worker(error: &impl ToString) -> Reason {
    Reason::Worker(error.to_string())
}

/// What came from a process.
struct Heard {
    status: ExitStatus,
    answer: Vec<u8>,
    last_words: Vec<u8>,
}

async fn converse(
    child: &mut Child,
    bytes: &[u8],
    name: &str,
    limits: &Limits,
) -> io::Result<Heard> {
    let missing = || io::Error::other("a pipe is missing");
    let mut input = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    let errors = child.stderr.take().ok_or_else(missing)?;
    let mut order = serde_json::to_vec(&Order { name: name.into(), limits: *limits })?;
    order.push(b'\n');
    let tell = async move {
        let told = async {
            input.write_all(&order).await?;
            input.write_all(bytes).await
        };
        // Whoever stops listening has met its end, which its status tells.
        told.await.or_else(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
        })
    };
    // Quotes and line ends take two bytes in JSON, and the frame of a block twice what it counts.
    let most = limits.text.saturating_mul(3).saturating_add(1 << 20);
    let ((), answer, last_words) =
        tokio::try_join!(tell, hear(output, most), hear(errors, 1 << 16))?;
    Ok(Heard { status: child.wait().await?, answer, last_words })
}

/// Reads to the end, and keeps no more than `most`.
async fn hear(mut from: impl AsyncRead + Unpin, most: usize) -> io::Result<Vec<u8>> {
    let mut heard = Vec::new();
    (&mut from).take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut heard).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(heard)
}

/// What ended a process before it had answered.
fn cause(heard: &Heard, limits: &Limits) -> Reason {
    const KILLED: i32 = 9;
    const OUT_OF_TIME: i32 = 24;
    let said = |words: &str| String::from_utf8_lossy(&heard.last_words).contains(words);
    match heard.status.signal() {
        // Where the system ran out of memory before its limit was reached, it kills.
        Some(KILLED) => Reason::Memory { limit: limits.memory },
        Some(OUT_OF_TIME) => Reason::Time { limit: limits.time },
        _ if said("memory allocation of") => Reason::Memory { limit: limits.memory },
        _ => Reason::Crash,
    }
}
