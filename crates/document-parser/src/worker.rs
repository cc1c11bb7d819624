//! The process that reads one file: its limits first, then its bytes, and nothing else of the world.

use crate::{document::Document, error::Reason, limits::Limits, read};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    io::{self, BufRead as _, BufWriter, Read as _, Write as _},
    process::ExitCode,
    thread,
};

/// The argument with which programs of this workspace start themselves to read a file.
pub const ARGUMENT: &str = "parse-document";

/// Parsers go deep on files that are nested; what is deeper still ends the process.
const STACK: usize = 64 << 20;

/// The longest first line that is read.
const LONGEST: u64 = 1 << 20;

/// What comes first on standard input, as one line of JSON; the file's bytes follow.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    pub limits: Limits,
}

/// What goes out on standard output, as JSON.
pub(crate) type Answer = Result<Document, Reason>;

/// Reads the one file that comes on standard input, and tells on standard output what it says.
///
/// The host's `main` calls this, before it starts anything else, when it was started with the argument that its [`Parser`](crate::Parser)
/// was made with.
pub fn run() -> ExitCode {
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        // The other end is gone, or never was a parser: nobody is there to be told.
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    input.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
    let Order { name, limits } = serde_json::from_slice(&line)?;
    confine(&limits)?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let answer = within_a_thread(bytes, name.into_owned(), limits);
    let mut output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    serde_json::to_writer(&mut output, &answer)?;
    output.flush()
}

/// A panic ends the thread, and is told as what it is.
fn within_a_thread(bytes: Vec<u8>, name: String, limits: Limits) -> Answer {
    // What a panic says may hold the document's text.
    std::panic::set_hook(Box::new(|_| {}));
    let thread =
        thread::Builder::new().stack_size(STACK).spawn(move || read::read(bytes, &name, &limits));
    match thread {
        Ok(thread) => thread.join().unwrap_or(Err(Reason::Crash)),
        Err(_) => Err(Reason::Memory { limit: limits.memory }),
    }
}

/// Bounds memory and time, and forbids to write files and to leave a picture of the memory behind.
fn confine(limits: &Limits) -> io::Result<()> {
    let seconds = limits.time.as_secs().saturating_add(1);
    for (resource, most) in [
        (Resource::As, limits.memory),
        (Resource::Cpu, seconds),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 16),
    ] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}
