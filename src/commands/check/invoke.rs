//! One short chat, with the running server or with a host of the command's own.

use crate::commands::server_client::{ServerClient, error_message};
use actix_web::rt;
use anyhow::Context;
use pipewright::{
    app::App,
    pipes::PIPES,
    settings::Settings,
    slot::{ConfigSources, Registration},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Starts a host of this process, and sends a chat to it. The host has a data folder of its own, so
/// that another one may run in the real folder, and nothing is changed there.
pub async fn invoke_in_process(
    settings: &Settings,
    mut sources: ConfigSources,
    model: &str,
) -> anyhow::Result<String> {
    let folder = copy_saved_files(&sources.folder)
        .context("the saved valves cannot be copied into a temporary folder")?;
    if sources.roots.models.is_empty() {
        sources.roots.models = vec![std::path::absolute(sources.folder.join("models"))?];
    }
    sources.folder = folder.path().to_owned();
    let settings = Settings {
        host: Some(Ipv4Addr::LOCALHOST.into()),
        port: 0,
        workers: 1,
        api_key: uuid::Uuid::new_v4().to_string(),
        pipelines_dir: sources.folder.clone(),
        ..settings.clone()
    };
    // `rag` would read the documents of its watched folder into the temporary one.
    let is_needed = |pipe: &&Registration| pipe.id != "rag" || model.starts_with("rag.");
    let pipes: Vec<_> = PIPES.iter().filter(is_needed).copied().collect();
    let app = App::build(&settings, sources, &pipes).await?;
    let url = format!("http://{}", app.address());
    // It ends with the program.
    rt::spawn(app.run_until_stopped());
    invoke(&ServerClient::new(Some(&url), &settings)?, model).await
}

/// Copies the saved valves and the Python pipelines of a data folder, which need not exist, into a
/// folder that is deleted when it is dropped.
fn copy_saved_files(data: &Path) -> io::Result<TempDir> {
    let copy = tempfile::tempdir()?;
    let entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(copy),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let (path, name) = (entry.path(), PathBuf::from(entry.file_name()));
        let valves = path.join("valves.json");
        if valves.is_file() {
            let folder = copy.path().join(name);
            fs::create_dir(&folder)?;
            fs::copy(valves, folder.join("valves.json"))?;
        } else if path.is_file() && path.extension().is_some_and(|extension| extension == "py") {
            fs::copy(&path, copy.path().join(name))?;
        }
    }
    Ok(copy)
}

/// Sends a chat of one word to a model, and returns its answer.
pub async fn invoke(server: &ServerClient, model: &str) -> anyhow::Result<String> {
    let message = json!({"role": "user", "content": "Answer with the word OK."});
    let body = json!({"model": model, "max_tokens": 16, "messages": [message]});
    let request = server.request(Method::POST, "/v1/chat/completions");
    let request = request.header("content-type", "application/json").body(body.to_string());
    let text = server.send(request).await?.text().await?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    anyhow::ensure!(answer["choices"].is_array(), "{}", error_message(&text));
    Ok(format!("`{model}` answers"))
}
