//! `pipewright rag ingest`: the files of a folder go to a running host, one after the other, with a
//! bar that shows how far it is.

use super::{progress_bar::ProgressBar, server_client::ServerClient};
use actix_web::web::Bytes;
use anyhow::{Context, bail};
use pipewright::cli::IngestArgs;
use reqwest::{
    Method, StatusCode,
    multipart::{Form, Part},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    time::Duration,
};
use tokio::time::sleep;
use url::form_urlencoded::Serializer;

/// The number of attempts to upload a file while the server is busy.
const MAX_ATTEMPTS: u32 = 6;

/// The longest wait between two attempts.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

/// The server that the files are uploaded to.
struct IngestTarget<'a> {
    server: &'a ServerClient,
    path: String,
}

/// A document of the server whose file was uploaded before.
struct KnownFile {
    sha256: String,
    /// The reason why the file could not be read, if so.
    failure: Option<String>,
}

/// The outcome of one upload.
enum IngestOutcome {
    Stored,
    Unchanged,
    Failed(String),
}

/// Uploads every file. The exit code is 0 if all were accepted.
pub async fn ingest(server: &ServerClient, args: &IngestArgs) -> anyhow::Result<ExitCode> {
    let path = format!("/rag/{}/documents", args.collection);
    let target = IngestTarget { server, path };
    let listing = rag::list_files(&args.folder)
        .with_context(|| format!("`{}` cannot be read", args.folder.display()))?;
    let known = target.list_known_files().await?;
    let (mut stored, mut unchanged) = (0, 0);
    let mut failed: Vec<(&String, String)> =
        listing.unreadable.iter().map(|(path, reason)| (path, reason.clone())).collect();
    let mut progress = ProgressBar::new(listing.files.len());
    for id in listing.files.keys() {
        progress.draw(id)?;
        match target.upload(&args.folder, id, known.get(id)).await? {
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

impl IngestTarget<'_> {
    /// Lists the digests of the files that the server has read before.
    async fn list_known_files(&self) -> anyhow::Result<BTreeMap<String, KnownFile>> {
        let mut known = BTreeMap::new();
        let mut after = Some(String::new());
        while let Some(last) = after.take() {
            let query = Serializer::new(String::new()).append_pair("after", &last).finish();
            let request = self.server.request(Method::GET, &format!("{}?{query}", self.path));
            let answer = request.send().await;
            let answer = answer.map_err(|error| self.server.describe_send_error(&error))?;
            if !answer.status().is_success() {
                // The collection may not exist yet; any other problem shows with the first upload.
                break;
            }
            let page: Value = serde_json::from_str(&answer.text().await?).unwrap_or_default();
            for document in page["documents"].as_array().into_iter().flatten() {
                let id = document["id"].as_str();
                let digest = document["metadata"][rag::FILE_METADATA]["sha256"].as_str();
                let failure = document["reason"].as_str().map(str::to_owned);
                known.extend(id.zip(digest).map(|(id, digest)| {
                    (id.to_owned(), KnownFile { sha256: digest.to_owned(), failure })
                }));
            }
            after = page["next"].as_str().map(str::to_owned);
        }
        Ok(known)
    }

    /// Uploads one file, unless the server has read the same bytes before. An error means that no
    /// other file can be uploaded either.
    async fn upload(
        &self,
        folder: &Path,
        id: &str,
        known: Option<&KnownFile>,
    ) -> anyhow::Result<IngestOutcome> {
        let bytes = match tokio::fs::read(folder.join(id)).await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(IngestOutcome::Failed(error.to_string())),
        };
        if let Some(known) = known.filter(|known| known.sha256 == rag::file_digest(&bytes)) {
            return Ok(match &known.failure {
                Some(reason) => IngestOutcome::Failed(reason.clone()),
                None => IngestOutcome::Unchanged,
            });
        }
        let (status, body) = self.post_file(id, bytes).await?;
        let detail = body["detail"].as_str().unwrap_or(status.as_str()).to_owned();
        let document = &body["documents"][0];
        match document["outcome"].as_str() {
            Some("stored") => Ok(IngestOutcome::Stored),
            Some("unchanged") => Ok(IngestOutcome::Unchanged),
            Some("failed") => {
                let reason = document["reason"].as_str().unwrap_or_default();
                Ok(IngestOutcome::Failed(reason.to_owned()))
            }
            _ if matches!(
                status,
                StatusCode::BAD_REQUEST
                    | StatusCode::PAYLOAD_TOO_LARGE
                    | StatusCode::UNPROCESSABLE_ENTITY
            ) =>
            {
                Ok(IngestOutcome::Failed(detail))
            }
            _ => bail!("the host refuses documents: {detail}"),
        }
    }

    /// Posts a file; waits and tries again while the server is busy.
    async fn post_file(&self, id: &str, bytes: Vec<u8>) -> anyhow::Result<(StatusCode, Value)> {
        let name = id.rsplit('/').next().unwrap_or(id).to_owned();
        let bytes = Bytes::from(bytes);
        let mut attempts = 1;
        loop {
            let length = bytes.len() as u64;
            let part = Part::stream_with_length(bytes.clone(), length).file_name(name.clone());
            let form = Form::new().text("id", id.to_owned()).part("file", part);
            let request = self.server.request(Method::POST, &self.path).multipart(form);
            let answer = request.send().await;
            let answer = answer.map_err(|error| self.server.describe_send_error(&error))?;
            let status = answer.status();
            let is_busy =
                matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            if !is_busy || attempts == MAX_ATTEMPTS {
                let body = serde_json::from_str(&answer.text().await?).unwrap_or_default();
                return Ok((status, body));
            }
            attempts += 1;
            let seconds = answer.headers().get("retry-after").and_then(|wait| wait.to_str().ok());
            let seconds = seconds.and_then(|wait| wait.parse().ok()).unwrap_or(2);
            sleep(Duration::from_secs(seconds).min(MAX_RETRY_DELAY)).await;
        }
    }
}
