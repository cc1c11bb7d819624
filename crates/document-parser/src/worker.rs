//! The worker: a process with resource limits that parses one file.

use crate::{document::Document, error::ParseError, limits::Limits, parse};
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

/// The stack of the parsing thread. Parsers recurse on nested files; a file that is nested deeper
/// than this stack allows ends the process.
const STACK_BYTES: usize = 64 << 20;

/// The longest request line, in bytes.
const MAX_REQUEST_BYTES: u64 = 1 << 20;

/// The request on standard input: one line of JSON, which the file's bytes follow.
#[derive(Serialize, Deserialize)]
pub(crate) struct WorkerRequest<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    pub limits: Limits,
}

/// The response on standard output, as JSON.
pub(crate) type WorkerResponse = Result<Document, ParseError>;

/// Parses the file on standard input, and writes the document to standard output.
///
/// The host's `main` calls this before it starts anything else, if its first argument is the one
/// that its [`DocumentParser`](crate::DocumentParser) has.
pub fn run() -> ExitCode {
    match serve_request() {
        Ok(()) => ExitCode::SUCCESS,
        // The host is gone or never was one, so nothing can receive the error.
        Err(_) => ExitCode::FAILURE,
    }
}

/// Reads the request, parses the file and writes the response.
fn serve_request() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    input.by_ref().take(MAX_REQUEST_BYTES).read_until(b'\n', &mut line)?;
    let WorkerRequest { name, limits } = serde_json::from_slice(&line)?;
    set_resource_limits(&limits)?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let response = parse_in_thread(bytes, name.into_owned(), limits);
    let mut output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    serde_json::to_writer(&mut output, &response)?;
    output.flush()
}

/// Parses in a thread with a large stack, so that a panic becomes an error.
fn parse_in_thread(bytes: Vec<u8>, name: String, limits: Limits) -> WorkerResponse {
    // The message of a panic may contain the document's text, so it is not printed.
    std::panic::set_hook(Box::new(|_| {}));
    let thread = thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || parse::parse_file(bytes, &name, &limits));
    match thread {
        Ok(thread) => thread.join().unwrap_or(Err(ParseError::ParserCrash)),
        Err(_) => Err(ParseError::OutOfMemory { limit: limits.memory_bytes }),
    }
}

/// Limits memory, time and open files, and forbids written files and core dumps.
fn set_resource_limits(limits: &Limits) -> io::Result<()> {
    let seconds = limits.time.as_secs().saturating_add(1);
    for (resource, limit) in [
        (Resource::As, limits.memory_bytes),
        (Resource::Cpu, seconds),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 16),
    ] {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    }
    Ok(())
}
