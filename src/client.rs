//! The client of the commands that ask somebody: a running host, or who has models.

use anyhow::Context;
use http_client::{root_certificates, tls_config};
use reqwest::Client;
use std::time::Duration;

/// A client that trusts whom this machine trusts.
pub fn build_client() -> anyhow::Result<Client> {
    let client = Client::builder()
        .tls_backend_preconfigured(tls_config(root_certificates()))
        .connect_timeout(Duration::from_secs(10))
        .user_agent(concat!("pipewright/", env!("CARGO_PKG_VERSION")));
    client.build().context("no client can be made")
}
