//! `pipewright valves`: the valves of the configured pipes, or of a running server.

use super::{print, server_client::ServerClient};
use pipe_sdk::Secret;
use pipewright::{
    pipes::PIPES,
    settings::Settings,
    valves::{Pins, ValvesFile, format_example},
};
use reqwest::Method;
use serde_json::Value;
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

/// Prints the valves of a running server with their sources. Secrets are masked.
pub async fn print_server_valves(server: &ServerClient) -> anyhow::Result<()> {
    let pipes = server.fetch_json(Method::GET, "/pipelines").await?;
    let mut text = String::new();
    for pipe in pipes["data"].as_array().into_iter().flatten() {
        let id = pipe["id"].as_str().unwrap_or_default();
        writeln!(text, "[{id}]")?;
        let pipe = server.fetch_json(Method::GET, &format!("/admin/pipes/{id}")).await?;
        for valve in pipe["valves"].as_array().into_iter().flatten() {
            let name = valve["name"].as_str().unwrap_or_default();
            let value = match &valve["value"] {
                Value::Null if valve["is_set"] == true => Value::from(Secret::MASK),
                value => value.clone(),
            };
            let source = match valve["source"].as_str().unwrap_or_default() {
                "file" => "valves.toml",
                "saved" => "saved in the UI",
                source => valve["source_name"].as_str().unwrap_or(source),
            };
            writeln!(text, "{:<44} # {source}", format!("{name} = {value}"))?;
        }
    }
    print(&text)
}
