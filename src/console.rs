//! Output for people on standard output and standard error.

use pipewright::{
    log,
    pipes::PIPES,
    settings::{DEFAULT_KEY, Settings},
    valves::{Pins, ValvesFile, format_example},
};
use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc,
    thread,
    time::Duration,
};
use store::Store;

/// The longest time that the program waits for its last output.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// Prints the address of the host and the way to use it.
pub fn print_welcome(address: SocketAddr, settings: &Settings) -> anyhow::Result<()> {
    let host =
        if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    let url = format!("http://{}", SocketAddr::new(host, address.port()));
    let key = if settings.api_key == DEFAULT_KEY { DEFAULT_KEY } else { "$PIPELINES_API_KEY" };
    let mut out = Vec::new();
    writeln!(out, "pipewright {} serves at {url}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "Add it to Open WebUI: Admin Panel > Settings > Connections > OpenAI API > +")?;
    writeln!(out, "  URL  {url}")?;
    writeln!(out, "  Key  {key}")?;
    writeln!(out, "Try it:")?;
    writeln!(out, "  curl -s {url}/models -H \"Authorization: Bearer {key}\"")?;
    if settings.demo {
        let model = "bedrock_models.us.anthropic.claude-sonnet-4-5-20250929-v1:0";
        let body = format!(
            r#"{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "Hello!"}}]}}"#
        );
        writeln!(
            out,
            "  curl -sN {url}/chat/completions -H \"Authorization: Bearer {key}\" -H 'Content-Type: application/json' -d '{body}'"
        )?;
    }
    // Not waited for: a pipe that nobody reads must not keep the host from serving.
    let writer = thread::Builder::new().name("welcome".into()).spawn(move || {
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(&out).and_then(|()| stdout.flush()) {
            tracing::warn!(%error, "Standard output cannot be written.");
        }
    });
    if let Err(error) = writer {
        tracing::warn!(%error, "There is no thread for standard output.");
    }
    Ok(())
}

/// Prints the error that ends the program.
pub fn print_error(error: &anyhow::Error) {
    // What was logged stands before it.
    log::flush(FLUSH_LIMIT);
    let line = format!("Error: {error:#}\n");
    let (written, is_written) = mpsc::channel();
    // In a thread of its own: a pipe that nobody reads must not keep the program from ending.
    let writer = thread::Builder::new().spawn(move || {
        // Nobody is left to be told that it cannot be told.
        _ = io::stderr().write_all(line.as_bytes());
        _ = written.send(());
    });
    if writer.is_ok() {
        _ = is_written.recv_timeout(FLUSH_LIMIT);
    }
}

/// Prints every valve with its value and source. Secrets are masked.
pub async fn print_valves(settings: &Settings) -> anyhow::Result<()> {
    let sources = settings.config_sources(Pins::default());
    let store = settings.store_settings(&sources.folder);
    let database = match store.database_url {
        Some(_) => Some(Store::open(&store).await?),
        None => None,
    };
    let database = database.as_ref().and_then(Store::saved_valves);
    let mut out = io::stdout().lock();
    for pipe in PIPES {
        let spec = (pipe.spec)();
        let found = match database {
            None => ValvesFile::new(&sources.folder, pipe.id).load_if_readable(),
            Some(database) => {
                database.load(pipe.id).await?.map(|(values, _)| values).unwrap_or_default()
            }
        };
        let (values, sources, faults) = sources.layers(pipe.id, &spec).merge(&spec, &found);
        writeln!(out, "[{}]", pipe.id)?;
        for (name, value) in spec.mask_values(&values) {
            let source = sources.get(&name).map_or("default", |source| source.name());
            writeln!(out, "{:<44} # {source}", format!("{name} = {value}"))?;
        }
        for fault in faults {
            writeln!(out, "# fault: {}: {}", fault.valve, fault.rule)?;
        }
    }
    Ok(out.flush()?)
}

/// Prints `valves.example.toml`.
pub fn print_example() -> anyhow::Result<()> {
    let specs: Vec<_> = PIPES.iter().map(|pipe| (pipe.id, (pipe.spec)())).collect();
    let text = format_example(specs.iter().map(|(id, spec)| (*id, spec)));
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}
