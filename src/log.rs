//! Log lines: written to standard error by a thread of their own, readable on a terminal, JSON
//! elsewhere.
//!
//! Logging a line never blocks and never fails. Lines wait in a queue of bounded size; when they
//! cannot be written (a pipe that is not read, a full disk), they are dropped and counted. Every
//! field of every line is shortened and freed of control characters.

mod line;
mod queue;

pub use queue::dropped_lines;

use crate::panics;
use clap::ValueEnum;
use line::{Fields, LineFormat};
use queue::LineQueue;
use std::{
    io::{self, IsTerminal, Write},
    sync::OnceLock,
    time::Duration,
};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::LevelFilter,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

/// The log level, in the words of Python's logging, which Open WebUI's servers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum LogLevel {
    /// Everything.
    #[value(alias = "NOTSET")]
    Trace,
    /// Lines for developers.
    Debug,
    /// One line for each request.
    Info,
    /// A warning: the operator should know.
    #[value(alias = "WARN")]
    Warning,
    /// An error, which the operator should correct.
    #[value(aliases = ["CRITICAL", "FATAL"])]
    Error,
    /// No lines.
    Off,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object in each line.
    Json,
}

static QUEUE: OnceLock<LineQueue> = OnceLock::new();

/// Starts logging at this level and in this format; `RUST_LOG` sets levels per module.
pub fn init(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Off => LevelFilter::OFF,
    };
    let default = format!(
        "{level},actix_server={1},actix_http::h1::dispatcher={2},aws_config={0},aws_credential_types={0},aws_smithy_runtime={0}",
        level.min(LevelFilter::ERROR),
        level.min(LevelFilter::WARN),
        // It has a line for each request that is no HTTP.
        if level > LevelFilter::INFO { level } else { LevelFilter::OFF },
    );
    let directives = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty());
    let parsed = directives.map(EnvFilter::try_new);
    let is_invalid = matches!(parsed, Some(Err(_)));
    let filter = parsed.and_then(Result::ok).unwrap_or_else(|| EnvFilter::new(default));
    // At DEBUG the first three log the headers of requests, and with them the key; the last logs
    // messages of MCP servers, and with them what people write.
    let quiet = ["lambda_http=info", "lambda_runtime=info", "lambda_web_adapter=info", "rmcp=off"];
    let filter = quiet
        .into_iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter, EnvFilter::add_directive);
    let is_terminal = io::stderr().is_terminal();
    let format = match format {
        LogFormat::Auto if is_terminal => LineFormat::ColouredText,
        LogFormat::Text if is_terminal => LineFormat::ColouredText,
        LogFormat::Text => LineFormat::Text,
        LogFormat::Auto | LogFormat::Json => LineFormat::Json,
    };
    match LineQueue::start() {
        Ok(queue) => {
            if QUEUE.set(queue).is_ok() {
                tracing_subscriber::registry().with(filter).with(LineLayer { format }).init();
                panics::install_panic_hook();
                if is_invalid {
                    tracing::warn!(
                        "RUST_LOG is ignored: its value is not a list of `module=level`."
                    );
                }
            }
        }
        Err(error) => {
            // Without a writer there are no lines, and this is the last chance to say so.
            _ = writeln!(io::stderr(), "Nothing is logged: no thread can be started ({error}).");
        }
    }
}

/// Waits until what was logged has been written, but no longer than `limit`.
pub fn flush(limit: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.flush(limit);
    }
}

/// A layer that formats every event as a line and queues it.
struct LineLayer {
    format: LineFormat,
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let line = self.format.format_line(*metadata.level(), metadata.target(), fields);
        if let Some(queue) = QUEUE.get() {
            queue.push(line);
        }
    }
}
