//! A running server, as the commands talk to it.

use anyhow::{Context, bail};
use http_client::{root_certificates, tls_config};
use pipewright::settings::Settings;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

/// A client of a running server.
pub struct ServerClient {
    client: Client,
    base: String,
    key: String,
}

/// Returns a client that trusts the root certificates of this machine.
pub fn build_client() -> anyhow::Result<Client> {
    let client = Client::builder()
        .tls_backend_preconfigured(tls_config(root_certificates()))
        .connect_timeout(Duration::from_secs(10))
        .user_agent(concat!("pipewright/", env!("CARGO_PKG_VERSION")));
    client.build().context("cannot build an HTTP client")
}

impl ServerClient {
    /// Returns a client of the server at this URL, or of the one on this machine.
    pub fn new(url: Option<&str>, settings: &Settings) -> anyhow::Result<Self> {
        let base = match url {
            Some(url) => {
                let is_http = url.starts_with("http://") || url.starts_with("https://");
                if !is_http {
                    bail!("`--url` must begin with `http://` or `https://`");
                }
                url.trim_end_matches('/').trim_end_matches("/v1").to_owned()
            }
            None => {
                let host = settings.host();
                let host = if host.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { host };
                format!("http://{}", SocketAddr::new(host, settings.port))
            }
        };
        Ok(Self { client: build_client()?, base, key: settings.api_key.clone() })
    }

    /// Returns the URL of the server.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Returns a request with the key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// No server answers, or it answers with an error.
    pub async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = request.send().await.map_err(|error| self.describe_send_error(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            bail!(
                "the server at {} does not accept the API key: set PIPELINES_API_KEY or `--api-key` to the key that it was started with",
                self.base
            );
        }
        let text = response.text().await.unwrap_or_default();
        bail!("the server at {} answered {status}: {}", self.base, error_message(&text))
    }

    /// Sends a request and reads its response as JSON.
    ///
    /// # Errors
    /// As [`Self::send`], and when the response is no JSON.
    pub async fn fetch_json(&self, method: Method, path: &str) -> anyhow::Result<Value> {
        let text = self.send(self.request(method, path)).await?.text().await?;
        serde_json::from_str(&text).with_context(|| {
            format!("what answers at {} is no pipewright server: it sent no JSON", self.base)
        })
    }

    /// Describes why no response came.
    pub fn describe_send_error(&self, error: &reqwest::Error) -> anyhow::Error {
        if error.is_timeout() {
            return anyhow::anyhow!("the server at {} does not answer in time", self.base);
        }
        let cause = find_root_cause(error);
        anyhow::anyhow!(
            "no server answers at {} ({cause}): start it with `pipewright`, or name another one with `--port` or `--url`",
            self.base
        )
    }
}

/// Returns the message of an error response in the shape of OpenAI's or Open WebUI's API.
pub fn error_message(text: &str) -> String {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let message = body["error"]["message"].as_str().or(body["detail"].as_str());
    message.unwrap_or(text).trim().chars().take(1000).collect()
}

fn find_root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
