//! Output for people on standard output and standard error.

use pipewright::{http::DEFAULT_KEY, log, settings::Settings};
use std::{
    fmt::{self, Write as _},
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc,
    thread,
    time::Duration,
};

/// The longest time that the program waits for its last output.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// Prints the address of the host and the way to use it.
pub fn print_welcome(
    address: SocketAddr,
    settings: &Settings,
    key_source: KeySource,
) -> anyhow::Result<()> {
    let out = format_welcome(address, settings, key_source)?;
    // Not waited for: a pipe that nobody reads must not keep the host from serving.
    let writer = thread::Builder::new().name("welcome".into()).spawn(move || {
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush()) {
            tracing::warn!(%error, "Standard output cannot be written.");
        }
    });
    if let Err(error) = writer {
        tracing::warn!(%error, "There is no thread for standard output.");
    }
    Ok(())
}

/// The place that the API key comes from, and so the way to use it in a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The public default, which may be shown.
    Default,
    /// An exported variable, which other commands of that shell have too.
    Variable,
    /// The file `.env` or a flag.
    Elsewhere,
}

fn format_welcome(
    address: SocketAddr,
    settings: &Settings,
    key_source: KeySource,
) -> Result<String, fmt::Error> {
    let host =
        if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    let url = format!("http://{}", SocketAddr::new(host, address.port()));
    // The default key opens nothing there (docs/trust.md).
    let is_closed = key_source == KeySource::Default
        && !address.ip().is_loopback()
        && !settings.allow_default_key;
    let (ask, key, shown) = match key_source {
        KeySource::Default => ("", DEFAULT_KEY, DEFAULT_KEY),
        KeySource::Variable => ("", "$PIPELINES_API_KEY", "the value of PIPELINES_API_KEY"),
        KeySource::Elsewhere => {
            ("printf 'API key: '; read -r KEY; ", "$KEY", "the API key that you have set")
        }
    };
    let mut out = String::new();
    writeln!(out, "pipewright {} serves at {url}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "Add it to Open WebUI: Admin Panel > Settings > Connections > OpenAI API > +")?;
    writeln!(out, "  URL  {url}/v1")?;
    if is_closed {
        writeln!(
            out,
            "  Key  none: set PIPELINES_API_KEY, the default key opens only a host on loopback"
        )?;
        return Ok(out);
    }
    writeln!(out, "  Key  {shown}")?;
    writeln!(
        out,
        "Pages: {url}/ (start), {url}/admin/, {url}/rag/ (documents), {url}/usage/ (costs)"
    )?;
    writeln!(out, "Try it:")?;
    writeln!(out, "  {ask}curl -s {url}/v1/models -H \"Authorization: Bearer {key}\"")?;
    if settings.demo {
        let model = "bedrock_models.us.anthropic.claude-sonnet-4-5-20250929-v1:0";
        let body = format!(
            r#"{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "Hello!"}}]}}"#
        );
        writeln!(
            out,
            "  curl -sN {url}/v1/chat/completions -H \"Authorization: Bearer {key}\" -H 'Content-Type: application/json' -d '{body}'"
        )?;
    }
    writeln!(out, "  pipewright chat --url {url}")?;
    Ok(out)
}

/// Prints the error that ends the program.
pub fn print_error(error: &anyhow::Error) {
    // Log lines are written before the error.
    log::flush(FLUSH_LIMIT);
    let line = format!("Error: {error:#}\n");
    let (written, is_written) = mpsc::channel();
    // The line is written on a thread of its own: a pipe that nobody reads must not keep the
    // program from ending.
    let writer = thread::Builder::new().spawn(move || {
        // There is no place left to report this error to.
        _ = io::stderr().write_all(line.as_bytes());
        _ = written.send(());
    });
    if writer.is_ok() {
        _ = is_written.recv_timeout(FLUSH_LIMIT);
    }
}
