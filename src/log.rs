//! Where log lines go: to standard error, readable on a terminal, JSON elsewhere.

use std::io::{self, IsTerminal};
use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt};

/// Starts logging at this level, in the words of Python's logging; `RUST_LOG` wins.
pub fn start(level: &str) {
    let level = match level.to_uppercase().as_str() {
        "NOTSET" | "TRACE" => LevelFilter::TRACE,
        "DEBUG" => LevelFilter::DEBUG,
        "WARN" | "WARNING" => LevelFilter::WARN,
        "ERROR" | "CRITICAL" | "FATAL" => LevelFilter::ERROR,
        "OFF" => LevelFilter::OFF,
        _ => LevelFilter::INFO,
    };
    let default = format!(
        "{level},aws_config={0},aws_credential_types={0},aws_smithy_runtime={0}",
        level.min(LevelFilter::ERROR)
    );
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // At DEBUG they tell the headers of requests, and with them the key.
    let filter = ["lambda_http=info", "lambda_runtime=info", "lambda_web_adapter=info"]
        .into_iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter, EnvFilter::add_directive);
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    if io::stderr().is_terminal() {
        lines.compact().init();
    } else {
        lines.json().flatten_event(true).with_ansi(false).init();
    }
}
