//! `pipewright rag ingest`: the files of a folder go to a running host, one after the other, with a
//! bar that shows how far it is.

use crate::{client::build_client, progress_bar::ProgressBar};
use anyhow::{Context, bail};
use pipewright::settings::{IngestArgs, Settings};
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

/// The server that the files are uploaded to.
struct IngestTarget {
    client: Client,
    url: String,
    key: String,
}

/// The outcome of one upload.
enum IngestOutcome {
    Stored,
    Unchanged,
    Failed(String),
}

/// Uploads every file. The exit code is 0 if all were accepted.
pub async fn ingest(settings: &Settings, args: &IngestArgs) -> anyhow::Result<ExitCode> {
    let target = IngestTarget::new(settings, args)?;
    let files = rag::files(&args.folder)
        .with_context(|| format!("`{}` cannot be read", args.folder.display()))?;
    let (mut stored, mut unchanged, mut failed) = (0, 0, Vec::new());
    let mut progress = ProgressBar::new(files.len());
    for id in files.keys() {
        progress.draw(id)?;
        match target.upload(&args.folder, id).await? {
            IngestOutcome::Stored => stored += 1,
            IngestOutcome::Unchanged => unchanged += 1,
            IngestOutcome::Failed(reason) => failed.push((id, reason)),
        }
        progress.advance();
    }
    progress.clear()?;
    let mut out = io::stdout().lock();
    writeln!(out, "{stored} stored, {unchanged} unchanged, {} failed", failed.len())?;
    for (id, reason) in &failed {
        writeln!(out, "  {id}: {reason}")?;
    }
    out.flush()?;
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl IngestTarget {
    fn new(settings: &Settings, args: &IngestArgs) -> anyhow::Result<Self> {
        let local_url = || {
            let host = settings.host();
            let host = if host.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { host };
            format!("http://{}", SocketAddr::new(host, settings.port))
        };
        let base = args.url.clone().unwrap_or_else(local_url);
        let url = format!("{}/rag/{}/documents", base.trim_end_matches('/'), args.collection);
        Ok(Self { client: build_client()?, url, key: settings.api_key.clone() })
    }

    /// Uploads one file. An error means that no other file can be uploaded either.
    async fn upload(&self, folder: &Path, id: &str) -> anyhow::Result<IngestOutcome> {
        let bytes = match tokio::fs::read(folder.join(id)).await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(IngestOutcome::Failed(error.to_string())),
        };
        let name = id.rsplit('/').next().unwrap_or(id).to_owned();
        let form =
            Form::new().text("id", id.to_owned()).part("file", Part::bytes(bytes).file_name(name));
        let request = self.client.post(&self.url).bearer_auth(&self.key).multipart(form);
        let answer = request.send().await.with_context(|| {
            format!("no host answers at {}: start it, or name it with --url", self.url)
        })?;
        let status = answer.status();
        let body: Value = serde_json::from_str(&answer.text().await?).unwrap_or_default();
        let detail = body["detail"].as_str().unwrap_or(status.as_str());
        let document = &body["documents"][0];
        match document["outcome"].as_str() {
            Some("stored") => Ok(IngestOutcome::Stored),
            Some("unchanged") => Ok(IngestOutcome::Unchanged),
            Some("failed") => Ok(IngestOutcome::Failed(
                document["reason"].as_str().unwrap_or_default().to_owned(),
            )),
            _ if status == StatusCode::PAYLOAD_TOO_LARGE => {
                Ok(IngestOutcome::Failed(detail.to_owned()))
            }
            _ => bail!("the host refuses documents: {detail}"),
        }
    }
}
