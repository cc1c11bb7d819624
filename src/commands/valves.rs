//! `pipewright valves`: the valves of the configured pipes, or of a running server.

use super::{print, server_client::ServerClient};
use pipewright::{
    pipes::PIPES,
    settings::Settings,
    valves::{Pins, ValvesFile, format_example},
};
use reqwest::Method;
use std::fmt::Write;
use store::Store;

/// Prints every valve with its value and source. Secrets are masked.
pub async fn print_valves(settings: &Settings) -> anyhow::Result<()> {
    let sources = settings.config_sources(Pins::default());
    let store = settings.store_settings(&sources.folder);
    let database = match store.database_url {
        Some(_) => Some(Store::open(&store).await?),
        None => None,
    };
    let database = database.as_ref().and_then(Store::saved_valves);
    let cipher = settings.valves_cipher()?;
    let mut out = String::new();
    for pipe in PIPES {
        let spec = (pipe.spec)();
        let found = match database {
            None => ValvesFile::new(&sources.folder, pipe.id, cipher.as_ref()).load_if_readable(),
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
    print(&out)
}

/// Prints `valves.example.toml`.
pub fn print_example() -> anyhow::Result<()> {
    let specs: Vec<_> = PIPES.iter().map(|pipe| (pipe.id, (pipe.spec)())).collect();
    let text = format_example(specs.iter().map(|(id, spec)| (*id, spec)));
    print(&text)
}

/// Prints the valves of a running server. Secrets are masked by the server.
pub async fn print_server_valves(server: &ServerClient) -> anyhow::Result<()> {
    let pipes = server.fetch_json(Method::GET, "/pipelines").await?;
    let mut text = String::new();
    for pipe in pipes["data"].as_array().into_iter().flatten() {
        let id = pipe["id"].as_str().unwrap_or_default();
        writeln!(text, "[{id}]")?;
        let valves = server.fetch_json(Method::GET, &format!("/{id}/valves")).await?;
        for (name, value) in valves.as_object().into_iter().flatten() {
            writeln!(text, "{name} = {value}")?;
        }
    }
    print(&text)
}
