//! `pipewright rag ingest`: the files of a folder go to a running host, one after the other, with a bar that shows how far it is.

use crate::{client::client, progress::Progress};
use anyhow::{Context, bail};
use pipewright::settings::{Ingest, Settings};
use reqwest::{
    Client, StatusCode,
    multipart::{Form, Part},
};
use serde_json::Value;
use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
};

/// Where the files go.
struct Host {
    client: Client,
    url: String,
    key: String,
}

/// What became of a file.
enum Told {
    Stored,
    Unchanged,
    Failed(String),
}

/// Sends every file; the exit code tells whether all were taken.
pub async fn ingest(settings: &Settings, wish: &Ingest) -> anyhow::Result<ExitCode> {
    let host = Host::of(settings, wish)?;
    let files = rag::files(&wish.folder)
        .with_context(|| format!("`{}` cannot be read", wish.folder.display()))?;
    let (mut stored, mut unchanged, mut failed) = (0, 0, Vec::new());
    let mut progress = Progress::of(files.len());
    for id in files.keys() {
        progress.show(id)?;
        match host.send(&wish.folder, id).await? {
            Told::Stored => stored += 1,
            Told::Unchanged => unchanged += 1,
            Told::Failed(reason) => failed.push((id, reason)),
        }
        progress.step();
    }
    progress.end()?;
    let mut out = io::stdout().lock();
    writeln!(out, "{stored} stored, {unchanged} unchanged, {} failed", failed.len())?;
    for (id, reason) in &failed {
        writeln!(out, "  {id}: {reason}")?;
    }
    out.flush()?;
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Host {
    fn of(settings: &Settings, wish: &Ingest) -> anyhow::Result<Self> {
        let here = || {
            let host = settings.host();
            let host = if host.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { host };
            format!("http://{}", SocketAddr::new(host, settings.port))
        };
        let base = wish.url.clone().unwrap_or_else(here);
        let url = format!("{}/rag/{}/documents", base.trim_end_matches('/'), wish.collection);
        Ok(Self { client: client()?, url, key: settings.api_key.clone() })
    }

    /// Sends one file. What keeps all others back too is the error.
    async fn send(&self, folder: &Path, id: &str) -> anyhow::Result<Told> {
        let bytes = match tokio::fs::read(folder.join(id)).await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Told::Failed(error.to_string())),
        };
        let name = id.rsplit('/').next().unwrap_or(id).to_owned();
        let form =
            Form::new().text("id", id.to_owned()).part("file", Part::bytes(bytes).file_name(name));
        let request = self.client.post(&self.url).bearer_auth(&self.key).multipart(form);
        let answer = request.send().await.with_context(|| {
            format!("no host answers at {}: start it, or name it with --url", self.url)
        })?;
        let status = answer.status();
        let told: Value = serde_json::from_str(&answer.text().await?).unwrap_or_default();
        let detail = told["detail"].as_str().unwrap_or(status.as_str());
        let filed = &told["documents"][0];
        match filed["outcome"].as_str() {
            Some("stored") => Ok(Told::Stored),
            Some("unchanged") => Ok(Told::Unchanged),
            Some("failed") => {
                Ok(Told::Failed(filed["reason"].as_str().unwrap_or_default().to_owned()))
            }
            _ if status == StatusCode::PAYLOAD_TOO_LARGE => Ok(Told::Failed(detail.to_owned())),
            _ => bail!("the host refuses documents: {detail}"),
        }
    }
}
